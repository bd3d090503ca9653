"""Functions whose derivatives users give: custom_jvp, custom_vjp."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from numr import messages, tree
from numr.array import Array, from_node, to_array
from numr.control import Leaf, Traced, leaves_of
from numr.errors import GradientError
from numr.ir.body import Body
from numr.ir.node import Node, dependents, toposort
from numr.primitives.calls import CUSTOM_JVP, CUSTOM_VJP, Call, Pullback, Rule
from numr.primitives.elementwise import cast
from numr.primitives.shape import zeros_like
from numr.primitives.source import param_like

__all__ = ["custom_jvp", "custom_vjp"]


class _Arguments:
    """The arguments of one call: arrays to differentiate by, and what a rule is given as it is."""

    def __init__(self, args: Sequence[Any], nondiff: Sequence[int]) -> None:
        self.count = len(args)
        self.nondiff = sorted({i % self.count for i in nondiff})
        self.fixed = [args[i] for i in self.nondiff]
        self.places = [i for i in range(self.count) if i not in self.nondiff]
        self.leaves, self.structure = leaves_of(tuple(args[i] for i in self.places))

    def put_together(self, arrays: Sequence[Any]) -> list[Any]:
        """All arguments, in order, given the arrays."""
        found: dict[int, Any] = dict(zip(self.nondiff, self.fixed, strict=True))
        found |= zip(self.places, self.structure.unflatten(arrays), strict=True)
        return [found[i] for i in range(self.count)]

    def paths(self) -> list[str]:
        """The leaves as a user would write them."""
        return [
            f"args[{self.places[int(path[1 : path.index(']')])]}]{path[path.index(']') + 1 :]}"
            for path in self.structure.paths()
        ]


class _Custom:
    """A function with a rule of its own."""

    _transform = ""
    _primitive: Call

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: int | Sequence[int] = ()) -> None:
        if not callable(fun):
            raise TypeError(f"numr.{self._transform} takes a function, not {type(fun).__name__}")
        functools.update_wrapper(self, fun)
        self._fun = fun
        self._nondiff = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else nondiff_argnums

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self._positional(args, kwargs)
        if any(not -len(given) <= i < len(given) for i in self._nondiff):
            raise messages.wrong_nondiff(self._transform, self.__name__, self._nondiff, len(given))
        arguments = _Arguments(given, self._nondiff)
        traced = Traced(
            self._transform,
            self._fun,
            arguments.leaves,
            lambda arrays: self._fun(*arguments.put_together(arrays)),
        )
        body, taken = traced.close(traced.outputs)
        inner = [
            Leaf(p, x.weak)
            for p, x in zip(body.params[len(taken) :], arguments.leaves, strict=True)
        ]
        results = [Leaf(param_like(x.node), x.weak) for x in traced.results]
        found = self._primitive.results(
            *taken,
            *(x.node for x in arguments.leaves),
            body=body,
            rule=self._rule(_Signature(arguments, inner, results, traced.structure)),
            taken=len(taken),
        )
        arrays = [from_node(n, x.weak) for n, x in zip(found, traced.results, strict=True)]
        return traced.structure.unflatten(arrays)

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, as rules are given them."""
        try:
            bound = inspect.signature(self._fun).bind(*args, **kwargs)
        except ValueError:  # a builtin may have no signature
            bound = None
        if bound is None:
            return args
        bound.apply_defaults()
        if bound.kwargs:
            raise GradientError(
                f"numr.{self._transform} of {self.__name__}: {', '.join(bound.kwargs)} can only be passed by "
                f"keyword, and rules are given arguments by position"
            )
        return bound.args

    def _rule(self, signature: _Signature) -> Rule:
        raise NotImplementedError

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    __name__: str


class _Signature:
    """What a call takes and gives, as placeholders: what its rule is traced on."""

    def __init__(
        self,
        arguments: _Arguments,
        leaves: list[Leaf],
        results: list[Leaf],
        structure: tree.TreeDef,
    ) -> None:
        self.fixed = arguments.fixed
        self.put_together = arguments.put_together
        self.paths = arguments.paths()
        self.structure = arguments.structure
        self.places = arguments.places
        self.leaves = leaves
        self.results = results
        self.out_structure = structure


