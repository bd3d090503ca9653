"""qr, eigh, svd, lstsq and their kin: NumPy's values, mpmath's derivatives, and where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg

import numr as nr
from numr.codegen.backends.cpu.library import LIBRARY

L = nr.linalg
rng = np.random.default_rng(11)
TALL, SQUARE = rng.normal(size=(4, 3)), rng.normal(size=(3, 3))
ALONG = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
B = rng.normal(size=(4, 2))
P = np.array([0.3, -1.1, 0.7, 0.4])


def run(f: Callable[..., Any], *xs: Any) -> Any:
    """What NumPy computes of a function's graph, which is one on every device; nothing is compiled."""
    found = nr.jit(f, device="reference")(*xs)
    return found.numpy() if isinstance(found, nr.Array) else found


def gradient(f: Callable[..., Any], x: Any) -> Any:
    return run(nr.grad(f), x)


def tangent(f: Callable[..., Any], x: Any, t: Any) -> Any:
    return run(lambda x, t: nr.jvp(f, (x,), (t,))[1], x, t)


def complexed(x: Any) -> Any:
    return x + 1j * np.roll(x, 1, axis=0) / 2


def parts(found: Any) -> list[Any]:
    return [np.asarray(x) for x in (found if isinstance(found, tuple) else (found,))]


# -- values ----------------------------------------------------------------------------------------

SHAPES = [(4, 3), (3, 4), (3, 3), (1, 1), (1, 3), (5, 1), (2, 4, 3), (2, 1, 3, 5)]


def conj_t(x: Any) -> Any:
    return np.conj(np.swapaxes(x, -1, -2))


