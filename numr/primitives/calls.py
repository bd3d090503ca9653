"""Calls of bodies that bring rules of their own: derivatives that a user gives, linear maps by their adjoint.

The body of a call is put in its place before anything is fused, so no backend knows these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numr import messages
from numr.dtypes import DType
from numr.ir.body import Body
from numr.ir.dims import Shape
from numr.ir.interpret import Evaluate, evaluate
from numr.ir.node import Node, dependents, toposort
from numr.ir.transforms.jvp import jvp as jvp_graph
from numr.ir.transforms.substitute import substitute
from numr.ir.transforms.transpose import transpose as transpose_graph
from numr.primitives.control import Control, only, over_batch, run, split, with_zeros
from numr.primitives.elementwise import accumulate, neg
from numr.primitives.guards import add_cotangents
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import batched_first, zeros_like
from numr.primitives.source import param_like


class Rule:
    """What a user says about a function, traced when it is needed, once for a key.

    Attributes:
        name: the function's name, for messages.
    """

    __slots__ = ("_made", "_trace", "name")

    def __init__(self, name: str, trace: Callable[[Any], Any]) -> None:
        self.name = name
        self._trace = trace
        self._made: dict[Any, Any] = {}

    def __call__(self, key: Any = None) -> Any:
        if key not in self._made:
            self._made[key] = self._trace(key)
        return self._made[key]

    def __repr__(self) -> str:
        # Programs are found by their text, and no program depends on a rule.
        return "rule"


def placed(body: Body, operands: Sequence[Node]) -> list[Node]:
    """A body's results on operands."""
    return substitute(body.outputs, dict(zip(body.params, operands, strict=True)))


def all_batched(body: Body, which: Sequence[bool], size: int) -> Body:
    """A body over a batch, which all its results have as their first axis."""

    def make() -> Body:
        inner, outs = over_batch(body, tuple(which), size)
        return Body(inner, [batched_first(n, a, size) for n, a in outs])

    return body.made(("all batched", tuple(which), id(size)), lambda: (size, make()))[1]  # type: ignore[no-any-return]


def first_axes(
    size: int, operands: Sequence[Node], axes: Sequence[int | None]
) -> tuple[list[Node], list[bool]]:
    """Operands with their batch axis first, and which have one."""
    moved = [
        x if a is None else batched_first(x, a, size) for x, a in zip(operands, axes, strict=True)
    ]
    return moved, [a is not None for a in axes]


class Call(Control):
    """The results of a body."""

    lowering = "call"

    def called(self, node: Node) -> Body:
        """The body to put in the place of a node."""
        body: Body = node.params["body"]
        return body

    def infer(self, *operands: Node, **params: Any) -> tuple[Shape, DType]:
        out = params["body"].outputs[params["index"]]
        return out.shape, out.dtype

    def count(self, **params: Any) -> int:
        return len(params["body"].outputs)

    def whole(self, *arrays: Any, evaluate: Evaluate = evaluate, **params: Any) -> list[Any]:
        return run(params["body"], arrays, evaluate)


class _Ruled(Call):
    """A user's function with a rule of its own.

    Operands: `taken` that the function took from outside, which its rule knows nothing of, then its
    arguments.
    """

    no_transpose = "its tangent has the adjoint, not it"

    def check_taken(self, tangents: Sequence[Node | None], **params: Any) -> None:
        if any(t is not None for t in tangents[: params["taken"]]):
            raise messages.taken_moves(self.name, params["rule"].name)

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: Sequence[int | None], /, **params: Any
    ) -> tuple[Node, int]:
        given, which = first_axes(size, operands, axes)
        rule, taken = params["rule"], params["taken"]
        made = params | {
            "body": all_batched(params["body"], which, size),
            "rule": params["body"].made(
                ("rule", rule, tuple(which), id(size)),
                lambda: Rule(rule.name, lambda key: self.over(rule(key), key, which[taken:], size)),
            ),
        }
        return self(*given, **made), 0

    def over(self, made: Any, key: Any, which: Sequence[bool], size: int) -> Any:
        """What a rule made, over a batch in those of the arguments."""
        raise NotImplementedError


