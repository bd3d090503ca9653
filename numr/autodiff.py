"""Derivatives for users: grad, jvp, vjp, linearize. Each builds graph; none computes.

The function runs once, on aliases of its arguments. Forward mode walks the graph between the aliases
and the outputs; reverse mode transposes what forward mode made. Results are graphs like any other, so
every order and every nesting works alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numr import messages, tree
from numr.array import Array, from_node, to_array
from numr.errors import GradientError
from numr.functions.operands import SCALARS
from numr.ir.node import Node, new_trace
from numr.ir.transforms.jvp import jvp as jvp_graph
from numr.ir.transforms.substitute import substitute
from numr.ir.transforms.transpose import transpose as transpose_graph
from numr.messages.text import with_article
from numr.primitives.elementwise import cast
from numr.primitives.guards import add_cotangents
from numr.primitives.shape import zeros_like
from numr.primitives.source import alias, const, param_like

__all__ = ["grad", "jvp", "linearize", "stop_gradient", "value_and_grad", "vjp"]


class _Linearized:
    """A function run once on aliases of some of its arguments: its outputs, ready to be moved."""

    def __init__(
        self,
        transform: str,
        fun: Callable[..., Any],
        argnums: Any,
        args: Any,
        kwargs: Any,
        has_aux: bool,
    ):
        self.transform = transform
        self.name = getattr(fun, "__name__", repr(fun))
        self.single = isinstance(argnums, int)
        positions = self._positions(argnums, len(args))
        chosen = tuple(args[i] for i in positions)
        leaves, self.in_tree = tree.flatten(chosen[0] if self.single else chosen)
        self.in_nodes = [self._input(k, leaf) for k, leaf in enumerate(leaves)]
        with new_trace("grad", f"{transform}({self.name})"):
            self.aliases = [alias(x) for x in self.in_nodes]
            moved = self.in_tree.unflatten([from_node(a) for a in self.aliases])
            replaced = list(args)
            for i, value in zip(positions, (moved,) if self.single else moved, strict=True):
                replaced[i] = value
            result = fun(*replaced, **kwargs)
            self.aux: Any = None
            if has_aux:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise TypeError(
                        f"{transform} with has_aux=True needs {self.name} to return (output, aux), "
                        f"not {type(result).__name__}"
                    )
                result, self.aux = result
            out_leaves, self.out_tree = tree.flatten(result)
            self.out_nodes = [to_array(leaf).node for leaf in out_leaves]

    def _positions(self, argnums: Any, count: int) -> tuple[int, ...]:
        listed = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        for i in listed:
            if not isinstance(i, int) or isinstance(i, bool) or not -count <= i < count:
                raise messages.wrong_argnums(self.transform, self.name, argnums, count)
        found = tuple(i % count for i in listed)
        if len(set(found)) != len(found):
            raise GradientError(
                f"{self.transform}({self.name}): argnums={argnums!r} names an argument twice"
            )
        return found

    def _input(self, k: int, leaf: Any) -> Node:
        try:
            x = leaf if isinstance(leaf, Array) else to_array(leaf)
        except TypeError:
            kind = type(leaf).__name__
        else:
            if x.dtype.is_inexact:
                return x.node
            kind = x.dtype.name
        where = self.in_tree.paths()[k] or "its argument"
        raise messages.not_inexact(self.transform, f"{self.name}: {where}", kind)

    def seeds(self) -> list[Node]:
        """A tangent placeholder for every input; nothing a user sees depends on them."""
        return [param_like(x) for x in self.aliases]

    def tangents(self, seeds: Sequence[Node | None]) -> list[Node | None]:
        """Tangents of the outputs, given tangents of the inputs."""
        moved = {a: s for a, s in zip(self.aliases, seeds, strict=True) if s is not None}
        return jvp_graph(self.out_nodes, moved)

    def pull(
        self, seeds: Sequence[Node], tangents: Sequence[Node | None], cts: Sequence[Node | None]
    ) -> list[Node]:
        """Cotangents of the inputs, given those of the outputs."""
        found = transpose_graph(tangents, seeds, cts, add_cotangents)
        return [
            zeros_like(x) if ct is None else ct for x, ct in zip(self.in_nodes, found, strict=True)
        ]

    def output(self) -> Any:
        return self.out_tree.unflatten([from_node(n) for n in self.out_nodes])

    def scalar(self) -> Node:
        """The one real scalar output that a gradient needs."""
        if len(self.out_nodes) == 1:
            (out,) = self.out_nodes
            if out.shape == () and out.dtype.kind == "f":
                return out
        found = [(n.dtype, tuple(map(int, n.shape))) for n in self.out_nodes]
        raise messages.not_one_number(self.transform, self.name, found)

    def holomorphic_scalar(self) -> Node:
        """The one complex output of a holomorphic function of complex inputs."""
        self.check_holomorphic()
        if len(self.out_nodes) == 1 and self.out_nodes[0].shape == ():
            return self.out_nodes[0]
        found = [(n.dtype, tuple(map(int, n.shape))) for n in self.out_nodes]
        raise messages.not_one_number(self.transform, self.name, found)

    def check_holomorphic(self) -> None:
        """Check that all inputs and outputs are complex."""
        for what, node in (*self._named_inputs(), *self._named_outputs()):
            if node.dtype.kind != "c":
                raise messages.not_complex(self.transform, f"{self.name}: {what}", node.dtype)

    def check_real(self, inputs: bool) -> None:
        """Check that no input, or no output, is complex."""
        for what, node in self._named_inputs() if inputs else self._named_outputs():
            if node.dtype.kind == "c":
                what = f"{self.name}: {what}"
                raise messages.complex_without_holomorphic(self.transform, what, node.dtype)

    def forward(self, preferred: bool) -> bool:
        """Whether to take a Jacobian by forward mode: complex inputs need reverse, complex outputs forward."""
        if any(n.dtype.kind == "c" for n in self.in_nodes):
            return False
        return preferred or any(n.dtype.kind == "c" for n in self.out_nodes)

    def _named_inputs(self) -> list[tuple[str, Node]]:
        return [*zip(self.in_tree.paths("its argument"), self.in_nodes, strict=True)]

    def _named_outputs(self) -> list[tuple[str, Node]]:
        return [*zip(self.out_tree.paths("its result"), self.out_nodes, strict=True)]


def _arrays(structure: tree.TreeDef, nodes: Sequence[Node]) -> Any:
    return structure.unflatten([from_node(n) for n in nodes])


def _check_transform(name: str, fun: Any) -> None:
    if not callable(fun):
        raise TypeError(f"{name} takes a function, not {type(fun).__name__}")


def check_arguments(transform: str, **given: Any) -> None:
    """Check that what stands for all arguments of a function is a tuple, or a list, of them."""
    for what, value in given.items():
        if not isinstance(value, (tuple, list)):
            kind = with_article(type(value).__name__)
            raise TypeError(
                f"numr.{transform}: {what} is to be a tuple of one item for each argument, as (x,), not {kind}"
            )


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """A function that returns both `fun`'s value and its gradient.

    Args:
        fun: a function with a real scalar result, or (scalar, aux) with `has_aux`.
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.
        holomorphic: `fun` is a holomorphic function of complex arguments with a complex result; its
            derivative is df/dz.

    Returns:
        A function of `fun`'s arguments returning (value, gradient); with `has_aux`,
        ((value, aux), gradient). The gradient has the structure of the argument (a tuple of them
        for several argnums). For complex arguments it is df/dx - i df/dy.

    Raises:
        GradientError: for a result that is not a real scalar, integer inputs, or wrong argnums.

    Examples:
        >>> import numr as nr
        >>> value, slope = nr.value_and_grad(lambda x: nr.sum(x**2))(nr.asarray([1.0, 2.0]))
        >>> float(value), slope.tolist()
        (5.0, [2.0, 4.0])
    """
    _check_transform("value_and_grad", fun)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def value_and_grad_fun(*args: Any, **kwargs: Any) -> Any:
        run = _Linearized("grad", fun, argnums, args, kwargs, has_aux)
        out = run.holomorphic_scalar() if holomorphic else run.scalar()
        seeds = run.seeds()
        cts = run.pull(seeds, run.tangents(seeds), [const(1, out.dtype)])
        value = from_node(out)
        return ((value, run.aux) if has_aux else value), _arrays(run.in_tree, cts)

    return value_and_grad_fun


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The gradient of a scalar function, as a function of the same arguments.

    Args:
        fun: a function with a real scalar result, or (scalar, aux) with `has_aux`.
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.
        holomorphic: `fun` is a holomorphic function of complex arguments with a complex result; its
            derivative is df/dz.

    Returns:
        A function of `fun`'s arguments returning the gradient, in the structure of the argument; with
        `has_aux`, (gradient, aux).

    Raises:
        GradientError: for a result that is not a real scalar, integer inputs, or wrong argnums.

    Examples:
        >>> import numr as nr
        >>> nr.grad(nr.sin)(0.0).item()
        1.0
        >>> nr.grad(nr.grad(nr.grad(nr.sin)))(0.0).item()
        -1.0
    """
    _check_transform("grad", fun)
    both = value_and_grad(fun, argnums, has_aux, holomorphic)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def grad_fun(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_fun


def _matching(
    name: str, what: str, structure: tree.TreeDef, expected: Sequence[Node], value: Any
) -> list[Node]:
    """Tangents or cotangents as nodes, checked against what they belong to."""
    leaves, given = tree.flatten(value)
    if given != structure:
        raise tree.mismatch(given, structure, (what, "primals"), what)
    nodes = []
    for path, node, leaf in zip(structure.paths(), expected, leaves, strict=True):
        x = to_array(leaf)
        if x.shape != node.shape:
            from numr.errors import ShapeError

            raise ShapeError(
                f"{name}: {what}{path} has shape {tuple(map(int, x.shape))}, its primal {tuple(map(int, node.shape))}"
            )
        weak = isinstance(leaf, SCALARS)
        if x.dtype is not node.dtype and not weak and x.dtype.kind != node.dtype.kind:
            raise GradientError(
                f"{name}: {what}{path} has dtype {x.dtype}, its primal {node.dtype}\n"
                f'  convert it with astype("{node.dtype}")'
            )
        nodes.append(cast(x.node, node.dtype))
    return nodes


def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """The value of `fun` at `primals` and its derivative along `tangents` (forward mode).

    Args:
        fun: any function of arrays.
        primals: tuple of arguments.
        tangents: tuple of directions, of the same structure, shapes and dtypes.
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        (output, output tangent), and aux with `has_aux`.

    Raises:
        TypeError: for primals or tangents that are no tuple or list.
        TreeMismatchError, ShapeError, GradientError: for tangents of another structure, shape or kind of
            dtype than the primals', and for integer primals.

    Examples:
        >>> import numr as nr
        >>> y, dy = nr.jvp(lambda x: x**3, (2.0,), (1.0,))
        >>> y.item(), dy.item()
        (8.0, 12.0)
    """
    _check_transform("jvp", fun)
    check_arguments("jvp", primals=primals, tangents=tangents)
    run = _Linearized("jvp", fun, range(len(primals)), tuple(primals), {}, has_aux)
    directions = _matching("jvp", "tangents", run.in_tree, run.in_nodes, tuple(tangents))
    found = run.tangents(directions)
    moved = [zeros_like(y) if t is None else t for y, t in zip(run.out_nodes, found, strict=True)]
    out = run.output(), _arrays(run.out_tree, moved)
    return (*out, run.aux) if has_aux else out


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of `fun` and a function that pulls cotangents of it back to the arguments (reverse mode).

    Args:
        fun: any function of arrays.
        *primals: its arguments, floating (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        (output, pullback), and aux with `has_aux`. `pullback(ct)` takes a cotangent of the output's
        structure and returns a tuple with one cotangent per argument.

    Raises:
        GradientError: for integer arguments.
        TreeMismatchError, ShapeError, GradientError: from `pullback`, for a cotangent of another structure,
            shape or kind of dtype than the output's.

    Examples:
        >>> import numr as nr
        >>> y, pullback = nr.vjp(nr.multiply, 3.0, 4.0)
        >>> [ct.item() for ct in pullback(1.0)]
        [4.0, 3.0]
    """
    run = _Linearized("vjp", fun, range(len(primals)), primals, {}, has_aux)
    seeds = run.seeds()
    tangents = run.tangents(seeds)

    def pullback(cotangents: Any) -> Any:
        cts = _matching("vjp", "cotangents", run.out_tree, run.out_nodes, cotangents)
        return _arrays(run.in_tree, run.pull(seeds, tangents, cts))

    return (run.output(), pullback, run.aux) if has_aux else (run.output(), pullback)


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of `fun` and its derivative there as a linear function of tangents.

    Args:
        fun: any function of arrays.
        *primals: its arguments, floating (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        (output, push), and aux with `has_aux`. `push(*tangents)` takes one tangent per argument.

    Raises:
        GradientError: for integer arguments.
        TreeMismatchError, ShapeError, GradientError: from `push`, for tangents of another structure, shape
            or kind of dtype than the arguments'.

    Examples:
        >>> import numr as nr
        >>> y, push = nr.linearize(nr.sin, 0.0)
        >>> push(2.0).item()
        2.0
    """
    run = _Linearized("linearize", fun, range(len(primals)), primals, {}, has_aux)
    seeds = run.seeds()
    linear = [
        zeros_like(y) if t is None else t
        for y, t in zip(run.out_nodes, run.tangents(seeds), strict=True)
    ]

    def push(*tangents: Any) -> Any:
        given = _matching("linearize", "tangents", run.in_tree, run.in_nodes, tangents)
        return _arrays(run.out_tree, substitute(linear, dict(zip(seeds, given, strict=True))))

    return (run.output(), push, run.aux) if has_aux else (run.output(), push)


def stop_gradient(x: Any) -> Any:
    """x itself (any pytree), with a derivative of zero.

    Examples:
        >>> import numr as nr
        >>> nr.grad(lambda x: x * nr.stop_gradient(x))(3.0).item()
        3.0
    """
    from numr.primitives.source import STOP_GRADIENT

    return tree.map(lambda leaf: from_node(STOP_GRADIENT(to_array(leaf).node)), x)
