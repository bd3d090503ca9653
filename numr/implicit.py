"""Derivatives of what is found by solving: linear maps and their adjoints, roots, fixed points.

None goes through how it was solved: the equation that holds at the solution is differentiated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numr import messages, tree
from numr.array import Array, from_node
from numr.autodiff import _matching
from numr.control import Leaf, Traced, _is_constant, arrays_of, function_name, leaves_of, while_loop
from numr.ir.body import Body, close
from numr.ir.node import Node, dependents, toposort
from numr.ir.transforms.jvp import jvp as jvp_graph
from numr.ir.transforms.substitute import substitute
from numr.ir.transforms.transpose import transpose as transpose_graph
from numr.primitives.calls import LINEAR, ROOT, Rule, placed
from numr.primitives.control import with_zeros
from numr.primitives.elementwise import neg
from numr.primitives.guards import add_cotangents
from numr.primitives.shape import zeros_like
from numr.primitives.source import STOP_GRADIENT, param_like

__all__ = ["custom_linear_solve", "custom_root", "fixed_point", "linear_transpose"]


def _adjoint(
    name: str, outputs: Sequence[Node], places: Sequence[Node], cts: Sequence[Node]
) -> list[Node]:
    """Cotangents of placeholders that the outputs are linear in.

    Raises:
        GradientError: if they are not.
    """
    from numr.rules.loops import pruned

    seeds = [param_like(p) for p in places]
    tangents = jvp_graph(outputs, dict(zip(places, seeds, strict=True)))
    ends = [t for t in tangents if t is not None]
    if not dependents(toposort(ends), places).isdisjoint(ends):
        # Loops carry along what they are differentiated at, whether they need it or not.
        ends = pruned(ends)
        if not dependents(toposort(ends), places).isdisjoint(ends):
            raise messages.not_linear(name)
    found = iter(ends)
    linear = [None if t is None else next(found) for t in tangents]
    return with_zeros(transpose_graph(linear, seeds, cts, add_cotangents), places)


def linear_transpose(fun: Callable[..., Any], *primals: Any) -> Callable[[Any], Any]:
    """The transpose of a linear function.

    Args:
        fun: a function of arrays, linear in all of them together. A constant that it adds is left out.
        primals: arrays of its arguments' structures, shapes and dtypes; their values do not matter.

    Returns:
        A function from a cotangent of the result's structure, shapes and dtypes to a tuple with one
        cotangent per argument, so that `sum(ct * fun(x)) == sum(transpose(ct)[0] * x)`. Complex numbers
        are multiplied as they are, not conjugated.

    Raises:
        GradientError: for integer arguments, or a function that is not linear.

    Examples:
        >>> import numr as nr
        >>> back = nr.linear_transpose(lambda x: x[1:] - x[:-1], nr.zeros(3))
        >>> back(nr.asarray([1.0, 10.0]))[0].tolist()
        [-1.0, -9.0, 10.0]
    """
    name = function_name("linear_transpose", fun)
    leaves, structure = leaves_of(tuple(primals))
    for path, leaf in zip(structure.paths("args"), leaves, strict=True):
        if not leaf.node.dtype.is_inexact:
            raise messages.not_inexact("linear_transpose", f"{name}: {path}", leaf.node.dtype)
    traced = Traced("linear_transpose", fun, leaves, lambda a: fun(*structure.unflatten(a)))
    places = [param_like(x) for x in traced.outputs]
    found = _adjoint(name, traced.outputs, traced.params, places)

    def transpose(cotangents: Any) -> Any:
        given = _matching(
            "linear_transpose", "cotangents", traced.structure, traced.outputs, cotangents
        )
        back = substitute(found, dict(zip(places, given, strict=True)))
        return structure.unflatten(arrays_of(back))

    return transpose


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
) -> Any:
    """The x with `matvec(x) = b`, whose derivatives are such solutions, however it is found.

    dx = A^-1 (db - dA x) forwards, and with A^T in reverse, to any order.

    Args:
        matvec: a linear function of arrays of b's structure, with results of it.
        b: arrays (any pytree).
        solve: a function (matvec, b) -> x, which need not be differentiable.
        transpose_solve: the same for the transpose of `matvec`; by default `solve`.
        symmetric: whether `matvec` is its own transpose.

    Returns:
        x, of b's structure.

    Raises:
        TreeMismatchError, ShapeError: if `matvec` or `solve` returns another structure, shape or dtype.
        GradientError: if `matvec` is not linear.

    Examples:
        >>> import numr as nr
        >>> f = lambda a: nr.custom_linear_solve(lambda x: a * x, 6.0, lambda matvec, b: b / matvec(1.0))
        >>> f(2.0).item(), nr.grad(f)(2.0).item()
        (3.0, -1.5)
    """
    name = function_name("custom_linear_solve", matvec)
    leaves, structure = leaves_of(b)
    back_solve = transpose_solve or solve

    def traced(f: Callable[..., Any], call: Callable[[Any], Any]) -> Traced:
        found = Traced(
            "custom_linear_solve", f, leaves, lambda arrays: call(structure.unflatten(arrays))
        )
        _same("custom_linear_solve", f, found, structure, leaves, "b")
        return found

    forwards = traced(matvec, matvec)
    cts = [param_like(p) for p in forwards.params]
    backwards = (
        (forwards.params, forwards.outputs)
        if symmetric
        else (cts, _adjoint(name, forwards.outputs, forwards.params, cts))
    )

    def vecmat(y: Any) -> Any:
        nodes = _matching("custom_linear_solve", "argument", structure, cts, y)
        ends = substitute(backwards[1], dict(zip(backwards[0], nodes, strict=True)))
        return structure.unflatten(arrays_of(ends))

    ahead = traced(solve, lambda b: solve(matvec, b))
    back = traced(back_solve, lambda b: back_solve(matvec if symmetric else vecmat, b))
    parts = [t.close(t.outputs) for t in (ahead, back, forwards)]
    parts.append(close(*backwards, param_like, _is_constant))
    fixed = list(dict.fromkeys(x for _, taken in parts for x in taken))
    bodies = []
    for body, taken in parts:
        # All take what any of them does.
        mine = dict(zip(taken, body.params, strict=False))
        places = [mine.get(x) or param_like(x) for x in fixed]
        bodies.append(Body([*places, *body.params[len(taken) :]], body.outputs))
    found = LINEAR.results(
        *fixed,
        *(x.node for x in leaves),
        back=bodies[1],
        ahead=bodies[0],
        inverts=(bodies[2], bodies[3]),
        fixed=len(fixed),
        name=name,
    )
    return structure.unflatten(arrays_of(found))


def _same(
    transform: str,
    f: Callable[..., Any],
    traced: Traced,
    structure: tree.TreeDef,
    leaves: Sequence[Leaf],
    what: str,
) -> None:
    """Check that a function returns the types of its argument."""
    name = getattr(f, "__name__", repr(f))
    if traced.structure != structure:
        raise tree.mismatch(traced.structure, structure, (f"what {name} returns", what), what)
    for path, out, x in zip(structure.paths(what), traced.outputs, leaves, strict=True):
        if out.shape != x.node.shape or out.dtype is not x.node.dtype:
            given, wanted = (out.shape, out.dtype), (x.node.shape, x.node.dtype)
            raise messages.rule_misshaped(transform, name, "a result", given, path, wanted)


def _dense_solve(matvec: Callable[[Any], Any], b: Any) -> Any:
    """A linear equation by its matrix, which is made."""
    from numr.functions.all import concat, reshape, solve, zeros_like
    from numr.jacobians import jacfwd

    leaves, structure = tree.flatten(b)
    lengths = [x.size for x in leaves]

    def apart(v: Any) -> Any:
        parts, start = [], 0
        for x, n in zip(leaves, lengths, strict=True):
            parts.append(reshape(v[start : start + n], x.shape))
            start += n
        return structure.unflatten(parts)

    def flat(x: Any) -> Any:
        return concat([reshape(leaf, (-1,)) for leaf in tree.leaves(x)])

    right = flat(b)
    matrix = jacfwd(lambda v: flat(matvec(apart(v))))(zeros_like(right))
    return apart(solve(matrix, right))


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
) -> Any:
    """A root of f, with derivatives by the implicit function theorem: f(x(p), p) = 0 gives
    dx/dp = -(df/dx)^-1 df/dp.

    Derivatives are by all that `f` takes from outside, to any order, and never go through `solve`; by
    `initial_guess` they are zero.

    Args:
        f: a function of arrays (any pytree) with results of the same structure, shapes and dtypes.
        initial_guess: where `solve` starts.
        solve: a function (f, initial_guess) -> root.
        tangent_solve: a function (g, y) -> x with g(x) = y for linear g, of that structure. By default the
            matrix of g is made and factorised.

    Returns:
        The root.

    Raises:
        TreeMismatchError, ShapeError: if `f` or `solve` returns another structure, shape or dtype.

    Examples:
        >>> import numr as nr
        >>> def newton(f, x):
        ...     return nr.fori_loop(0, 20, lambda _, x: x - f(x) / nr.grad(f)(x), x)
        >>> root = lambda a: nr.custom_root(lambda x: x**3 - a, 1.0, newton)
        >>> round(root(8.0).item(), 12), round(nr.grad(root)(8.0).item(), 12)
        (2.0, 0.083333333333)
    """
    name = function_name("custom_root", f)
    function_name("custom_root", solve)
    inner_solve = tangent_solve or _dense_solve
    leaves, structure = leaves_of(initial_guess)
    traced = Traced("custom_root", f, leaves, lambda arrays: f(structure.unflatten(arrays)))
    _same("custom_root", f, traced, structure, leaves, "initial_guess")
    solved = Traced(
        "custom_root", solve, leaves, lambda arrays: solve(f, structure.unflatten(arrays))
    )
    _same("custom_root", solve, solved, structure, leaves, "initial_guess")
    equation, taken = traced.close(traced.outputs)
    solver, given = solved.close(solved.outputs)
    operands = [STOP_GRADIENT(x) for x in (*given, *(x.node for x in leaves))]
    roots = placed(solver, operands)
    places = [param_like(x) for x in roots]
    like = [Leaf(p, False) for p in (*places, *(param_like(x) for x in taken))]

    def trace(moved: tuple[bool, ...]) -> tuple[Body, list[Node]]:
        seeds = [x for x, m in zip(like, moved, strict=True) if m]

        def call(arrays: list[Array]) -> Any:
            nodes = [a.node for a in arrays]
            at, outside, tangents = (
                nodes[: len(places)],
                nodes[len(places) : len(like)],
                iter(nodes[len(like) :]),
            )
            values = [*outside, *at]
            known = dict(zip(equation.params, values, strict=True))
            moving = {
                equation.params[k - len(places)]: next(tangents) for k, m in enumerate(moved) if m
            }
            ends = jvp_graph(equation.outputs, moving)
            right = [neg(t) for t in substitute(with_zeros(ends, equation.outputs), known)]
            unknown = equation.params[len(taken) :]
            pushes = [param_like(p) for p in unknown]
            along = with_zeros(
                jvp_graph(equation.outputs, dict(zip(unknown, pushes, strict=True))),
                equation.outputs,
            )
            slope = substitute(along, known)

            def g(x: Any) -> Any:
                directions = _matching("custom_root", "argument", structure, pushes, x)
                moved_by = substitute(slope, dict(zip(pushes, directions, strict=True)))
                return structure.unflatten(arrays_of(moved_by))

            return custom_linear_solve(g, structure.unflatten(arrays_of(right)), inner_solve)

        found = Traced("custom_root", f, [*like, *seeds], call)
        return found.close(found.outputs)

    results = ROOT.results(
        *roots,
        *taken,
        body=Body([x.node for x in like], places),
        rule=Rule(name, trace),
        taken=0,
    )
    return structure.unflatten(arrays_of(results))


def fixed_point(
    f: Callable[[Any], Any],
    initial_guess: Any,
    tolerance: float | None = None,
    max_steps: int = 10_000,
) -> Any:
    """The fixed point x = f(x) of a contraction, by iteration, with derivatives by the implicit function
    theorem.

    dx = df + J dx is itself a fixed point, and found in the same way, without the matrix J.

    Args:
        f: a function of arrays (any pytree) with results of the same structure, shapes and dtypes.
            Derivatives are by all that it takes from outside, to any order.
        initial_guess: where to start.
        tolerance: end when a step changes no element by more than this, relative to 1 + the greatest
            element. By default 16 units of the dtype's last place.
        max_steps: end after so many steps in any case.

    Returns:
        The last x.

    Raises:
        TreeMismatchError, ShapeError: if `f` returns another structure, shape or dtype.

    Examples:
        >>> import numr as nr
        >>> root = lambda a: nr.fixed_point(lambda x: 0.5 * (x + a / x), 1.0)
        >>> root(4.0).item(), nr.grad(root)(4.0).item()
        (2.0, 0.25)
    """
    from numr.functions.all import abs, finfo, max, maximum

    function_name("fixed_point", f)

    def iterate(f: Callable[[Any], Any], start: Any) -> Any:
        within = tolerance
        if within is None:
            within = 16 * max_eps(start)

        def far(state: Any) -> Any:
            steps, x, y = state
            apart = size(tree.map(lambda a, b: a - b, x, y))
            return (apart > within * (1.0 + size(y))) & (steps < max_steps)

        return while_loop(far, lambda s: (s[0] + 1, s[2], f(s[2])), (0, start, f(start)))[2]

    def size(x: Any) -> Any:
        return functools.reduce(maximum, [max(abs(leaf)) for leaf in tree.leaves(x)])

    def max_eps(x: Any) -> float:
        return functools.reduce(
            lambda a, b: a if a > b else b,
            [float(finfo(leaf.dtype).eps) for leaf in tree.leaves(x)],
        )

    def solve(_: Any, start: Any) -> Any:
        return iterate(f, start)

    def tangent_solve(g: Callable[[Any], Any], y: Any) -> Any:
        # g(v) = J v - v = y, so v = J v - y.
        zero = tree.map(lambda leaf: from_node(zeros_like(leaf.node)), y)
        return iterate(lambda v: tree.map(lambda a, b, c: a + b - c, g(v), v, y), zero)

    def residual(x: Any) -> Any:
        return tree.map(lambda a, b: a - b, f(x), x)

    residual.__name__ = getattr(f, "__name__", repr(f))
    return custom_root(residual, initial_guess, solve, tangent_solve)