class CustomJvp(_Ruled):
    """A function with a forward rule: the body of (what it took, arguments, moved tangents)."""

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        self.check_taken(tangents, **params)
        taken = params["taken"]
        moved = tuple(t is not None for t in tangents[taken:])
        body, extra = params["rule"](moved)
        given = [*extra, *operands[taken:], *(t for t in tangents[taken:] if t is not None)]
        return placed(body, given)[params["index"]]

    def over(self, made: Any, key: Any, which: Sequence[bool], size: int) -> Any:
        body, extra = made
        flags = [*(False for _ in extra), *which, *only(which, key)]
        return all_batched(body, flags, size), extra


class Root(CustomJvp):
    """What solves an equation: the first operands, which do not move, as the results, which do.

    The rule is given the results as its first arguments, so that it is differentiated at them again.
    """

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        plain = {k: v for k, v in params.items() if k != "index"}
        found = self.results(*operands, **plain)
        moved = (*(None for _ in found), *tangents[len(found) :])
        given = (*found, *operands[len(found) :])
        return super().jvp(out, given, moved, **params)


class Pullback:
    """A reverse rule: what it keeps of the arguments, and the cotangents of the arguments.

    Attributes:
        keep, kept: a body from arguments to residuals, and what it took from outside, its first operands.
        back, seen: a body from residuals and cotangents, of the floating results, to cotangents of the
            floating arguments, and what it took.
    """

    __slots__ = ("back", "keep", "kept", "seen")

    def __init__(self, keep: Body, kept: Sequence[Node], back: Body, seen: Sequence[Node]) -> None:
        self.keep, self.kept, self.back, self.seen = keep, tuple(kept), back, tuple(seen)


class CustomVjp(_Ruled):
    """A function with a reverse rule."""

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        self.check_taken(tangents, **params)
        given, moving = operands[params["taken"] :], tangents[params["taken"] :]
        pull: Pullback = params["rule"]()
        residuals = placed(pull.keep, [*pull.kept, *given])
        flags = tuple(
            t is not None for x, t in zip(given, moving, strict=True) if x.dtype.is_inexact
        )
        back = pull.back.made(
            ("moved", flags), lambda: Body(pull.back.params, only(pull.back.outputs, flags))
        )
        outputs = params["body"].outputs[: params["index"]]
        return LINEAR(
            *pull.seen,
            *residuals,
            *(t for t in moving if t is not None),
            back=back,
            ahead=None,
            inverts=None,
            fixed=len(pull.seen) + len(residuals),
            name=params["rule"].name,
            index=sum(x.dtype.is_inexact for x in outputs),
        )

    def over(self, made: Any, key: Any, which: Sequence[bool], size: int) -> Any:
        keep_flags = [*(False for _ in made.kept), *which]
        keep = all_batched(made.keep, keep_flags, size)
        flags = [k >= len(made.seen) for k in range(len(made.back.params))]
        back = all_batched(made.back, flags, size)
        arguments = made.keep.params[len(made.kept) :]
        floating = [w for x, w in zip(arguments, which, strict=True) if x.dtype.is_inexact]
        # An argument that all of the batch share gets what each of it sends back.
        found = [
            out if w else reduce_sum(out, axes=(0,))
            for out, w in zip(back.outputs, floating, strict=True)
        ]
        return Pullback(keep, made.kept, Body(back.params, found), made.seen)


