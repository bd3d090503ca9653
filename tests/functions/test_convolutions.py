"""Convolutions against loops, their derivatives to second order, batches, dtypes, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import signal

import numr as nr
from numr import errors
from tests.autodiff.every_order import check
from tests.functions.support import agree, slope, value

RNG = np.random.default_rng(5)


def widened(x: Any, widths: Any) -> Any:
    return np.pad(x, ((0, 0), (0, 0), *widths))


def convolved(x: Any, w: Any, b: Any, stride: Any, widths: Any, dilation: Any, groups: int) -> Any:
    """A convolution, one output element after another."""
    x = widened(x, widths)
    n, _, *lengths = x.shape
    o, per, *taps = w.shape
    places = [
        (m - d * (k - 1) - 1) // s + 1
        for m, k, s, d in zip(lengths, taps, stride, dilation, strict=True)
    ]
    out = np.zeros((n, o, *places), np.result_type(x, w))
    for q in range(o):
        g = q // (o // groups)
        part = x[:, g * per : (g + 1) * per]
        for place in np.ndindex(*places):
            window = tuple(
                slice(i * s, i * s + d * (k - 1) + 1, d)
                for i, k, s, d in zip(place, taps, stride, dilation, strict=True)
            )
            out[(slice(None), q, *place)] = (part[(..., *window)] * w[q]).sum(
                axis=tuple(range(1, x.ndim))
            )
    return out if b is None else out + b.reshape(-1, *(1 for _ in places))


def transposed(
    x: Any, w: Any, b: Any, stride: Any, cut: Any, extra: Any, dilation: Any, groups: int
) -> Any:
    """A transposed convolution, one product after another."""
    n, c, *places = x.shape
    _, per, *taps = w.shape
    full = [
        (m - 1) * s + d * (k - 1) + 1 + e
        for m, k, s, d, e in zip(places, taps, stride, dilation, extra, strict=True)
    ]
    out = np.zeros((n, per * groups, *full), np.result_type(x, w))
    size = c // groups
    for q in range(c):
        g = q // size
        for place in np.ndindex(*places):
            window = tuple(
                slice(i * s, i * s + d * (k - 1) + 1, d)
                for i, k, s, d in zip(place, taps, stride, dilation, strict=True)
            )
            spread = x[(slice(None), q, *place)].reshape(-1, 1, *(1 for _ in taps)) * w[q]
            out[(slice(None), slice(g * per, (g + 1) * per), *window)] += spread
    window = tuple(slice(p, m - p) for p, m in zip(cut, full, strict=True))
    out = out[(..., *window)]
    return out if b is None else out + b.reshape(-1, *(1 for _ in places))


# x, weight, and the arguments: two channels in and three out, groups, depthwise, strides, ...
PLAIN: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "1d": ((2, 3, 9), (4, 3, 3), {}),
    "1d all": ((2, 4, 11), (6, 2, 3), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
    "1d one tap": ((2, 3, 5), (2, 3, 1), {}),
    "1d one tap stride": ((2, 3, 5), (2, 3, 1), {"stride": 2}),
    "1d size 1": ((1, 1, 1), (1, 1, 1), {}),
    "1d long": ((1, 1, 40), (1, 1, 17), {}),
    "1d nothing": ((0, 3, 9), (4, 3, 3), {}),
    "1d same": ((2, 3, 10), (2, 3, 4), {"padding": "same", "stride": 3}),
    "2d": ((2, 3, 5, 6), (4, 3, 3, 2), {}),
    "2d equal channels": ((2, 2, 5, 5), (2, 2, 3, 3), {"padding": 1}),
    "2d all": (
        (2, 4, 9, 8),
        (6, 2, 3, 2),
        {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2},
    ),
    "2d pairs": ((1, 2, 4, 5), (3, 2, 3, 3), {"padding": ((0, 2), (1, 0)), "stride": 2}),
    "2d same": ((1, 2, 7, 6), (2, 2, 3, 4), {"padding": "same", "stride": 2}),
    "2d 1x1": ((2, 3, 4, 5), (4, 3, 1, 1), {}),
    "2d depthwise": ((2, 3, 6, 5), (3, 1, 3, 3), {"groups": 3, "padding": 1}),
    "2d depthwise twice": ((2, 3, 6, 5), (6, 1, 3, 2), {"groups": 3, "stride": 2}),
    "2d patches": ((2, 3, 7, 8), (4, 3, 3, 2), {"stride": (3, 2)}),
    "2d patches depthwise": ((2, 3, 4, 6), (3, 1, 2, 2), {"stride": 2, "groups": 3}),
    "1d patches": ((2, 4, 10), (6, 2, 3), {"stride": 3, "groups": 2, "padding": 1}),
    "2d whole window": ((2, 2, 3, 4), (2, 2, 3, 4), {}),
}
TRANSPOSED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "1d": ((2, 3, 5), (3, 4, 3), {}),
    "1d all": (
        (2, 4, 5),
        (4, 3, 3),
        {"stride": 3, "padding": 2, "output_padding": 2, "dilation": 2, "groups": 2},
    ),
    "1d extra": ((2, 4, 5), (4, 3, 3), {"stride": 3, "output_padding": 1}),
    "1d one tap": ((2, 3, 5), (3, 2, 1), {"stride": 2}),
    "2d": ((2, 3, 4, 3), (3, 2, 3, 2), {}),
    "2d all": (
        (2, 4, 3, 4),
        (4, 3, 3, 2),
        {
            "stride": (2, 3),
            "padding": (1, 0),
            "output_padding": (1, 2),
            "dilation": (1, 2),
            "groups": 2,
        },
    ),
    "2d depthwise": ((1, 3, 3, 3), (3, 1, 2, 2), {"groups": 3, "stride": 2}),
}


def pair(v: Any, count: int) -> tuple[Any, ...]:
    return tuple(v) if isinstance(v, tuple) else (v,) * count


def expected(name: str, x: Any, w: Any, b: Any) -> Any:
    *_, options = PLAIN[name]
    spatial = x.ndim - 2
    stride = pair(options.get("stride", 1), spatial)
    dilation = pair(options.get("dilation", 1), spatial)
    widths = options.get("padding", 0)
    if widths == "same":
        sums = [
            max((-(-n // s) - 1) * s + k - n, 0)
            for n, k, s in zip(x.shape[2:], w.shape[2:], stride, strict=True)
        ]
        widths = tuple((t // 2, t - t // 2) for t in sums)
    widths = tuple(pair(p, 2) for p in pair(widths, spatial))
    return convolved(x, w, b, stride, widths, dilation, options.get("groups", 1))


def expected_transposed(name: str, x: Any, w: Any, b: Any) -> Any:
    *_, o = TRANSPOSED[name]
    spatial = x.ndim - 2
    parts = (pair(o.get(k, 0), spatial) for k in ("padding", "output_padding"))
    stride, dilation = (pair(o.get(k, 1), spatial) for k in ("stride", "dilation"))
    return transposed(x, w, b, stride, *parts, dilation, o.get("groups", 1))


def function(name: str, spatial: int, table: Any) -> Callable[..., Any]:
    plain = table is PLAIN
    f = (nr.conv1d, nr.conv2d) if plain else (nr.conv_transpose1d, nr.conv_transpose2d)
    return lambda x, w, b=None: f[spatial - 1](x, w, b, **table[name][2])


def cases() -> Iterator[Any]:
    for table in (PLAIN, TRANSPOSED):
        for name in table:
            yield pytest.param(table, name, id=f"{'plain' if table is PLAIN else 'back'} {name}")


def operands(table: Any, name: str) -> tuple[Any, Any, Any]:
    xs, ws, options = table[name]
    outputs = ws[0] if table is PLAIN else ws[1] * options.get("groups", 1)
    return RNG.normal(size=xs), RNG.normal(size=ws), RNG.normal(size=outputs)


@pytest.mark.parametrize(("table", "name"), list(cases()))
def test_values(table: Any, name: str) -> None:
    x, w, b = operands(table, name)
    f = function(name, x.ndim - 2, table)
    oracle = expected if table is PLAIN else expected_transposed
    agree(f(nr.asarray(x), nr.asarray(w)), oracle(name, x, w, None), 1e-12, 1e-12)
    agree(f(nr.asarray(x), nr.asarray(w), nr.asarray(b)), oracle(name, x, w, b), 1e-12, 1e-12)
    got = np.asarray(nr.jit(f)(x.astype("f4"), w.astype("f4"), b.astype("f4")))
    np.testing.assert_allclose(got, oracle(name, x, w, b), rtol=1e-4, atol=1e-5)
    assert got.dtype == np.float32


@pytest.mark.parametrize(("table", "name"), list(cases()))
def test_derivatives(table: Any, name: str) -> None:
    x, w, b = operands(table, name)
    if not x.size:
        return
    f = function(name, x.ndim - 2, table)
    shape = tuple(map(int, f(nr.asarray(x), nr.asarray(w)).shape))
    weight = np.cos(np.arange(np.prod(shape, dtype=float))).reshape(shape)
    # squares, so that there is a second derivative of each and of both together
    scalar = lambda x, w, b: nr.sum(f(x, w, b) ** 2 * weight)
    xyz = tuple(map(nr.asarray, (x, w, b)))
    gradients = nr.grad(scalar, argnums=(0, 1, 2))
    found = [value(g) for g in nr.jit(gradients)(*xyz)]
    directions = tuple(nr.asarray(np.sin(np.arange(v.size) + 1.0).reshape(v.shape)) for v in xyz)
    _, (dx, dw, db) = nr.jvp(gradients, xyz, directions)  # forward over reverse
    along = lambda x, w, b: sum(
        nr.sum(g * d) for g, d in zip(gradients(x, w, b), directions, strict=True)
    )
    reverse = nr.jit(nr.grad(along, argnums=(0, 1, 2)))(*xyz)
    tangent = lambda x, w, b: nr.jvp(scalar, (x, w, b), directions)[1]
    mixed = nr.jit(nr.grad(tangent, argnums=(0, 1, 2)))(*xyz)  # reverse over forward
    for k, (other, second) in enumerate(zip((dx, dw, db), reverse, strict=True)):
        np.testing.assert_allclose(value(other), value(second), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(value(mixed[k]), value(second), rtol=1e-9, atol=1e-9)

    # along one random direction each: by central differences
    step = 1e-5
    for k in range(3):
        d = RNG.normal(size=xyz[k].shape)

        def moved(sign: int, k: int = k, d: Any = d) -> list[Any]:
            return [
                nr.asarray(np.asarray(v) + (sign * step * d if i == k else 0))
                for i, v in enumerate(xyz)
            ]

        up, down = (float(nr.jit(scalar)(*moved(s)).item()) for s in (1, -1))
        first = np.sum(found[k] * d)
        assert abs((up - down) / 2 / step - first) < 1e-6 * (1 + abs(first))
        up, down = (float(nr.jit(along)(*moved(s)).item()) for s in (1, -1))
        second = np.sum(value(reverse[k]) * d)
        assert abs((up - down) / 2 / step - second) < 1e-6 * (1 + abs(second))


@pytest.mark.parametrize("seed", range(12))
def test_random_options(seed: int) -> None:
    """Strides, paddings, dilations, groups and channels as they come: values, and derivatives in every
    order of modes."""
    rng = np.random.default_rng(seed)
    spatial, back = 1 + seed % 2, bool(seed // 2 % 2)
    draw = lambda low, high: tuple(int(v) for v in rng.integers(low, high, spatial))
    groups, inputs, outputs, batch = (int(v) for v in rng.integers(1, (4, 3, 3, 3)))
    taps, stride, dilation = draw(1, 4), draw(1, 4), draw(1, 3)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, taps, strict=True)]
    common = {"stride": stride, "dilation": dilation, "groups": groups}
    if back:
        lengths = draw(1, 4)
        cut = tuple(int(rng.integers(0, (r + 1) // 2)) for r in reach)
        extra = tuple(int(rng.integers(0, s)) for s in stride)
        w = rng.normal(size=(groups * inputs, outputs, *taps))
        g = (nr.conv_transpose1d, nr.conv_transpose2d)[spatial - 1]
        f = lambda x, w, b: g(x, w, b, padding=cut, output_padding=extra, **common)
        oracle = lambda x, w, b: transposed(x, w, b, stride, cut, extra, dilation, groups)
    else:
        lengths = tuple(r + int(v) for r, v in zip(reach, draw(0, 5), strict=True))
        widths = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (spatial, 2)))
        w = rng.normal(size=(groups * outputs, inputs, *taps))
        g = (nr.conv1d, nr.conv2d)[spatial - 1]
        f = lambda x, w, b: g(x, w, b, padding=widths, **common)
        oracle = lambda x, w, b: convolved(x, w, b, stride, widths, dilation, groups)
    x = rng.normal(size=(batch, groups * inputs, *lengths))
    b = rng.normal(size=groups * outputs)
    np.testing.assert_allclose(nr.jit(f)(x, w, b), oracle(x, w, b), rtol=1e-12, atol=1e-12)
    first, second, _ = check(f, None, [x / 4, w / 4, b], "leaf")
    assert first and second


def test_derivatives_of_composites() -> None:
    x, w = RNG.normal(size=(1, 2, 5)), RNG.normal(size=(2, 2, 3))
    f = lambda v: nr.sum(nr.conv1d(nr.sin(v), nr.exp(w), padding=1) ** 3)
    np.testing.assert_allclose(value(nr.grad(f)(nr.asarray(x))), slope(f, x), rtol=1e-6, atol=1e-6)
    g = lambda v: nr.sum(nr.grad(f)(v) ** 2)
    np.testing.assert_allclose(value(nr.grad(g)(nr.asarray(x))), slope(g, x), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("table", "name"), list(cases()))
def test_batched(table: Any, name: str) -> None:
    x, w, _ = operands(table, name)
    f = function(name, x.ndim - 2, table)
    xs, ws = np.stack([x, 2 * x, x - 1]), np.stack([w, w + 1, -w])
    for axes, given in (((0, None), (xs, w)), ((None, 0), (x, ws)), ((0, 0), (xs, ws))):
        got = nr.vmap(f, in_axes=axes)(*map(nr.asarray, given))
        want = [
            value(
                f(*(nr.asarray(v if a is None else v[i]) for v, a in zip(given, axes, strict=True)))
            )
            for i in range(3)
        ]
        np.testing.assert_allclose(value(got), np.stack(want), rtol=1e-12, atol=1e-12)


def test_without_a_batch_and_depthwise() -> None:
    x, w = RNG.normal(size=(3, 6, 7)), RNG.normal(size=(6, 1, 3, 3))
    want = convolved(x[None], w, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 3)[0]
    agree(nr.depthwise_conv2d(x, w, padding=1), want, 1e-12, 1e-12)
    agree(nr.conv2d(x, w, padding="same", groups=3), want, 1e-12, 1e-12)
    back = transposed(x[None], w[:3], None, (1, 1), (0, 0), (0, 0), (1, 1), 1)[0]
    agree(nr.conv_transpose2d(x, w[:3]), back, 1e-12, 1e-12)


def test_against_scipy() -> None:
    x, w = RNG.normal(size=(13, 11)), RNG.normal(size=(4, 3))
    got = nr.conv2d(x[None, None], w[None, None])
    agree(got[0, 0], signal.correlate2d(x, w, mode="valid"), 1e-12, 1e-12)
    got = nr.conv_transpose2d(x[None, None], w[None, None])
    agree(got[0, 0], signal.convolve2d(x, w, mode="full"), 1e-12, 1e-12)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float16", "complex128", "complex64"])
def test_dtypes(dtype: str) -> None:
    x, w = RNG.integers(0, 4, (2, 3, 7)).astype(dtype), RNG.integers(0, 3, (2, 3, 2)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        x, w = x + 1j * x[::-1], w - 2j * w[:, ::-1]
        x, w = x.astype(dtype), w.astype(dtype)
    want = convolved(x, w, None, (1,), ((0, 0),), (1,), 1).astype(dtype)
    got = np.asarray(nr.jit(nr.conv1d)(x, w))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_special_values_and_views() -> None:
    x = np.array([[[1.0, np.nan, 2.0, np.inf, 3.0, 4.0]]])
    got = value(nr.conv1d(x, np.ones((1, 1, 2)), padding=1))
    np.testing.assert_array_equal(got, [[[1, np.nan, np.nan, np.inf, np.inf, 7, 4]]])
    wide = RNG.normal(size=(14, 3, 2)).T[:, :, ::-2]
    w = RNG.normal(size=(3, 4, 3)).transpose(1, 0, 2)
    agree(nr.conv1d(wide, w), convolved(wide, w, None, (1,), ((0, 0),), (1,), 1), 1e-12, 1e-12)


def test_a_new_size_compiles_nothing() -> None:
    f = nr.jit(nr.grad(lambda x, w: nr.sum(nr.conv2d(x, w, padding=1) ** 2), argnums=(0, 1)))
    f(np.ones((20, 9, 30, 31)), np.ones((12, 9, 3, 3)))
    before = nr.cache.info()
    f(np.ones((22, 10, 40, 33)), np.ones((13, 10, 3, 3)))
    after = nr.cache.info()
    assert (after.compilations, after.disk) == (before.compilations, before.disk)


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    for table, name in ((PLAIN, "2d all"), (PLAIN, "2d depthwise"), (TRANSPOSED, "2d all")):
        x, w, b = (v.astype("f4") for v in operands(table, name))
        f = function(name, 2, table)
        g = nr.grad(lambda x, w, b, f=f: nr.sum(f(x, w, b) ** 2), argnums=(0, 1, 2))
        there = [nr.asarray(v, device="webgpu") for v in (x, w, b)]
        want = np.asarray(nr.jit(f)(x, w, b))
        np.testing.assert_allclose(np.asarray(nr.jit(f)(*there)), want, rtol=1e-4, atol=1e-4)
        for got, here in zip(nr.jit(g)(*there), nr.jit(g)(x, w, b), strict=True):
            np.testing.assert_allclose(np.asarray(got), np.asarray(here), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nr.conv1d(nr.ones((2, 3, 5)), nr.ones((4, 2, 3))), ("3 channels", "(2, 3, 5)")),
        (lambda: nr.conv1d(nr.ones((2, 3, 5)), nr.ones((4, 3, 6))), ("(6,)", "(5,)", "not fit")),
        (lambda: nr.conv1d(nr.ones((2, 5)), nr.ones((4, 5))), ("weight", "3 axes")),
        (lambda: nr.conv2d(nr.ones((2, 4, 5, 5)), nr.ones((3, 2, 1, 1)), groups=2), ("2 groups",)),
        (
            lambda: nr.conv1d(nr.ones((2, 3, 5)), nr.ones((4, 3, 3)), nr.ones(3)),
            ("bias", "(3,)", "4 output"),
        ),
        (lambda: nr.conv1d(nr.ones((1, 1, 5)), nr.ones((1, 1, 1)), stride=0), ("stride", "0")),
        (
            lambda: nr.conv2d(nr.ones((1, 1, 5, 5)), nr.ones((1, 1, 1, 1)), dilation=(1, 2, 3)),
            ("dilation", "(1, 2, 3)"),
        ),
        (
            lambda: nr.conv_transpose1d(nr.ones((1, 3, 5)), nr.ones((2, 1, 1))),
            ("conv_transpose1d", "(1, 3, 5)"),
        ),
        (
            lambda: nr.conv_transpose1d(
                nr.ones((1, 1, 5)), nr.ones((1, 1, 1)), stride=2, output_padding=2
            ),
            ("output_padding",),
        ),
        (
            lambda: nr.conv_transpose1d(nr.ones((1, 1, 2)), nr.ones((1, 1, 1)), padding=1),
            ("nothing is left", "(1, 1, 2)"),
        ),
    ],
)
def test_errors(call: Callable[[], Any], words: tuple[str, ...]) -> None:
    with pytest.raises(errors.ShapeError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_other_errors() -> None:
    with pytest.raises(errors.UnsupportedError, match="'reflect'"):
        nr.conv1d(nr.ones((1, 1, 5)), nr.ones((1, 1, 3)), padding="reflect")
    with pytest.raises(errors.DTypeError, match="conv1d"):
        nr.conv1d(np.ones((1, 1, 5), bool), np.ones((1, 1, 3), bool))
