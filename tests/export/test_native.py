"""Target "native": the same results as the jit, the calling convention, and what is in the files."""

from __future__ import annotations

import ctypes
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
import numr.primitives
from numr.array import from_node
from numr.codegen.export import abi
from numr.export import Bundle
from numr.functions.operands import node_of
from numr.ir.primitive import REGISTRY, Primitive, Sample
from tests.backends.test_conformance import agree
from tests.backends.test_derivatives import TOLERANCE, gradients, smooth_samples

Given = tuple[Any, ...]
# One of each kind: by element, sums, products of matrices, choices, movement, prefixes, decompositions.
DERIVED = (
    "atan2", "cholesky", "concat", "cumsum", "div", "erf", "gather", "matmul", "pow", "reduce_max",
    "reduce_prod", "scatter", "select", "slide", "solve", "sort", "tanh",
)  # fmt: skip


def specs_of(arrays: Given) -> tuple[Any, ...]:
    return tuple(nr.spec(*np.shape(x), dtype=str(np.asarray(x).dtype)) for x in arrays)


def called(prim: Primitive, sample: Sample) -> Callable[..., Any]:
    return lambda *xs: from_node(prim(*map(node_of, xs), **sample.params))


def primitives() -> Iterator[tuple[str, Callable[..., Any], Given]]:
    """A sample of every primitive, and first and second derivatives of some."""
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        # The one of most elements: the first ones are empty.
        samples = sorted(prim.samples(rng), key=lambda s: sum(np.size(x) for x in s.operands))
        for sample in samples[-1:]:
            yield f"{name}_value", called(prim, sample), sample.operands
    seen = set()
    for prim, sample in (p.values for p in smooth_samples()):
        if prim.name in DERIVED and prim.name not in seen:
            seen.add(prim.name)
            given, functions = gradients(prim, sample)
            for order, f in zip(("first", "second"), functions, strict=True):
                yield f"{prim.name}_{order}", f, tuple(given)
    assert seen == set(DERIVED)


def test_every_primitive_and_derivatives(tmp_path: Path) -> None:
    known = {name: (f, given) for name, f, given in primitives()}
    nr.export(
        {name: (f, specs_of(given)) for name, (f, given) in known.items()},
        target="native",
        path=tmp_path / "all",
        shared=False,
    )
    bundle = nr.load(tmp_path / "all")
    for name, (f, given) in known.items():
        want, got = nr.jit(f, device="reference")(*given), getattr(bundle, name)(*given)
        several = isinstance(want, (tuple, list))
        for g, w in zip(got if several else [got], want if several else [want], strict=True):
            if name.endswith("value"):
                agree(g, w.numpy(), name)
                continue
            w = w.numpy()
            scale = np.abs(w[np.isfinite(w)]).max(initial=1.0)
            np.testing.assert_allclose(g, w, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=name)


# -- the same kernels --------------------------------------------------------------------------------


def energy(x: Any, k: Any) -> Any:
    """The energy of a chain of springs."""
    return nr.sum(0.5 * k * nr.diff(x) ** 2)


def softmax(x: Any) -> Any:
    e = nr.exp(x - nr.max(x, axis=1, keepdims=True))
    return e / nr.sum(e, axis=1, keepdims=True)


def decay(x: Any, rate: Any) -> Any:
    """A loop that ends by a condition, as one kernel."""
    return nr.while_loop(lambda c: c[0] > 1e-3, lambda c: (c[0] * rate, c[1] + 1), (x, 0))


def mixed(x: Any) -> Any:
    """Rounds of several kernels each."""
    step = lambda c, a: (nr.roll(c, 1) * 0.5 + a, nr.sum(c))
    return nr.scan(step, nr.zeros(x.shape[1]), x)


def grown(x: Any) -> Any:
    """A condition on all that is carried."""
    return nr.while_loop(lambda c: nr.sum(c) < 100, lambda c: nr.roll(c, 1) * 2 + 1, x)


def either(x: Any, i: Any) -> Any:
    """Branches of several kernels."""
    branches = [lambda x: nr.sort(x), lambda x: nr.cumsum(x), lambda x: x[::-1] + nr.sum(x)]
    return nr.switch(i, branches, x)


def spread(x: Any, y: Any) -> Any:
    """What needs a workspace."""
    return nr.tanh(x @ y) / nr.sum(nr.cosh(x) ** 2)