def orthonormal(q: Any) -> None:
    np.testing.assert_allclose(
        conj_t(q) @ q, np.broadcast_to(np.eye(q.shape[-1]), (*q.shape[:-2], *[q.shape[-1]] * 2)),
        atol=1e-13,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values(shape: tuple[int, ...], kind: str) -> None:
    x = rng.normal(size=shape)
    x = complexed(x) if kind == "complex" else x
    *lead, m, n = shape
    k = min(m, n)
    for full in (False, True):
        u, s, vh = parts(L.svd(nr.asarray(x), full_matrices=full))
        assert u.shape == (*lead, m, m if full else k) and vh.shape == (*lead, n if full else k, n)
        orthonormal(u)
        orthonormal(conj_t(vh))
        np.testing.assert_allclose((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x, atol=1e-13)
        np.testing.assert_allclose(s, np.linalg.svd(x, compute_uv=False), atol=1e-13)
        assert s.dtype == np.float64
        mode = "complete" if full else "reduced"
        q, r = parts(L.qr(nr.asarray(x), mode=mode))
        want = np.linalg.qr(x, mode=mode)
        assert q.shape == want[0].shape and r.shape == want[1].shape
        orthonormal(q)
        np.testing.assert_allclose(q @ r, x, atol=1e-13)
        np.testing.assert_array_equal(r, np.triu(r))
        np.testing.assert_allclose(np.abs(r), np.abs(want[1]), atol=1e-13)
    np.testing.assert_allclose(parts(L.svdvals(nr.asarray(x)))[0], s)
    np.testing.assert_allclose(parts(L.pinv(nr.asarray(x)))[0], np.linalg.pinv(x), atol=1e-12)
    b = rng.normal(size=(*shape[:-1], 2))
    solution, residuals, rank, values = parts(L.lstsq(x, b))
    np.testing.assert_allclose(solution, np.linalg.pinv(x) @ b, atol=1e-12)
    np.testing.assert_allclose(
        residuals, np.sum(np.abs(b - x @ solution) ** 2, axis=-2), atol=1e-12
    )
    assert (rank == k).all() and rank.shape == tuple(lead)
    np.testing.assert_allclose(values, s)
    if m == n:
        h = x + conj_t(x)
        w, v = parts(L.eigh(nr.asarray(x) * 2.0))
        orthonormal(v)
        np.testing.assert_allclose(w, np.linalg.eigvalsh(h), atol=1e-13)
        np.testing.assert_allclose((v * w[..., None, :]) @ conj_t(v), h, atol=1e-13)
        np.testing.assert_allclose(parts(L.eigvalsh(nr.asarray(h)))[0], w)


def test_a_vector_is_solved_for_as_one() -> None:
    got = L.lstsq(TALL, B[:, 0])
    want = np.linalg.lstsq(TALL, B[:, 0], rcond=None)
    np.testing.assert_allclose(got.solution, want[0])
    np.testing.assert_allclose(got.residuals, want[1][0])
    stack = np.stack([TALL, 2 * TALL])
    assert L.lstsq(stack, B[:, 0]).solution.shape == (2, 3)
    whole = L.lstsq(np.array([[2, 0], [0, 4]]), np.array([2, 4]))  # integers are floats here
    np.testing.assert_allclose(whole.solution, [1, 1])


@pytest.mark.parametrize(
    "shape", [(0, 0), (3, 0), (0, 3), (2, 0, 0), (0, 3, 2), (2, 0, 3)], ids=str
)
def test_empty_matrices(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    for full in (False, True):
        mode = "complete" if full else "reduced"
        got = [*L.svd(x, full_matrices=full), *L.qr(x, mode=mode)]
        want = [*np.linalg.svd(x, full_matrices=full), *np.linalg.qr(x, mode=mode)]
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_equal(g, w)
    assert L.pinv(x).shape == np.linalg.pinv(x).shape
    np.testing.assert_array_equal(L.matrix_rank(x), np.zeros(shape[:-2]))
    if shape[-1] == shape[-2]:
        assert [p.shape for p in L.eigh(x)] == [p.shape for p in np.linalg.eigh(x)]
    for f in (L.svdvals, L.pinv, lambda x: L.qr(x).R, lambda x: L.svd(x, full_matrices=False).U):
        assert gradient(lambda x, f=f: nr.sum(x) + nr.sum(f(x)), x).shape == shape


def test_ranks() -> None:
    low = np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 2.0])
    stack = np.stack([low, np.zeros((3, 3)), SQUARE, np.diag([1.0, 1e-9, 1.0])])
    np.testing.assert_array_equal(L.matrix_rank(stack), [1, 0, 3, 3])
    np.testing.assert_array_equal(L.matrix_rank(stack, rtol=1e-6), [1, 0, 3, 2])
    assert L.lstsq(stack, np.ones((3, 1)), rcond=1e-6).rank.tolist() == [1, 0, 3, 2]
    np.testing.assert_allclose(L.pinv(low), np.linalg.pinv(low), atol=1e-15)
    np.testing.assert_allclose(L.pinv(stack[3], rtol=1e-6), np.diag([1.0, 0.0, 1.0]))
    b = np.array([1.0, 2.0, 0.0])
    np.testing.assert_allclose(L.lstsq(low, b).solution, np.linalg.lstsq(low, b, rcond=None)[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite(bad: float) -> None:
    """NaN, for that matrix of the stack alone; its rank is 0."""
    x = np.stack([SQUARE, SQUARE])
    x[0, 1, 1] = bad
    for f in (L.svd, L.eigh, L.qr, L.pinv, lambda x: L.lstsq(x, np.ones(3)).solution):
        for part, other in zip(parts(f(x)), parts(f(x[1:])), strict=True):
            assert np.isnan(part[0]).any()
            np.testing.assert_array_equal(part[1:], other)
    assert L.matrix_rank(x).tolist() == [0, 3]
    for f in (L.svdvals, L.pinv, lambda x: L.qr(x).R[..., 0, 0]):
        slope = gradient(lambda x, f=f: nr.sum(f(x)), x)
        assert np.isnan(slope[0]).any() and np.isfinite(slope[1]).all()


def test_the_sign_of_a_vector() -> None:
    """The first component that is half as large as the largest is positive."""
    x = SQUARE + SQUARE.T
    for a in (x, complexed(x) + conj_t(complexed(x))):
        for v in (parts(L.eigh(a))[1], parts(L.svd(a))[0], conj_t(parts(L.svd(a[:2]))[2])):
            size = np.abs(v)
            first = (size >= size.max(axis=0) / 2).argmax(axis=0)
            chosen = v[first, np.arange(v.shape[1])]
            np.testing.assert_allclose(chosen, np.abs(chosen))


def test_lapack_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        function = LIBRARY[name]
        return lambda *args, **kwargs: (called.append(name), function(*args, **kwargs))[1]

    for name in ("eigh", "svd", "qr"):
        monkeypatch.setitem(LIBRARY, name, noted(name))
    spd = SQUARE @ SQUARE.T
    both = lambda a: nr.sum(nr.sin(L.eigh(a).eigenvectors ** 2) * L.eigh(a).eigenvalues)
    fitted = lambda a: nr.sum(L.lstsq(a, B[:, 0]).solution ** 2)
    triangles = lambda a: nr.sum(L.qr(a).Q ** 3) + nr.sum(nr.sin(L.qr(a).R))
    for name, f, x in (
        ("eigh", nr.value_and_grad(both), spd),
        ("svd", nr.hessian(fitted), TALL),
        ("qr", nr.value_and_grad(triangles), TALL),
    ):
        got = nr.jit(f)(x)
        assert called == [name]
        called.clear()
        for g, w in zip(parts(got), parts(run(f, x)), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-10)
    w, v = L.eigh(nr.ones((7, 7)))  # of a size that nothing is bound to yet
    w.numpy(), v.numpy()
    assert called == ["eigh"]


def test_one_program_for_all_sizes() -> None:
    """What is compiled for one size is right for another of the same structure."""
    f = nr.jit(lambda a: (*L.svd(a, full_matrices=False), *L.eigh(a.mT @ a), *L.qr(a)))
    for n in (9, 13, 16, 40):
        a = rng.normal(size=(n + 2, n))
        u, s, vh, w, v, q, r = parts(f(a))
        np.testing.assert_allclose((u * s) @ vh, a, atol=1e-12)
        np.testing.assert_allclose((v * w) @ v.T, a.T @ a, atol=1e-11)
        np.testing.assert_allclose(q @ r, a, atol=1e-12)


# -- derivatives -----------------------------------------------------------------------------------


def mp(x: Any) -> Any:
    return mpmath.matrix(np.asarray(x).tolist())


def mp_dot(p: Any, x: Any, k: int) -> Any:
    """p^T x of column k."""
    return mpmath.fsum(float(c) * x[i, k] for i, c in zip(range(x.rows), p, strict=False))


def size2(x: Any) -> Any:
    return mpmath.re(x * mpmath.conj(x))


def mp_eigh(a: Any) -> Any:
    w, v = mpmath.eighe((a + a.H) / 2)
    return mpmath.fsum(
        (k + 1) * mpmath.sin(w[k]) * (1 + size2(mp_dot(P, v, k))) for k in range(len(w))
    )


def of_eigh(a: Any) -> Any:
    w, v = L.eigh(a)
    size = nr.abs(nr.sum(P[: v.shape[0], None] * v, axis=0)) ** 2
    return nr.sum(nr.arange(1.0, 1.0 + w.shape[0]) * nr.sin(w) * (1.0 + size))


def mp_svd(a: Any) -> Any:
    # Of the eigenvectors of A^H A and A A^H: mpmath's own SVD does without vectors of rectangles.
    k = min(a.rows, a.cols)
    left, right = mpmath.eighe(a * a.H), mpmath.eighe(a.H * a)
    total = mpmath.mpf(0)
    for i in range(k):
        s = mpmath.sqrt(left[0][a.rows - 1 - i])
        p = size2(mp_dot(P, left[1], a.rows - 1 - i))
        q = size2(mp_dot(P[::-1], right[1], a.cols - 1 - i))
        total += (i + 1) * mpmath.sin(s) * (1 + p) * (2 - q)
    return total


def of_svd(a: Any, full: bool = False) -> Any:
    u, s, vh = L.svd(a, full_matrices=full)
    k = s.shape[0]
    p = nr.abs(nr.sum(P[: u.shape[0], None] * u[:, :k], axis=0)) ** 2
    q = nr.abs(nr.sum(P[::-1][: vh.shape[1]] * vh[:k], axis=1)) ** 2
    return nr.sum(nr.arange(1.0, 1.0 + k) * nr.sin(s) * (1.0 + p) * (2.0 - q))


def of_full_svd(a: Any) -> Any:
    """The squares of the length that the vectors beside the thin ones share with P say the same."""
    u, _, vh = L.svd(a, full_matrices=True)
    rest = 0.0
    for v, p in ((u, P), (nr.conj(vh.mT), P[::-1])):
        missing = v[:, min(a.shape) :]
        rest = rest + nr.sum(nr.abs(nr.sum(p[: v.shape[0], None] * missing, axis=0)) ** 2)
    return nr.sin(rest) + of_svd(a, True)


def mp_full_svd(a: Any) -> Any:
    rest = mpmath.mpf(0)
    k = min(a.rows, a.cols)
    for h, p in ((a * a.H, P), (a.H * a, P[::-1])):
        v = mpmath.eighe(h)[1]
        rest += mpmath.fsum(size2(mp_dot(p, v, i)) for i in range(h.rows - k))
    return mpmath.sin(rest) + mp_svd(a)


def mp_qr(a: Any) -> Any:
    """By Gram and Schmidt."""
    columns: list[Any] = []
    total = mpmath.mpf(0)
    for j in range(a.cols):
        rest = a[:, j]
        for i, q in enumerate(columns):
            r = (q.H * a[:, j])[0]
            rest = rest - q * r
            total += (i + 2 * j) * mpmath.sin(size2(r))
        if j < a.rows:
            r = mpmath.norm(rest)
            columns.append(rest / r)
            total += 3 * mpmath.sin(r**2) + mpmath.sin((j + 1) * size2(mp_dot(P, columns[-1], 0)))
    return total


def of_qr(a: Any, mode: str = "reduced") -> Any:
    q, r = L.qr(a, mode=mode)
    k = min(a.shape)
    p = nr.abs(nr.sum(P[: q.shape[0], None] * q[:, :k], axis=0)) ** 2
    i, j = nr.arange(k)[:, None], nr.arange(r.shape[1])
    weight = nr.where(i == j, 3.0, nr.where(i < j, i + 2.0 * j, 0.0))
    return nr.sum(weight * nr.sin(nr.abs(r[:k]) ** 2)) + nr.sum(nr.sin(nr.arange(1.0, 1.0 + k) * p))


def mp_sines(x: Any) -> Any:
    terms = ((i + 1, j + 2, x[i, j]) for i in range(x.rows) for j in range(x.cols))
    return mpmath.fsum(mpmath.sin(i * mpmath.re(v) + j * mpmath.im(v)) for i, j, v in terms)


def of_sines(x: Any) -> Any:
    i, j = nr.arange(1.0, 1.0 + x.shape[0])[:, None], nr.arange(2.0, 2.0 + x.shape[1])
    return nr.sum(nr.sin(i * nr.real(x) + j * nr.imag(x)))


def mp_pinv(a: Any) -> Any:
    return (a.H * a) ** -1 * a.H if a.rows >= a.cols else a.H * (a * a.H) ** -1


CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any]] = {
    "eigh": (of_eigh, mp_eigh, SQUARE),
    "svd": (of_svd, mp_svd, TALL),
    "svd-square": (of_svd, mp_svd, SQUARE),
    "svd-wide": (of_svd, mp_svd, TALL.T[:2]),
    "svd-full": (of_full_svd, mp_full_svd, TALL[:, :2]),
    "qr": (of_qr, mp_qr, TALL),
    "qr-square": (of_qr, mp_qr, SQUARE),
    "qr-wide": (of_qr, mp_qr, TALL.T[:2]),
    "qr-complete": (lambda a: of_qr(a, "complete"), mp_qr, TALL),
    "lstsq": (
        lambda a: of_sines(L.lstsq(a, B).solution),
        lambda a: mp_sines(mp_pinv(a) * mp(B)),
        TALL,
    ),
    "lstsq-wide": (
        lambda a: of_sines(L.lstsq(a, B[:2]).solution),
        lambda a: mp_sines(mp_pinv(a) * mp(B[:2])),
        TALL.T[:2],
    ),
    "residuals": (
        lambda a: nr.sum(nr.sin(L.lstsq(a, B).residuals)),
        lambda a: mpmath.fsum(
            mpmath.sin(mpmath.norm((mp(B) - a * (mp_pinv(a) * mp(B)))[:, k]) ** 2) for k in (0, 1)
        ),
        TALL,
    ),
    "pinv": (lambda a: of_sines(L.pinv(a)), lambda a: mp_sines(mp_pinv(a)), TALL[:, :2]),
}


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("name", CASES)
def test_first_and_second_order_against_mpmath(name: str, kind: str) -> None:
    """Differences of 50 digits along a direction; the second order in three ways, and symmetric."""
    f, exact, a = CASES[name]
    d = ALONG[: a.shape[0], : a.shape[1]]
    a, d = (complexed(a), d) if kind == "complex" else (a, d.real)
    with mpmath.workdps(50):
        h = mpmath.mpf(10) ** -14
        values = [exact(mp(a) + k * h * mp(d)) for k in (-1, 0, 1)]
        first = float((values[2] - values[0]) / (2 * h))
        second = float((values[2] - 2 * values[1] + values[0]) / h**2)
    slope = nr.grad(f)
    along = lambda x, d: nr.real(nr.sum(slope(x) * d))
    value, pushed = run(lambda x, d: nr.jvp(f, (x,), (d,)), a, d)
    assert value.item() == pytest.approx(float(values[1]), rel=1e-12)
    assert pushed.item() == pytest.approx(first, rel=1e-10)
    pushed, pulled = run(lambda x, d: (nr.jvp(slope, (x,), (d,))[1], nr.grad(along)(x, d)), a, d)
    np.testing.assert_allclose(pushed, pulled, rtol=1e-9, atol=1e-9)
    assert run(along, a, d).item() == pytest.approx(first, rel=1e-10)
    assert np.sum(np.asarray(pushed) * d).real == pytest.approx(second, rel=1e-9)
    # Twice forwards.
    twice = run(lambda x, d: nr.jvp(lambda x: nr.jvp(f, (x,), (d,))[1], (x,), (d,))[1], a, d)
    assert twice.item() == pytest.approx(second, rel=1e-9)


FACTORS: dict[str, tuple[Callable[..., Any], Any]] = {
    "eigh": (L.eigh, SQUARE),
    "svd": (lambda a: L.svd(a, full_matrices=False), TALL),
    "qr": (L.qr, TALL),
    "lstsq": (lambda a: L.lstsq(a, B)[:2], TALL),
}


@pytest.mark.parametrize("name", FACTORS)
def test_forward_and_reverse_agree_under_vmap(name: str) -> None:
    """<J v, u> = <v, J' u> for all the factors together; a stack is a loop."""
    f, a = FACTORS[name]
    v = rng.normal(size=a.shape)
    out, pushed = run(lambda x, v: nr.jvp(f, (x,), (v,)), a, v)
    u = [rng.normal(size=p.shape) for p in out]
    loss = lambda x, *u: sum(nr.sum(p * c) for p, c in zip(f(x), u, strict=True))
    there = sum(np.sum(np.asarray(p) * c) for p, c in zip(pushed, u, strict=True))
    assert np.sum(run(nr.grad(loss), a, *u) * v) == pytest.approx(there, rel=1e-10)
    slope = nr.grad(lambda x: sum(nr.sum(nr.sin(p)) for p in f(x)))
    stack = np.stack([a, 2.0 * a, a - 1.0])
    looped = np.stack([run(slope, row) for row in stack])
    for batched in (nr.vmap(slope), slope):
        np.testing.assert_allclose(run(batched, stack), looped, rtol=1e-9, atol=1e-10)


def test_both_triangles_count() -> None:
    """The mean with the conjugate transpose is what is decomposed: its gradient is symmetric."""
    x = SQUARE + 1j * TALL[:3]
    mean = (x + conj_t(x)) / 2
    for f in (of_eigh, lambda a: nr.sum(nr.real(L.cholesky(a + 9.0 * nr.eye(3))))):
        np.testing.assert_allclose(run(f, x), run(f, mean), rtol=1e-13)
        slope = gradient(f, x)
        np.testing.assert_allclose(slope, conj_t(slope), atol=1e-13)


# -- where there is no derivative ------------------------------------------------------------------

TURN = np.linalg.qr(rng.normal(size=(3, 3)))[0]
TWICE = TURN @ np.diag([2.0, 2.0, 5.0]) @ TURN.T
TWICE = (TWICE + TWICE.T) / 2


@pytest.mark.parametrize("x", [np.eye(3), TWICE, np.zeros((3, 3))], ids=["one", "turned", "zero"])
def test_symmetric_functions_of_repeated_eigenvalues(x: Any) -> None:
    """Their first derivatives are exact: of the trace of a function of a matrix, the function's."""
    slope = gradient(lambda a: nr.sum(L.eigvalsh(a)), x)
    np.testing.assert_allclose(slope, np.eye(3), atol=1e-14)
    slope = gradient(lambda a: nr.sum(nr.exp(L.eigvalsh(a))), x)
    np.testing.assert_allclose(slope, scipy.linalg.expm(x), rtol=1e-13, atol=1e-13)
    d = rng.normal(size=(3, 3))
    pushed = tangent(lambda a: nr.sum(L.eigvalsh(a) ** 3), x, d)
    assert pushed.item() == pytest.approx(np.trace(3 * x @ x @ d), abs=1e-12)
    # Second derivatives go through the vectors, which have none here.
    assert np.isnan(run(nr.hessian(lambda a: nr.sum(L.eigvalsh(a) ** 2)), x)).any()


def test_vectors_of_repeated_values_have_no_derivative() -> None:
    p = P[:3]
    for x in (TWICE, TWICE + 1e-16 * TALL[:3]):
        slope = gradient(lambda a: nr.sum((p @ L.eigh(a).eigenvectors) ** 4), x)
        assert np.isnan(slope).all()
        for part in ("U", "Vh"):
            slope = gradient(lambda a, part=part: nr.sum((p @ getattr(L.svd(a), part)) ** 4), x)
            assert np.isnan(slope).all()
    # Where a cotangent is exactly 0 nothing is divided: the space of the third vector is well defined.
    x = np.diag([2.0, 2.0, 5.0])
    slope = gradient(lambda a: L.eigh(a).eigenvectors[0, 2], x)
    np.testing.assert_allclose(slope, [[0, 0, 1 / 6], [0, 0, 0], [1 / 6, 0, 0]], atol=1e-16)
    # And a change that leaves the repeated ones alone.
    t = np.array([[1.0, 0, 2], [0, 3, 0], [2, 0, 0]])
    pushed = tangent(lambda a: L.eigh(a).eigenvectors, x, t)
    want = np.array([[0, 0, 2 / 3], [0, 0, 0], [-2 / 3, 0, 0]])
    np.testing.assert_allclose(pushed, want, atol=1e-15)


def test_values_near_each_other_are_still_apart() -> None:
    """A gap of a thousand roundings is one: the derivative is large and right to its digits."""
    gap = 2.0**-40
    x = np.diag([1.0, 1.0 + gap])
    slope = gradient(lambda a: L.eigh(a).eigenvectors[0, 1], x)
    np.testing.assert_allclose(slope, np.array([[0, 0.5], [0.5, 0]]) / gap, rtol=1e-3)


def test_singular_values_that_repeat_or_are_zero() -> None:
    x = 2.0 * TURN
    slope = gradient(lambda a: nr.sum(L.svdvals(a)), x)
    np.testing.assert_allclose(slope, TURN, atol=1e-14)
    norm = gradient(lambda a: L.matrix_norm(a, ord=2), x)  # an equal share of each
    np.testing.assert_allclose(norm, TURN / 3, atol=1e-14)
    # At zeros a subgradient of the nuclear norm: u v^T and something of norm 1 beside it.
    low = np.outer([1.0, 2.0, 2.0, 0.0], [3.0, 4.0, 0.0])
    slope = gradient(lambda a: nr.sum(L.svdvals(a)), low)
    assert np.sum(slope * low) == pytest.approx(15.0)
    assert np.linalg.norm(slope, 2) <= 1 + 1e-13
    # The largest one is smooth there.
    slope = gradient(lambda a: L.svdvals(a)[0], low)
    np.testing.assert_allclose(slope, low / 15, atol=1e-14)
    # Vectors of what is not zero, of a matrix with two zeros and a rectangular one with one.
    for a in (low, low[:3] + np.diag([0, 1.0, 0])):
        slope = gradient(lambda a: L.svd(a, full_matrices=False).U[0, -1] ** 2, a)
        assert np.isnan(slope).any() == (a is low)


def test_a_single_zero_of_a_square_matrix_does_no_harm() -> None:
    """Vectors are smooth where a real matrix turns singular."""
    x = TURN @ np.diag([3.0, 2.0, 0.0]) @ np.linalg.qr(SQUARE)[0]
    f = lambda a: (P[:3] @ L.svd(a).U[:, 2]) ** 2 + (L.svd(a).Vh[2] @ P[:3]) ** 2
    d, h = rng.normal(size=(3, 3)), 1e-6
    want = (run(f, x + h * d) - run(f, x - h * d)) / (2 * h)
    assert tangent(f, x, d) == pytest.approx(want, rel=1e-7)
    assert np.sum(gradient(f, x) * d) == pytest.approx(want, rel=1e-7)


def test_qr_of_dependent_columns() -> None:
    """Values as ever; derivatives NaN, of that matrix alone."""
    low = TALL.copy()
    low[:, 1] = 2 * low[:, 0]
    stack = np.stack([low, TALL])
    q, r = parts(L.qr(stack))
    np.testing.assert_allclose(q @ r, stack, atol=1e-14)
    slope = gradient(lambda a: nr.sum(nr.sin(L.qr(a).Q)) + nr.sum(L.qr(a).R ** 2), stack)
    assert np.isnan(slope[0][:, :2]).all() and np.isfinite(slope[1]).all()
    # Of a wide matrix the first columns count.
    wide = np.array([[1.0, 0.0, 5.0], [0.0, 2.0, 5.0]])
    assert np.isfinite(gradient(lambda a: nr.sum(L.qr(a).R), wide)).all()
    assert np.isnan(gradient(lambda a: nr.sum(L.qr(a).R), wide[:, :1] @ [[1.0, 2.0]])).all()


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)], ids=str)
def test_least_squares_of_a_low_rank(shape: tuple[int, int]) -> None:
    """Among matrices of that rank: differences along factors, of the solution with the least norm."""
    left, right = (rng.normal(size=s) for s in ((shape[0], 2), (2, shape[1])))
    u, v = rng.normal(size=left.shape), rng.normal(size=right.shape)
    b, h = rng.normal(size=shape[0]), 1e-6
    f = lambda a: L.lstsq(a, b).solution
    exact = lambda t: np.linalg.pinv((left + t * u) @ (right + t * v), rcond=1e-9) @ b
    a, d = left @ right, u @ right + left @ v
    np.testing.assert_allclose(run(f, a), exact(0.0), rtol=1e-10)
    want = (exact(h) - exact(-h)) / (2 * h)
    np.testing.assert_allclose(tangent(f, a, d), want, rtol=1e-7, atol=1e-7)
    c = rng.normal(size=shape[1])
    slope = gradient(lambda a: nr.sum(f(a) * c), a)
    assert np.sum(slope * d) == pytest.approx(want @ c, rel=1e-7)
    # Repeated singular values do not matter, nor do zeros.
    eye = np.eye(3)
    f = lambda a: nr.sum(L.lstsq(a, np.arange(3.0)).solution)
    np.testing.assert_allclose(gradient(f, eye), -np.ones((3, 1)) * np.arange(3.0))
    np.testing.assert_array_equal(gradient(f, 0 * eye), 0 * eye)
    # d pinv = -pinv dx pinv and what leads into the space that is left out, which is of second order.
    inverse = gradient(lambda a: L.pinv(a)[0, 0], np.diag([2.0, 0.0]))
    np.testing.assert_allclose(inverse, np.diag([-0.25, 0.0]))


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def test_singular_matrices_elsewhere() -> None:
    """What the notes of cholesky, solve, inv, det and slogdet say of them."""
    compiled_gradient = lambda f, x: nr.jit(nr.grad(f))(x).numpy()
    b = np.array([1.0, 2.0])
    whole = {
        "solve": lambda a: L.solve(a, b),
        "inv": L.inv,
        "triangular": lambda a: L.solve_triangular(a - np.diag([0.0, 4.0]), b),
    }
    for f in whole.values():
        assert np.isnan(f(nr.asarray(SINGULAR)).numpy()).any()
        assert np.isnan(compiled_gradient(lambda a, f=f: nr.sum(f(a)), SINGULAR)).any()
    assert np.isnan(compiled_gradient(lambda b: nr.sum(L.solve(SINGULAR, b)), b)).all()
    assert L.det(SINGULAR).item() == 0
    assert np.isnan(compiled_gradient(L.det, SINGULAR)).all()
    sign, log = L.slogdet(SINGULAR)
    assert sign.item() == 0 and log.item() == -np.inf
    assert np.isnan(compiled_gradient(lambda a: L.slogdet(a).logabsdet, SINGULAR)).all()
    for x in (SINGULAR, SQUARE):
        np.testing.assert_array_equal(compiled_gradient(lambda a: L.slogdet(a).sign, x), 0 * x)
    stack = np.stack([SINGULAR, -np.eye(2), 4 * np.eye(2)])
    factor = L.cholesky(stack).numpy()
    np.testing.assert_array_equal(np.isnan(factor), [np.tri(2), np.tri(2), np.zeros((2, 2))])
    np.testing.assert_array_equal(factor[:, 0, 1], 0)
    slope = compiled_gradient(lambda a: nr.sum(L.cholesky(a)), stack)
    assert np.isnan(slope[:2]).all() and np.isfinite(slope[2]).all()