def _fitting(
    transform: str, rule: str, what: str, value: Any, belongs_to: str, wanted: Node
) -> Node:
    """An array that a rule returned, in the dtype of what it belongs to.

    Raises:
        ShapeError, GradientError: if it has another shape or kind of dtype.
    """
    found = to_array(value)
    weak = found.weak or not isinstance(value, Array)
    if found.shape == () and weak and wanted.shape != () and not isinstance(value, Array):
        found = found + from_node(zeros_like(wanted))  # a number stands for an array of it
    kinds = found.dtype.kind == wanted.dtype.kind or (weak and wanted.dtype.kind in "fc")
    if found.shape != wanted.shape or not kinds:
        given = (found.shape, found.dtype)
        raise messages.rule_misshaped(
            transform, rule, what, given, belongs_to, (wanted.shape, wanted.dtype)
        )
    return cast(found.node, wanted.dtype)


def _pair(transform: str, rule: str, wanted: str, value: Any) -> tuple[Any, Any]:
    if not (isinstance(value, (tuple, list)) and len(value) == 2):
        raise messages.rule_returned(transform, rule, wanted, value)
    return value[0], value[1]


def _results_fit(transform: str, rule: str, value: Any, signature: _Signature) -> None:
    """Check what a rule returns as the function's result."""
    leaves, structure = tree.flatten(value)
    if structure != signature.out_structure:
        given = (f"the result that {rule} returns", "that of the function")
        raise tree.mismatch(structure, signature.out_structure, given, f"numr.{transform}")
    paths = structure.paths("result")
    for path, leaf, out in zip(paths, leaves, signature.results, strict=True):
        _fitting(transform, rule, "a result", leaf, path, out.node)