N, M = nr.spec("n"), nr.spec("n", "m")
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "energy": (energy, (N, nr.spec("n-1"))),
    "force": (nr.grad(energy), (N, nr.spec("n-1"))),
    "stiffness": (nr.hessian(energy), (nr.spec(5), nr.spec(4))),
    "softmax": (softmax, (M,)),
    "rows": (nr.vmap(energy), (M, nr.spec("n", "m-1"))),
    "decay": (nr.vmap(decay, in_axes=(0, None)), (N, nr.spec())),
    "mixed": (mixed, (M,)),
    "grown": (grown, (N,)),
    "either": (either, (nr.spec(6), nr.spec(dtype="i64"))),
    "spread": (spread, (nr.spec("n", "m"), nr.spec("m", "n"))),
    "product": (lambda z, w: z * nr.conj(w) + 1j, (nr.spec("n", dtype="c128"),) * 2),
    "halves": (lambda x: x * x, (nr.spec("n", dtype="f16"),)),
    "second": (lambda x: x[2:] - x[:-2], (N,)),
    "signs": (lambda x: (x > 0, nr.logical_not(x > 0)), (N,)),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("native") / "all"
    return nr.export(FUNCTIONS, target="native", path=folder, shared=True)


@pytest.fixture(scope="module")
def loaded(bundle: Bundle) -> Any:
    return nr.load(bundle.path)


def chains(n: int) -> Given:
    rng = np.random.default_rng(n)
    return rng.normal(size=n), rng.normal(size=n - 1)


def same(got: Any, want: Any) -> None:
    """Results of the same kernels: equal in every bit."""
    several = isinstance(want, tuple)
    assert isinstance(got, tuple) == several
    for g, w in zip(got if several else (got,), want if several else (want,), strict=True):
        assert type(g) is np.ndarray
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        np.testing.assert_array_equal(g, w.numpy())
        if g.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(g), np.signbit(w.numpy()))


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_symbolic_sizes_are_the_jits_bit_for_bit(loaded: Any, n: int) -> None:
    x, k = chains(n)
    same(loaded.energy(x, k), nr.jit(energy)(x, k))
    same(loaded.force(x, k), nr.jit(nr.grad(energy))(x, k))
    odd = np.resize([np.nan, np.inf, -0.0, 0.0, -1.0, 5e-324], n)
    same(loaded.signs(odd), nr.jit(FUNCTIONS["signs"][0])(odd))
    z = np.exp(1j * x)
    same(loaded.product(z, z + 1), nr.jit(FUNCTIONS["product"][0])(z, z + 1))
    half = x.astype(np.float16)
    same(loaded.halves(half), nr.jit(FUNCTIONS["halves"][0])(half))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (2, 40), (30, 7)])
