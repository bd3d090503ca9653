"""custom_jvp and custom_vjp: every order and direction, vmap, jit, devices, loops; errors name the rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import (
    GradientError,
    LeakedValueError,
    NotDifferentiableError,
    ShapeError,
    TreeMismatchError,
)

X = np.linspace(-1.5, 2.0, 5)


@nr.custom_jvp
def soft(x: Any, y: Any) -> Any:
    return nr.log(nr.exp(x) + nr.exp(y))


@soft.defjvp
def soft_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    w = nr.sigmoid(x - y)
    return soft(x, y), w * dx + (1.0 - w) * dy


@nr.custom_vjp
def dot_sin(w: Any, x: Any) -> Any:
    return nr.sin(w["a"] @ x) * w["b"]


def dot_sin_fwd(w: Any, x: Any) -> Any:
    z = w["a"] @ x
    return nr.sin(z) * w["b"], (w, x, z)


def dot_sin_bwd(residuals: Any, ct: Any) -> Any:
    w, x, z = residuals
    dz = ct * nr.cos(z) * w["b"]
    return {"a": nr.outer(dz, x), "b": nr.sum(ct * nr.sin(z))}, dz @ w["a"]


dot_sin.defvjp(dot_sin_fwd, dot_sin_bwd)


def plain_soft(x: Any, y: Any) -> Any:
    return nr.log(nr.exp(x) + nr.exp(y))


def plain_dot_sin(w: Any, x: Any) -> Any:
    return nr.sin(w["a"] @ x) * w["b"]


rng = np.random.default_rng(0)
W = {"a": rng.normal(size=(3, 5)), "b": 0.7}
SCALARS = {
    "jvp": (lambda x: nr.sum(soft(x, x[::-1]) ** 2), lambda x: nr.sum(plain_soft(x, x[::-1]) ** 2)),
    "vjp": (lambda x: nr.sum(dot_sin(W, x) ** 2), lambda x: nr.sum(plain_dot_sin(W, x) ** 2)),
}
TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "value": lambda f: f,
    "grad": nr.grad,
    "jacfwd": nr.jacfwd,
    "forward over reverse": lambda f: nr.jacfwd(nr.grad(f)),
    "reverse over reverse": lambda f: nr.jacrev(nr.grad(f)),
    "reverse over forward": lambda f: nr.jacrev(nr.jacfwd(f)),
    "forward over forward": lambda f: nr.jacfwd(nr.jacfwd(f)),
    "third": lambda f: nr.jacfwd(nr.jacfwd(nr.grad(f))),
    "vmap": lambda f: lambda x: nr.vmap(f)(nr.stack([x, 2.0 * x])),
    "vmap of grad": lambda f: lambda x: nr.vmap(nr.grad(f))(nr.stack([x, 2.0 * x])),
    "grad of vmap": lambda f: nr.grad(lambda x: nr.sum(nr.vmap(f)(nr.stack([x, 2.0 * x])))),
    "jacfwd of vmap": lambda f: nr.jacfwd(lambda x: nr.vmap(f)(nr.stack([x, 2.0 * x]))),
}


@pytest.mark.parametrize("how", ["lazy", "jit", "reference"])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("kind", SCALARS)
def test_agrees_with_the_plain_function(kind: str, transform: str, how: str) -> None:
    """Where the rule is the true derivative, every transformation gives what it gives without."""
    mine, plain = (TRANSFORMS[transform](f) for f in SCALARS[kind])
    if how != "lazy":
        mine = nr.jit(mine, device="reference" if how == "reference" else None)
    np.testing.assert_allclose(mine(nr.asarray(X)), plain(nr.asarray(X)), rtol=1e-10, atol=1e-10)


def test_the_rule_is_used_in_every_direction() -> None:
    f = nr.custom_jvp(lambda x: x**2)
    f.defjvp(lambda p, t: (f(*p), 5.0 * t[0] * p[0]))
    assert nr.jvp(f, (3.0,), (1.0,))[1].item() == 15.0
    assert nr.grad(f)(3.0).item() == 15.0
    assert nr.grad(nr.grad(f))(3.0).item() == 5.0
    g = nr.custom_vjp(lambda x: x**2)
    g.defvjp(lambda x: (x**2, x), lambda x, ct: (7.0 * ct * x,))
    assert nr.grad(g)(3.0).item() == 21.0
    # Forward mode is the transpose of a linear rule.
    assert nr.jvp(g, (3.0,), (1.0,))[1].item() == 21.0


def test_a_clipped_gradient() -> None:
    f = nr.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, ct: (nr.clip(ct, -1.0, 1.0),))
    slope = nr.grad(lambda x: nr.sum(f(x) ** 3))
    np.testing.assert_array_equal(slope(nr.asarray([0.1, 1.0])), [3 * 0.1**2, 1.0])
    batch = nr.vmap(slope)(nr.asarray([[0.1, 1.0], [-4.0, 0.2]]))
    np.testing.assert_allclose(batch, [[0.03, 1.0], [1.0, 0.12]])
    with pytest.raises(NotDifferentiableError, match="is not linear in the cotangent"):
        nr.jvp(f, (nr.asarray([1.0]),), (nr.asarray([1.0]),))[1].numpy()


def test_shared_arguments_of_a_batch() -> None:
    """What every element of a batch shares gets the sum of what they send back."""
    xs = rng.normal(size=(4, 5))

    def loss(f: Any) -> Any:
        return lambda w: nr.sum(nr.vmap(lambda x: f(w, x))(xs) ** 2)

    got, want = nr.grad(loss(dot_sin))(W), nr.grad(loss(plain_dot_sin))(W)
    np.testing.assert_allclose(got["a"], want["a"], rtol=1e-12)
    np.testing.assert_allclose(got["b"], want["b"], rtol=1e-12)


def test_inside_loops_and_branches() -> None:
    def loop(f: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            c = nr.cond(x > 0.0, lambda c: f(c, x), lambda c: 0.5 * c, c)
            return c, c

        return lambda c: nr.sum(nr.scan(step, c, X)[1])

    for transform in (nr.grad, nr.jacfwd, lambda f: nr.grad(nr.grad(f))):
        got = nr.jit(transform(loop(soft)))(0.3)
        np.testing.assert_allclose(got, transform(loop(plain_soft))(0.3), rtol=1e-10)


def test_nondifferentiable_arguments() -> None:
    def power(f: Any, x: Any, n: int) -> Any:
        return f(x) ** n

    jvp_form = nr.custom_jvp(power, nondiff_argnums=(0, 2))
    jvp_form.defjvp(lambda f, n, p, t: (f(p[0]) ** n, 10.0 * n * t[0]))
    assert nr.grad(lambda x: jvp_form(nr.sin, x, 3))(0.5).item() == 30.0
    assert nr.grad(lambda x: jvp_form(nr.sin, x, n=2))(0.5).item() == 20.0
    vjp_form = nr.custom_vjp(power, nondiff_argnums=(0, 2))
    vjp_form.defvjp(lambda f, x, n: (f(x) ** n, x), lambda f, n, x, ct: (ct * n * x,))
    assert nr.grad(lambda x: vjp_form(nr.sin, x, 3))(0.5).item() == 1.5


def test_integers_beside_floats() -> None:
    f = nr.custom_vjp(lambda x, i: (x[i], i))
    f.defvjp(
        lambda x, i: ((x[i], i), (x.shape[0], i)),
        lambda r, ct: (nr.zeros(r[0]).at[r[1]].add(2.0 * ct[0]), None),
    )
    got = nr.grad(lambda x: f(x, 2)[0])(nr.asarray(X))
    np.testing.assert_array_equal(got, [0, 0, 2, 0, 0])
    g = nr.custom_jvp(lambda x, i: (x[i], i))
    g.defjvp(lambda p, t: (g(*p), (3.0 * t[0][p[1]], t[1])))
    np.testing.assert_array_equal(nr.grad(lambda x: g(x, 1)[0])(nr.asarray(X)), [0, 3, 0, 0, 0])


def test_defjvps_and_methods() -> None:
    f = nr.custom_jvp(lambda x, y: nr.sin(x) * y)
    f.defjvps(lambda t, out, x, y: nr.cos(x) * t * y, lambda t, out, x, y: t * out / y)
    np.testing.assert_allclose(nr.grad(f, (0, 1))(0.3, 2.0), [2 * np.cos(0.3), np.sin(0.3)])
    assert f.__name__ == "<lambda>"


def test_an_integral_by_its_integrand() -> None:
    """A value that is not differentiated through: the derivative of an integral is its integrand."""

    @nr.custom_jvp
    def integral(x: Any) -> Any:
        t = (nr.arange(200.0) + 0.5) / 200
        return nr.mean(nr.exp(-((x * t) ** 2))) * x

    @integral.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (dx,) = primals, tangents
        return integral(x), nr.exp(-(x**2)) * dx

    assert nr.grad(integral)(0.7).item() == pytest.approx(np.exp(-0.49), rel=1e-15)
    assert nr.grad(nr.grad(integral))(0.7).item() == pytest.approx(-1.4 * np.exp(-0.49), rel=1e-14)


# -- errors ----------------------------------------------------------------------------------------


def scaled(bwd: Any, fwd: Any = lambda x, w: (nr.sum(x * w), (x, w))) -> Any:
    f = nr.custom_vjp(lambda x, w: nr.sum(x * w))
    f.defvjp(fwd, bwd)
    return f


def bwd_wrong_shape(residuals: Any, ct: Any) -> Any:
    return ct, ct * residuals[1]


def test_a_wrong_shape_names_the_rule_the_argument_and_both_shapes() -> None:
    f = scaled(bwd_wrong_shape)
    with pytest.raises(ShapeError) as caught:
        nr.grad(f)(nr.ones((2, 3)), nr.ones((2, 3)))  # the user's line
    text = str(caught.value)
    assert "the rule bwd_wrong_shape returned a cotangent of shape () for args[0]" in text
    assert "which has shape (2, 3)" in text
    assert "the user's line" in text


@pytest.mark.parametrize(
    ("bwd", "error", "message"),
    [
        (lambda r, ct: ct * r[0], GradientError, "a tuple of 2, one cotangent for each argument"),
        (lambda r, ct: ct * r[0], GradientError, "not an Array"),
        (lambda r, ct: None, GradientError, "one cotangent for each argument, not None"),
        (lambda r, ct: (ct * r[0],), GradientError, "not a tuple of 1"),
        (lambda r, ct: (ct * r[0], None, ct), GradientError, "a tuple of 2, .* not a tuple of 3"),
        (
            lambda r, ct: (nr.arange(3), ct * r[0]),
            GradientError,
            r"(?s)dtype int64 for args\[0\], which has dtype float64.*convert it with astype",
        ),
        (lambda r, ct: (ct * r[0], [ct]), TreeMismatchError, r"args\[1\]"),
        (
            lambda r, ct: (ct * r[0] * 1j, ct * r[0]),
            GradientError,
            r"dtype complex128 for args\[0\], which has dtype float64",
        ),
    ],
)
def test_wrong_reverse_rules(bwd: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nr.grad(scaled(bwd))(nr.ones(3), nr.ones(3))


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (lambda p, t: p[0], GradientError, "is to return a pair \\(result, tangent\\)"),
        (lambda p, t: (p[0], t[0][:2]), ShapeError, "a tangent of shape \\(2,\\) for result"),
        (lambda p, t: (p[0][:1], t[0]), ShapeError, "a result of shape \\(1,\\) for result"),
        (lambda p, t: (p[0], (t[0],)), TreeMismatchError, "the tangent that"),
        (lambda p, t: (p[0], 1j * t[0]), GradientError, "a tangent of dtype complex128"),
        (lambda p, t: None, GradientError, r"a pair \(result, tangent\), not None"),
        (lambda p, t: (p[0], None), TreeMismatchError, "None against a leaf"),
        (
            lambda p, t: (p[0], t[0] ** 2),
            GradientError,
            "the rule <lambda> returned a tangent that is not linear in the tangents",
        ),
        (lambda p, t: (p[0], nr.abs(t[0])), GradientError, "use numr.custom_vjp for a gradient"),
    ],
)
def test_wrong_forward_rules(rule: Any, error: type[Exception], message: str) -> None:
    f = nr.custom_jvp(lambda x: 2.0 * x)
    f.defjvp(rule)
    with pytest.raises(error, match=message):
        nr.jvp(f, (nr.ones(3),), (nr.ones(3),))


def test_wrong_forward_halves_of_reverse_rules() -> None:
    back = lambda r, ct: (ct * r[1], ct * r[0])
    for fwd, error, message in (
        (lambda x, w: nr.sum(x * w), GradientError, r"a pair \(result, residuals\), not an Array"),
        (lambda x, w: (x * w, (x, w)), ShapeError, r"a result of shape \(3,\) for result, .* \(\)"),
        (lambda x, w: (1j * nr.sum(x), None), GradientError, "a result of dtype complex128"),
        (lambda x, w: ([nr.sum(x)], None), TreeMismatchError, "the result that <lambda> returns"),
    ):
        with pytest.raises(error, match=message):
            nr.grad(scaled(back, fwd))(nr.ones(3), nr.ones(3))


def test_none_is_a_zero_cotangent() -> None:
    """Of an argument, of what is within one, and at second order."""

    @nr.custom_vjp
    def f(p: Any, x: Any) -> Any:
        return p["a"] * nr.sum(p["b"][0]) * x**2

    f.defvjp(
        lambda p, x: (f(p, x), (p, x)),
        lambda r, ct: ({"a": None, "b": (ct * r[0]["a"] * r[1] ** 2, None)}, None),
    )
    p = {"a": 2.0, "b": (nr.asarray(3.0), None)}
    got = nr.grad(f, (0, 1))(p, 5.0)
    assert (got[0]["a"].item(), got[0]["b"][0].item(), got[1].item()) == (0.0, 50.0, 0.0)
    assert got[0]["b"][1] is None
    inner = lambda x, p: nr.grad(f)(p, x)["b"][0]
    assert nr.grad(inner)(5.0, p).item() == 20.0
    # Forward mode is the transpose: x does not move the result.
    assert nr.jvp(lambda x: f(p, x), (5.0,), (1.0,))[1].item() == 0.0


@pytest.mark.parametrize("place", [2, -3, 7])
@pytest.mark.parametrize("form", [nr.custom_jvp, nr.custom_vjp])
def test_positions_that_are_no_arguments(form: Any, place: int) -> None:
    f = form(lambda x, n: x**n, nondiff_argnums=(1, place))
    message = rf"of <lambda>: nondiff_argnums is \(1, {place}\), .* with 2 positional arguments"
    with pytest.raises(GradientError, match=message):
        f(2.0, 3)


def test_what_is_not_differentiated_may_be_anything_but_moves_nothing() -> None:
    """A text, a function, an array; a value that has a derivative is an error, not a silent zero."""
    f = nr.custom_vjp(lambda x, mode, g, w: g(x) * w, nondiff_argnums=(1, -2, 3))
    f.defvjp(
        lambda x, mode, g, w: (g(x) * w, x),
        lambda mode, g, w, x, ct: (nr.sum(ct * w) * (nr.cos(x) if mode == "right" else 0.0),),
    )
    w = nr.asarray([1.0, 2.0])
    total = lambda x, mode: nr.sum(f(x, mode, nr.sin, w))
    np.testing.assert_allclose(nr.grad(total)(0.3, "right"), 3.0 * np.cos(0.3), rtol=1e-15)
    assert nr.grad(total)(0.3, "wrong").item() == 0.0
    second = nr.grad(nr.grad(lambda x: total(x, "right")))(0.3)
    np.testing.assert_allclose(second, -3.0 * np.sin(0.3), rtol=1e-15)
    with pytest.raises(GradientError, match="takes from outside, and its rule knows nothing of it"):
        nr.grad(lambda x: nr.sum(f(1.0, "right", nr.sin, x)))(w)
    # A cotangent for such an argument is one too many.
    g = nr.custom_vjp(lambda x, n: x**n, nondiff_argnums=1)
    g.defvjp(lambda x, n: (x**n, x), lambda n, x, ct: (ct * n * x ** (n - 1), None))
    with pytest.raises(
        GradientError, match=r"a tuple of 1, .* that is not in nondiff_argnums, not"
    ):
        nr.grad(lambda x: g(x, 2))(3.0)


def test_no_rule() -> None:
    f, g = nr.custom_jvp(nr.sin), nr.custom_vjp(nr.sin)
    assert f(0.0).item() == g(0.0).item() == 0.0
    with pytest.raises(GradientError, match=r"call sin.defjvp\(rule\) before"):
        nr.grad(f)(1.0)
    with pytest.raises(GradientError, match=r"call sin.defvjp\(fwd, bwd\) before"):
        nr.grad(g)(1.0)


def test_a_value_from_outside_is_not_differentiated_in_silence() -> None:
    def outer(a: Any) -> Any:
        f = nr.custom_jvp(lambda x: a * x)
        f.defjvp(lambda p, t: (f(*p), t[0]))
        return f(2.0)

    with pytest.raises(GradientError, match="takes from outside, and its rule knows nothing of it"):
        nr.grad(outer)(1.0)
    assert nr.jit(outer)(3.0).item() == 6.0


def test_a_rule_that_took_a_value_of_a_function_that_has_returned() -> None:
    def inner(a: Any, x: Any) -> Any:
        f = nr.custom_jvp(lambda x: 2.0 * x)
        f.defjvp(lambda p, t: (f(*p), a * t[0]))
        return f(x)

    # Within the same batch it may.
    got = nr.vmap(lambda a, x: nr.grad(lambda x: inner(a, x))(x))(nr.arange(3.0), nr.ones(3))
    np.testing.assert_array_equal(got, [0.0, 1.0, 2.0])
    with pytest.raises(LeakedValueError, match=r"is used after numr\.vmap"):
        nr.grad(lambda x: nr.sum(nr.vmap(lambda a: inner(a, x))(nr.arange(3.0))))(1.0)


def test_what_is_no_function() -> None:
    with pytest.raises(TypeError, match="custom_jvp takes a function, not int"):
        nr.custom_jvp(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="custom_vjp takes a function, not int"):
        nr.custom_vjp(1)  # type: ignore[arg-type]