class custom_jvp(_Custom):
    """A function with a forward derivative of its own.

    Reverse mode transposes the rule, `vmap` batches it, and higher orders differentiate it.

    Args:
        fun: a function of arrays (any pytrees), which may be called by keyword.
        nondiff_argnums: positions of arguments that are no arrays, or have no derivative: the rule is
            given them first, as they are.

    Raises:
        GradientError: when differentiated: without a rule, by what `fun` takes from outside, or where the
            rule returns another dtype or is not linear in the tangents; when called, for nondiff_argnums
            that are no arguments.
        ShapeError: where the rule returns a tangent of another shape than the result's, naming both.

    Examples:
        >>> import numr as nr
        >>> @nr.custom_jvp
        ... def log1pexp(x):
        ...     return nr.log(1.0 + nr.exp(x))
        >>> @log1pexp.defjvp
        ... def rule(primals, tangents):
        ...     (x,), (t,) = primals, tangents
        ...     return log1pexp(x), t * nr.sigmoid(x)
        >>> nr.grad(log1pexp)(1000.0).item(), nr.grad(nr.grad(log1pexp))(0.0).item()
        (1.0, 0.25)
    """

    _transform = "custom_jvp"
    _primitive = CUSTOM_JVP
    _jvp: Callable[..., Any] | None = None

    def defjvp(self, jvp: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule: `jvp(*nondiff, primals, tangents) -> (result, tangent)`.

        Args:
            jvp: a function linear in the tangents, which have the structure, shapes and dtypes of the
                arguments (zeros for what does not move); the tangent has those of the result.

        Returns:
            `jvp`, so that this is a decorator.

        Examples:
            >>> import numr as nr
            >>> double = nr.custom_jvp(lambda x: 2 * x)
            >>> _ = double.defjvp(lambda primals, tangents: (double(*primals), 3 * tangents[0]))
            >>> nr.jvp(double, (1.0,), (1.0,))[1].item()
            3.0
        """
        self._jvp = jvp
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Give a rule for each argument: `jvp(tangent, result, *args) -> the result's tangent`; None for zero.

        Examples:
            >>> import numr as nr
            >>> f = nr.custom_jvp(lambda x, y: nr.sin(x) * y)
            >>> f.defjvps(lambda t, out, x, y: nr.cos(x) * t * y, None)
            >>> [g.item() for g in nr.grad(f, (0, 1))(0.0, 3.0)]
            [3.0, 0.0]
        """
        if self._nondiff:
            raise GradientError(
                f"numr.custom_jvp of {self.__name__}: defjvps takes no nondiff_argnums; use defjvp"
            )

        def rule(primals: Any, tangents: Any) -> Any:
            out = self(*primals)
            parts = [
                jvp(t, out, *primals)
                for jvp, t in zip(jvps, tangents, strict=True)
                if jvp is not None
            ]
            if not parts:
                return out, tree.map(lambda x: from_node(zeros_like(x.node)), out)
            total = functools.reduce(lambda a, b: tree.map(lambda x, y: x + y, a, b), parts)
            return out, total

        rule.__name__ = f"{self.__name__}'s defjvps"
        self._jvp = rule

    def _rule(self, signature: _Signature) -> Rule:
        def trace(moved: tuple[bool, ...]) -> tuple[Body, list[Node]]:
            jvp = self._jvp
            if jvp is None:
                raise messages.no_rule("custom_jvp", self.__name__, "defjvp(rule)")
            name = getattr(jvp, "__name__", repr(jvp))
            leaves = signature.leaves
            seeds = [x for x, m in zip(leaves, moved, strict=True) if m]

            def call(arrays: list[Array]) -> Any:
                primals, rest = arrays[: len(leaves)], iter(arrays[len(leaves) :])
                tangents = [
                    next(rest) if m else from_node(zeros_like(x.node))
                    for x, m in zip(primals, moved, strict=True)
                ]
                given = [signature.structure.unflatten(a) for a in (primals, tangents)]
                out, tangent = _pair(
                    "custom_jvp",
                    name,
                    "a pair (result, tangent)",
                    jvp(*signature.fixed, *given),
                )
                _results_fit("custom_jvp", name, out, signature)
                found, structure = tree.flatten(tangent)
                if structure != signature.out_structure:
                    told = (f"the tangent that {name} returns", "the result")
                    raise tree.mismatch(structure, signature.out_structure, told, "numr.custom_jvp")
                paths = structure.paths("result")
                return [
                    from_node(_fitting("custom_jvp", name, "a tangent", t, path, x.node))
                    if x.node.dtype.is_inexact
                    else from_node(zeros_like(x.node))
                    for path, t, x in zip(paths, found, signature.results, strict=True)
                ]

            traced = Traced("custom_jvp", jvp, [*leaves, *seeds], call)
            body, taken = traced.close(traced.outputs)
            places = body.params[len(body.params) - len(seeds) :]
            again = [t for t in body.moved([p in places for p in body.params], param_like)[1] if t]
            if not dependents(toposort(again), places).isdisjoint(again):
                raise messages.nonlinear_rule("custom_jvp", name)
            return body, taken

        return Rule(self.__name__, trace)


class custom_vjp(_Custom):
    """A function with a reverse derivative of its own.

    Forward mode follows where the rule is linear in the cotangent, as its transpose. Otherwise (a
    gradient that is clipped on its way) it is an error, and reverse mode alone is there.

    Args:
        fun: a function of arrays (any pytrees), which may be called by keyword.
        nondiff_argnums: positions of arguments that are no arrays, or have no derivative: `bwd` is given
            them first, as they are.

    Raises:
        GradientError: when differentiated: without a rule, by what `fun` takes from outside, or where a
            rule returns another dtype or number of cotangents; when called, for nondiff_argnums that are
            no arguments.
        ShapeError: where `bwd` returns a cotangent of another shape than its argument's, naming both.

    Examples:
        >>> import numr as nr
        >>> @nr.custom_vjp
        ... def clip_gradient(x):
        ...     return x
        >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (nr.clip(ct, -1.0, 1.0),))
        >>> nr.grad(lambda x: 10.0 * clip_gradient(x))(2.0).item()
        1.0
    """

    _transform = "custom_vjp"
    _primitive = CUSTOM_VJP
    _fwd: Callable[..., Any] | None = None
    _bwd: Callable[..., Any] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Give the rule.

        Args:
            fwd: a function of `fun`'s arguments that returns (result, residuals); the residuals are any
                pytree.
            bwd: `bwd(*nondiff, residuals, ct)` returns a tuple with a cotangent for each other argument,
                of its structure, shapes and dtypes; None for zero, of an argument or within one.

        Examples:
            >>> import numr as nr
            >>> f = nr.custom_vjp(lambda x, y: x * y)
            >>> f.defvjp(lambda x, y: (x * y, (x, y)), lambda r, ct: (ct * r[1], None))
            >>> [g.item() for g in nr.grad(f, (0, 1))(2.0, 3.0)]
            [3.0, 0.0]
        """
        self._fwd, self._bwd = fwd, bwd

    def _rule(self, signature: _Signature) -> Rule:
        def trace(_: Any) -> Pullback:
            fwd, bwd = self._fwd, self._bwd
            if fwd is None or bwd is None:
                raise messages.no_rule("custom_vjp", self.__name__, "defvjp(fwd, bwd)")
            names = [getattr(f, "__name__", repr(f)) for f in (fwd, bwd)]
            kept: list[Any] = []

            def keep(arrays: list[Array]) -> Any:
                wanted = "a pair (result, residuals)"
                value = fwd(*signature.put_together(arrays))
                out, residuals = _pair("custom_vjp", names[0], wanted, value)
                _results_fit("custom_vjp", names[0], out, signature)
                kept[:] = tree.flatten(residuals)
                return [x for x in kept[0] if isinstance(x, Array)]

            first = Traced("custom_vjp", fwd, signature.leaves, keep)
            keep_body, taken = first.close(first.outputs)
            residuals, structure = kept
            results = [x for x in signature.results if x.node.dtype.is_inexact]

            def back(arrays: list[Array]) -> Any:
                parts = iter(arrays)
                # What is no array (a length, a name) is as it was.
                given = [next(parts) if isinstance(x, Array) else x for x in residuals]
                cts = [
                    next(parts) if x.node.dtype.is_inexact else from_node(zeros_like(x.node))
                    for x in signature.results
                ]
                value = bwd(
                    *signature.fixed,
                    structure.unflatten(given),
                    signature.out_structure.unflatten(cts),
                )
                return [from_node(n) for n in _cotangents(names[1], value, signature)]

            second = Traced(
                "custom_vjp",
                bwd,
                [*(Leaf(param_like(x.node), x.weak) for x in first.results), *results],
                back,
            )
            back_body, seen = second.close(second.outputs)
            return Pullback(keep_body, taken, back_body, seen)

        return Rule(self.__name__, trace)


def _is_none(x: Any) -> bool:
    return x is None


def _cotangents(name: str, value: Any, signature: _Signature) -> list[Node]:
    """What a reverse rule returned, for each floating argument."""
    count = len(signature.places)
    if not isinstance(value, (tuple, list)) or len(value) != count:
        besides = " that is not in nondiff_argnums" if signature.fixed else ""
        wanted = f"a tuple of {count}, one cotangent for each argument{besides}"
        raise messages.rule_returned("custom_vjp", name, wanted, value)
    example = signature.structure.unflatten([from_node(x.node) for x in signature.leaves])
    found: list[Any] = []
    for place, ct, x in zip(signature.places, value, example, strict=True):
        # None stands for a zero, of an argument or within one.
        wanted_leaves, expected = tree.flatten(x, _is_none)
        leaves, structure = tree.flatten(ct, _is_none)
        if ct is None:
            leaves = [None] * len(wanted_leaves)
        elif structure != expected:
            told = (f"the cotangent that {name} returns", f"args[{place}]")
            raise tree.mismatch(structure, expected, told, "numr.custom_vjp")
        found += [c for c, w in zip(leaves, wanted_leaves, strict=True) if w is not None]
    return [
        zeros_like(x.node)
        if ct is None
        else _fitting("custom_vjp", name, "a cotangent", ct, path, x.node)
        for path, ct, x in zip(signature.paths, found, signature.leaves, strict=True)
        if x.node.dtype.is_inexact
    ]