def test_two_symbolic_sizes(loaded: Any, n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    x, y, k = rng.normal(size=(n, m)), rng.normal(size=(m, n)), rng.normal(size=(n, m - 1))
    for name, f, *given in (
        ("softmax", softmax, x),
        ("rows", nr.vmap(energy), x, k),
        ("mixed", mixed, x),
        ("spread", spread, x, y),
    ):
        got, want = getattr(loaded, name)(*given), nr.jit(f)(*given)
        several = isinstance(want, tuple)
        for g, w in zip(got if several else [got], want if several else [want], strict=True):
            # Sums of rows of another length may be arranged otherwise.
            np.testing.assert_allclose(g, w.numpy(), rtol=1e-13, atol=1e-13, err_msg=name)


def test_a_second_derivative_bit_for_bit(loaded: Any) -> None:
    x, k = chains(5)
    same(loaded.stiffness(x, k), nr.jit(nr.hessian(energy))(x, k))


def test_every_kind_of_loop_and_branch(bundle: Bundle, loaded: Any) -> None:
    for name, kind in (
        ("decay", "repeat "),
        ("mixed", "for round1 in 1 .. n"),
        ("grown", "while temp"),
        ("either", "switch "),
    ):
        assert kind in bundle.steps[name], name
    x = np.linspace(0.1, 30.0, 9)
    same(loaded.decay(x, 0.7), nr.jit(nr.vmap(decay, in_axes=(0, None)))(x, np.float64(0.7)))
    same(loaded.grown(np.zeros(4)), nr.jit(grown)(np.zeros(4)))
    same(loaded.grown(np.full(4, 50.0)), nr.jit(grown)(np.full(4, 50.0)))
    x = np.array([3.0, -1.0, 2.0, 0.5, -0.0, 7.0])
    for i in (-5, 0, 1, 2, 9):
        same(loaded.either(x, i), nr.jit(either)(x, np.int64(i)))


def test_nothing_is_copied_from_one_call_to_the_next(loaded: Any) -> None:
    x, k = chains(17)
    first = loaded.force(x, k)
    kept = first.copy()
    assert loaded.force(2 * x, k) is not first
    np.testing.assert_array_equal(first, kept)


# -- the calling convention ----------------------------------------------------------------------------


def library(bundle: Bundle) -> ctypes.CDLL:
    found = ctypes.CDLL(str(bundle.path / "liball.so"))
    for entry in FUNCTIONS:
        getattr(found, f"all_{entry}_workspace").restype = ctypes.c_int64
    found.all_metadata.restype = ctypes.c_char_p
    return found


def pointer(x: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.ctypes.data)


def long(n: int) -> ctypes.c_int64:
    return ctypes.c_int64(n)


@pytest.mark.parametrize("n", [0, -1, -(2**63), 2**62, 2**63 - 1])
def test_sizes_that_are_none_write_nothing(bundle: Bundle, n: int) -> None:
    found = library(bundle)
    (x, k), out = chains(17), np.full(17, 5.0)
    status = found.all_force(pointer(x), pointer(k), pointer(out), long(n), None)
    assert (status, found.all_force_workspace(long(n))) == (abi.SIZE, -1)
    status = found.all_spread(
        pointer(x), pointer(x), pointer(out), long(n), long(2), pointer(np.zeros(999))
    )
    assert (status, found.all_spread_workspace(long(n), long(2))) == (abi.SIZE, -1)
    assert (out == 5.0).all()


def test_products_of_sizes_that_overflow_are_refused(bundle: Bundle) -> None:
    found = library(bundle)
    out = np.full(4, 5.0)
    # 2^64 elements, which as an int64_t are none.
    large = long(2**32)
    given = [pointer(out)] * 3
    assert found.all_spread(*given, large, large, pointer(np.zeros(999))) == abi.SIZE
    assert found.all_softmax_workspace(large, large) == -1
    assert (out == 5.0).all()


def test_a_condition_that_does_not_hold_writes_nothing(bundle: Bundle, loaded: Any) -> None:
    assert "requires n - 2 >= 0" in bundle.steps["second"]
    found = library(bundle)
    x, out = np.arange(6.0) ** 2, np.full(6, 5.0)
    assert (found.all_second_workspace(long(1)), found.all_second_workspace(long(2))) == (-1, 0)
    assert found.all_second(pointer(x), pointer(out), long(1), None) == abi.SIZE
    assert (out == 5.0).all()
    assert loaded.second(x[:2]).shape == (0,)
    np.testing.assert_array_equal(loaded.second(x), x[2:] - x[:-2])


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_null_pointers_write_nothing(bundle: Bundle, missing: int) -> None:
    found = library(bundle)
    x, out = np.ones(6), np.full(9, 5.0)
    size = found.all_spread_workspace(long(3), long(2))
    assert size > 0
    given = [pointer(x), pointer(x), pointer(out), long(3), long(2), pointer(np.zeros(size))]
    given[missing if missing < 3 else 5] = ctypes.c_void_p(None)
    assert found.all_spread(*given) == abi.NULL
    assert (out == 5.0).all()


@pytest.mark.parametrize("offset", [0, 1, 8, 63])
def test_a_workspace_begins_anywhere_and_is_not_left(bundle: Bundle, offset: int) -> None:
    found = library(bundle)
    x, out = np.random.default_rng(0).normal(size=(3, 2)), np.zeros((3, 3))
    size = found.all_spread_workspace(long(3), long(2))
    memory = np.full(size + 256, 77, np.uint8)
    first = (-memory.ctypes.data) % 64 + offset
    work = ctypes.c_void_p(memory.ctypes.data + first)
    assert found.all_spread(pointer(x), pointer(x), pointer(out), long(3), long(2), work) == abi.OK
    np.testing.assert_allclose(out, spread(x, x.reshape(2, 3)), rtol=1e-13)
    assert (memory[:first] == 77).all() and (memory[first + size :] == 77).all()


def test_what_needs_no_workspace_takes_none(bundle: Bundle) -> None:
    found = library(bundle)
    assert found.all_force_workspace(long(17)) == 0
    (x, k), out = chains(17), np.zeros(17)
    assert found.all_force(pointer(x), pointer(k), pointer(out), long(17), None) == abi.OK
    np.testing.assert_allclose(out, nr.grad(energy)(x, k))


def test_a_library_says_what_it_is(bundle: Bundle) -> None:
    said = json.loads(library(bundle).all_metadata())
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert said["functions"] == manifest["functions"]
    assert (said["format"], said["numr"]) == (manifest["format"], nr.__version__)
    force = next(f for f in said["functions"] if f["name"] == "force")
    assert force["sizes"] == ["n"]
    assert force["inputs"][1] == {
        "name": "k",
        "path": "k",
        "dtype": "float64",
        "shape": [["+", "n", -1]],
    }


def test_threads(loaded: Any) -> None:
    rng = np.random.default_rng(0)
    given = [(rng.normal(size=(60, 30)), rng.normal(size=(30, 60))) for _ in range(4)]
    want = [loaded.spread(*g) for g in given]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(200):
            if not np.array_equal(loaded.spread(*given[k]), want[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