class Linear(Control):
    """A linear map given by its adjoint and, perhaps, by itself.

    Operands: `fixed` that it depends on in any way, then those it is linear in. `back` is the body from
    the fixed ones and cotangents of the results to cotangents of the linear ones; `ahead`, if not None,
    the one from the operands to the results. Where the map is the inverse of another one, `inverts` has
    that one and its adjoint, as such bodies, and derivatives never go through how it is inverted.
    """

    lowering = "call"

    def infer(self, *operands: Node, **params: Any) -> tuple[Shape, DType]:
        out = params["back"].params[params["fixed"] + params["index"]]
        return out.shape, out.dtype

    def count(self, **params: Any) -> int:
        return len(params["back"].params) - params["fixed"]

    def called(self, node: Node) -> Body:
        ahead: Body | None = node.params["ahead"]
        return ahead or self.ahead(**node.params)

    def ahead(self, **params: Any) -> Body:
        """The map itself: the adjoint of its adjoint, which then must be linear, too."""
        back, fixed = params["back"], params["fixed"]

        def make() -> Body:
            known, cts = split(back.params, fixed)
            seeds = [param_like(ct) for ct in cts]
            linear = jvp_graph(back.outputs, dict(zip(cts, seeds, strict=True)))
            ends = [t for t in linear if t is not None]
            if not dependents(toposort(ends), cts).isdisjoint(ends):
                raise messages.not_differentiable(
                    params["name"],
                    "its rule in reverse is not linear in the cotangent, so it says nothing of forward mode",
                    "use numr.grad or numr.vjp, or give the function a numr.custom_jvp",
                )
            moved = [param_like(x) for x in back.outputs]
            found = transpose_graph(linear, seeds, moved, add_cotangents)
            return Body([*known, *moved], with_zeros(found, cts))

        return back.made(("ahead", fixed), make)  # type: ignore[no-any-return]

    def whole(self, *arrays: Any, evaluate: Evaluate = evaluate, **params: Any) -> list[Any]:
        return run(params["ahead"] or self.ahead(**params), arrays, evaluate)

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        fixed = params["fixed"]
        if all(t is None for t in tangents[:fixed]):
            moved = with_zeros(tangents[fixed:], operands[fixed:])
            return self(*operands[:fixed], *moved, **params)
        if params["inverts"] is not None:
            return self._jvp_of_inverse(operands, tangents, **params)
        body = params["ahead"] or self.ahead(**params)
        which = tuple(t is not None for t in tangents)
        seeds, found = body.made(("moved", which), lambda: body.moved(which, param_like))
        tangent = found[params["index"]]
        if tangent is None:
            return None
        places = dict(zip(body.params, operands, strict=True))
        places |= {s: t for s, t in zip(seeds, tangents, strict=True) if s is not None}
        return substitute([tangent], places)[0]

    def _jvp_of_inverse(
        self, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node:
        """x = A^-1 b moves by A^-1 (db - dA x)."""
        fixed, index = params["fixed"], params["index"]
        plain = {k: v for k, v in params.items() if k != "index"}
        body = params["inverts"][0]
        which = tuple(k < fixed and t is not None for k, t in enumerate(tangents))
        seeds, changes = body.made(("moved", which), lambda: body.moved(which, param_like))
        solution = self.results(*operands, **plain)
        places = dict(zip(body.params, [*operands[:fixed], *solution], strict=True))
        places |= {s: t for s, t in zip(seeds, tangents, strict=True) if s is not None}
        found = iter(substitute([c for c in changes if c is not None], places))
        moved = []
        for b, db, change in zip(operands[fixed:], tangents[fixed:], changes, strict=True):
            if change is not None:
                db = accumulate(db, neg(next(found)))
            moved.append(zeros_like(b) if db is None else db)
        return self(*operands[:fixed], *moved, **plain, index=index)

    def transposed(
        self, cts: Mapping[int, Node], node: Node, wanted: Sequence[bool]
    ) -> Sequence[Node | None]:
        back, ahead, fixed = (node.params[k] for k in ("back", "ahead", "fixed"))
        results = back.params[fixed:]
        given = [
            *node.inputs[:fixed],
            *(cts.get(k) or zeros_like(x) for k, x in enumerate(results)),
        ]
        if ahead is None:
            found = placed(back, given)
        else:
            inverts = node.params["inverts"]
            found = self.results(
                *given,
                back=ahead,
                ahead=back,
                inverts=None if inverts is None else inverts[::-1],
                fixed=fixed,
                name=node.params["name"],
            )
        return [*(None for _ in range(fixed)), *found]

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: Sequence[int | None], /, **params: Any
    ) -> tuple[Node, int]:
        fixed = params["fixed"]
        given, which = first_axes(size, operands, axes)
        given[fixed:] = [
            batched_first(x, 0 if w else None, size)
            for x, w in zip(given[fixed:], which[fixed:], strict=True)
        ]

        def over(body: Body | None) -> Body | None:
            if body is None:
                return None
            flags = [*which[:fixed], *(True for _ in body.params[fixed:])]
            return all_batched(body, flags, size)

        made = params | {"back": over(params["back"]), "ahead": over(params["ahead"])}
        if params["inverts"] is not None:
            made["inverts"] = tuple(over(body) for body in params["inverts"])
        return self(*given, **made), 0


CUSTOM_JVP = CustomJvp("custom_jvp", "A function with a forward rule of its own.")
CUSTOM_VJP = CustomVjp("custom_vjp", "A function with a reverse rule of its own.")
ROOT = Root("root", "What solves an equation, with derivatives by the implicit function theorem.")
LINEAR = Linear("linear", "A linear map given by its adjoint.")