def test_what_is_not_read_has_no_derivative() -> None:
    slope = gradient(lambda a: nr.sum(L.solve_triangular(a, P[:3])), SQUARE)
    np.testing.assert_array_equal(slope, np.tril(slope))
    f = lambda a: nr.sum(L.solve_triangular(a, P[:3], lower=False, unit_diagonal=True))
    slope = gradient(f, SQUARE)
    np.testing.assert_array_equal(slope, np.triu(slope, 1))


def test_exponentials_too_large() -> None:
    large = 1000.0 * np.eye(2)
    assert np.isinf(L.expm(large).numpy()).any()
    assert np.isnan(gradient(lambda a: nr.sum(L.expm(a)), large)).all()
    for bad in (np.nan, np.inf):
        assert np.isnan(L.expm(np.array([[bad, 0.0], [0.0, 1.0]])).numpy()).all()


# -- messages --------------------------------------------------------------------------------------


def test_errors() -> None:
    with pytest.raises(
        nr.errors.ShapeError, match=r"eigh: x has shape \(2, 3\): .*no square matrix"
    ):
        L.eigh(np.ones((2, 3)))
    with pytest.raises(nr.errors.ShapeError, match=r"eigvalsh: x has shape \(3,\)"):
        L.eigvalsh(np.ones(3))
    for f in (L.svd, L.svdvals, L.qr, L.pinv, L.matrix_rank):
        with pytest.raises(
            nr.errors.ShapeError,
            match=r"(?s)x has shape \(3,\): this is no matrix\n.*  give it two",
        ):
            f(np.ones(3))
    with pytest.raises(
        ValueError, match="qr: mode='r' is not there; it has 'reduced' and 'complete'"
    ):
        L.qr(SQUARE, mode="r")
    with pytest.raises(
        nr.errors.ShapeError, match=r"(?s)lstsq.*\(4, 3\).*\(3, 2\).*x1 is \(..., m, n\)"
    ):
        L.lstsq(TALL, np.ones((3, 2)))
    with pytest.raises(nr.errors.ShapeError, match=r"(?s)lstsq.*\(2, 4, 3\).*\(3, 4, 1\)"):
        L.lstsq(np.ones((2, 4, 3)), np.ones((3, 4, 1)))
