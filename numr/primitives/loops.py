"""Loops that hold bodies: `scan`, of known length, and `while`, which ends by a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.body import Body
from numr.ir.dims import Shape
from numr.ir.interpret import Evaluate, evaluate
from numr.ir.node import Node
from numr.ir.transforms.substitute import substitute
from numr.ir.transforms.transpose import transpose as transpose_graph
from numr.primitives.control import (
    Control,
    Flags,
    in_lanes,
    linear_in,
    on,
    only,
    others,
    over_batch,
    run,
    settled,
    split,
    spread,
    where_lanes,
    with_zeros,
)
from numr.primitives.elementwise import add
from numr.primitives.guards import add_cotangents
from numr.primitives.reduction import reduce_or
from numr.primitives.shape import (
    CONCAT,
    SLICE,
    batched_first,
    move_axis,
    reshape,
    zeros_like,
)
from numr.primitives.source import param_like


class Scan(Control):
    """A loop of known length: results carried from step to step, and results of all steps.

    Operands: `consts` that every step sees, `carries` first values of what is carried, and arrays of
    which step t sees row t. The body gives what is carried next, then this step's row of the others.
    """

    def infer(self, *operands: Node, **params: Any) -> tuple[Shape, DType]:
        k, carries = params["index"], params["carries"]
        if k < carries:
            first = operands[params["consts"] + k]
            return first.shape, first.dtype
        out = params["body"].outputs[k]
        return (params["length"], *out.shape), out.dtype

    def count(self, **params: Any) -> int:
        return len(params["body"].outputs)

    def whole(self, *arrays: Any, evaluate: Evaluate = evaluate, **params: Any) -> list[Any]:
        body, carries, length = params["body"], params["carries"], int(params["length"])
        consts, carry, xs = split(arrays, params["consts"], carries)
        rows: list[Any] = [None] * length
        for t in reversed(range(length)) if params["reverse"] else range(length):
            out = run(body, [*consts, *carry, *(x[t] for x in xs)], evaluate)
            carry, rows[t] = out[:carries], out[carries:]
        made = []
        for k, out in enumerate(body.outputs[carries:]):
            empty = np.empty((0, *map(int, out.shape)), out.dtype.dtype)
            made.append(np.stack([row[k] for row in rows]) if length else empty)
        return [*carry, *made]

    def written_out(self, node: Node) -> Node:
        """The result without a loop, step after step."""
        params = node.params
        body, carries, length = params["body"], params["carries"], int(params["length"])
        fixed, carry, xs = split(node.inputs, params["consts"], carries)
        rows: list[Any] = [None] * length
        for t in reversed(range(length)) if params["reverse"] else range(length):
            given = [*fixed, *carry, *(row(x, t) for x in xs)]
            out = substitute(body.outputs, dict(zip(body.params, given, strict=True)))
            carry, rows[t] = out[:carries], out[carries:]
        index = params["index"]
        if index < carries:
            return carry[index]
        parts = [reshape(r[index - carries], (1, *node.shape[1:])) for r in rows]
        return (
            zeros_like(node) if not parts else parts[0] if length == 1 else CONCAT(*parts, axis=0)
        )

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        body, index = params["body"], params["index"]
        consts, carries = params["consts"], params["carries"]
        moved = tuple(t is not None for t in tangents)
        made, carry, rows = body.made(
            ("jvp", consts, carries, moved), lambda: self._moved(body, consts, carries, moved)
        )
        here = index < carries
        flags, k = (carry, index) if here else (rows, index - carries)
        if not flags[k]:
            return None
        place = sum(flags[:k]) + carries
        place += 0 if here else sum(carry) + len(rows)
        parts = split(operands, consts, carries)
        dparts = split(tangents, consts, carries)
        dfirst = with_zeros(only(dparts[1], carry), only(parts[1], carry))
        given: list[Any] = []
        for part, dpart in zip(
            parts,
            ([t for t in dparts[0] if t], dfirst, [t for t in dparts[2] if t]),
            strict=True,
        ):
            given += [*part, *dpart]
        return self(
            *given,
            body=made,
            consts=consts + sum(moved[:consts]),
            carries=carries + sum(carry),
            length=params["length"],
            reverse=params["reverse"],
            index=place,
        )

    @staticmethod
    def _moved(body: Body, consts: int, carries: int, moved: Flags) -> tuple[Body, Flags, Flags]:
        """The body with tangents, and which of what is carried and of the other results have some."""
        fixed, carry, rows = split(moved, consts, carries)

        def go_round(carry: list[bool]) -> tuple[Any, list[bool]]:
            made = body.moved([*fixed, *carry, *rows], param_like)
            return made, [t is not None for t in made[1][:carries]]

        carry, (seeds, tangents) = settled(carry, go_round)
        params = split(body.params, consts, carries)
        dparams = split(seeds, consts, carries)
        outs, douts = split(body.outputs, carries), split(tangents, carries)
        given = [
            n for p, d in zip(params, dparams, strict=True) for n in (*p, *(s for s in d if s))
        ]
        made = [
            *outs[0],
            *with_zeros(only(douts[0], carry), only(outs[0], carry)),
            *outs[1],
            *(t for t in douts[1] if t is not None),
        ]
        return Body(given, made), tuple(carry), tuple(t is not None for t in douts[1])

    def transposed(
        self, cts: Mapping[int, Node], node: Node, wanted: Sequence[bool]
    ) -> Sequence[Node | None]:
        params = node.params
        body, consts, carries = params["body"], params["consts"], params["carries"]
        rows = tuple(sorted(k for k in cts if k >= carries))
        key = ("transpose", consts, carries, tuple(wanted), rows)
        known, back, linear = body.made(
            key, lambda: self._back(body, consts, carries, tuple(wanted), rows)
        )
        fixed, first, xs = split(node.inputs, consts, carries)
        wanted_parts = split(wanted, consts, carries)
        seen = others(fixed, wanted_parts[0])
        other_first, other_xs = others(first, linear), others(xs, wanted_parts[2])
        common = {"length": params["length"]}
        before = []
        if other_first:
            # What was carried into each step, which it computes anew when it is gone through backwards.
            before = self.results(
                *seen,
                *other_first,
                *other_xs,
                body=known,
                consts=len(seen),
                carries=len(other_first),
                reverse=params["reverse"],
                **common,
            )[len(other_first) :]
        carried = [cts.get(k) or zeros_like(x) for k, x in enumerate(first) if linear[k]]
        sums = [zeros_like(x) for x in only(fixed, wanted_parts[0])]
        found = self.results(
            *seen,
            *carried,
            *sums,
            *before,
            *other_xs,
            *(cts[k] for k in rows),
            body=back,
            consts=len(seen),
            carries=len(carried) + len(sums),
            reverse=not params["reverse"],
            **common,
        )
        ct_first, ct_fixed, ct_rows = split(found, len(carried), len(sums))
        by_carry = dict(zip([k for k in range(carries) if linear[k]], ct_first, strict=True))
        results: list[Node | None] = spread(ct_fixed, wanted_parts[0])
        results += [by_carry.get(k) if w else None for k, w in enumerate(wanted_parts[1])]
        return results + spread(ct_rows, wanted_parts[2])

    @staticmethod
    def _back(
        body: Body, consts: int, carries: int, wanted: Flags, rows: tuple[int, ...]
    ) -> tuple[Body, Body, list[bool]]:
        """The bodies of the loop that notes what is carried into each step, and of the one backwards; and
        which of what is carried is linear."""
        fixed, carry, xs = split(body.params, consts, carries)
        of_fixed, linear, of_xs = split(wanted, consts, carries)

        def go_round(linear: list[bool]) -> tuple[None, list[bool]]:
            seeds = only(body.params, [*of_fixed, *linear, *of_xs])
            return None, linear_in(body, seeds)[:carries]

        linear, _ = settled(linear, go_round)
        seen, other_carry, other_xs = (
            others(fixed, of_fixed),
            others(carry, linear),
            others(xs, of_xs),
        )
        nexts = body.outputs[:carries]
        known = Body([*seen, *other_carry, *other_xs], [*others(nexts, linear), *other_carry])
        ends = [*only(nexts, linear), *(body.outputs[k] for k in rows)]
        ct_ends = [param_like(x) for x in ends]
        sums = [param_like(x) for x in only(fixed, of_fixed)]
        moving = [*only(carry, linear), *only(fixed, of_fixed), *only(xs, of_xs)]
        found = transpose_graph(ends, moving, ct_ends, add_cotangents)
        ct_carry, ct_fixed, ct_xs = split(found, sum(linear), len(sums))
        made = [
            *with_zeros(ct_carry, only(carry, linear)),
            *(s if ct is None else add(s, ct) for s, ct in zip(sums, ct_fixed, strict=True)),
            *with_zeros(ct_xs, only(xs, of_xs)),
        ]
        count = sum(linear)
        given = [*seen, *ct_ends[:count], *sums, *other_carry, *other_xs, *ct_ends[count:]]
        return known, Body(given, made), linear

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: Sequence[int | None], /, **params: Any
    ) -> tuple[Node, int]:
        body, consts, carries = params["body"], params["consts"], params["carries"]
        fixed, carry, xs = split([a is not None for a in axes], consts, carries)

        def go_round(carry: list[bool]) -> tuple[Any, list[bool]]:
            found = over_batch(body, (*fixed, *carry, *xs), size)
            return found, [a is not None for _, a in found[1][:carries]]

        carry, (inner, outs) = settled(carry, go_round)
        rows = [a is not None for _, a in outs[carries:]]

        def make() -> Body:
            made = [
                batched_first(n, a, size) if flag else n
                for (n, a), flag in zip(outs, [*carry, *rows], strict=True)
            ]
            return Body(inner, made)

        made = body.made(("batched", id(outs), tuple(carry)), make)
        parts = split(list(zip(operands, axes, strict=True)), consts, carries)
        given = [x if a is None else batched_first(x, a, size) for x, a in parts[0]]
        given += [
            batched_first(x, a, size) if flag else x
            for (x, a), flag in zip(parts[1], carry, strict=True)
        ]
        given += [x if a is None else _rows_first(x, a, size) for x, a in parts[2]]
        node = self(*given, **{**params, "body": made})
        k = params["index"]
        if k < carries:
            return node, 0 if carry[k] else None  # type: ignore[return-value]
        return node, 1 if rows[k - carries] else None  # type: ignore[return-value]


def _rows_first(x: Node, axis: int, size: int) -> Node:
    """With the loop's axis first and the batch second."""
    return move_axis(batched_first(x, axis, size), 0, 1)


class While(Control):
    """A loop that goes on while a condition on what is carried holds.

    Operands: `tests` that the condition sees, `consts` that the body sees, then what is carried. The
    condition is one boolean, or one for each lane: its axes are then the first ones of all that is
    carried, and a lane whose condition has failed keeps what it has while the others go on.
    """

    no_transpose = (
        "how often a while_loop goes round is not known before it has run, and its steps are not kept; "
        "use max_steps=..., or numr.fori_loop or numr.scan, whose length is known; in Python's control "
        "flow that is `for _ in range(limit):` with `if done: break` in it, in place of `while`"
    )

    def infer(self, *operands: Node, **params: Any) -> tuple[Shape, DType]:
        first = operands[params["tests"] + params["consts"] + params["index"]]
        return first.shape, first.dtype

    def count(self, **params: Any) -> int:
        return len(params["body"].outputs)

    def whole(self, *arrays: Any, evaluate: Evaluate = evaluate, **params: Any) -> list[Any]:
        tests, consts, carry = split(arrays, params["tests"], params["consts"])
        while True:
            (go,) = run(params["condition"], [*tests, *carry], evaluate)
            if not np.any(go):
                return carry
            new = run(params["body"], [*consts, *carry], evaluate)
            carry = [np.where(in_lanes(go, x), y, x) for x, y in zip(carry, new, strict=True)]

    def together(self, node: Node) -> tuple[tuple[Node, ...], dict[str, Any]]:
        """The operands and parameters of a loop that goes round for all lanes until the last has ended."""
        params = node.params
        condition, body = params["condition"], params["body"]
        tests, consts = params["tests"], params["consts"]
        if not condition.outputs[0].rank:
            return node.inputs, params

        def make() -> tuple[Body, Body]:
            (go,) = condition.outputs
            some = Body(condition.params, [reduce_or(go, axes=tuple(range(go.rank)))])
            seen, fixed, old = condition.params[:tests], body.params[:consts], body.params[consts:]
            (still,) = on(go, dict(zip(condition.params[tests:], old, strict=True)))
            kept = [where_lanes(still, n, x) for n, x in zip(body.outputs, old, strict=True)]
            return some, Body([*seen, *fixed, *old], kept)

        some, made = body.made(("together", condition, tests, consts), make)
        operands = (*node.inputs[:tests], *node.inputs)
        return operands, params | {"condition": some, "body": made, "consts": tests + consts}

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        body, condition, index = params["body"], params["condition"], params["index"]
        tests, consts, carry = split(operands, params["tests"], params["consts"])
        _, dconsts, dcarry = split(tangents, len(tests), len(consts))
        moved = tuple(t is not None for t in (*dconsts, *dcarry))

        def make() -> tuple[Body, Body, list[bool]]:
            fixed, flags = split(moved, len(consts))

            def go_round(flags: list[bool]) -> tuple[Any, list[bool]]:
                made = body.moved([*fixed, *flags], param_like)
                return made, [t is not None for t in made[1]]

            flags, (seeds, found) = settled(flags, go_round)
            params_, seeds_ = split(body.params, len(consts)), split(seeds, len(consts))
            given = [
                n for p, s in zip(params_, seeds_, strict=True) for n in (*p, *(d for d in s if d))
            ]
            outs = [*body.outputs, *with_zeros(only(found, flags), only(body.outputs, flags))]
            blind = [param_like(x) for x in only(params_[1], flags)]
            return Body(given, outs), Body([*condition.params, *blind], condition.outputs), flags

        made, test, flags = body.made(("jvp", condition, len(consts), moved), make)
        if not flags[index]:
            return None
        given = [t for t in dconsts if t is not None]
        dfirst = with_zeros(only(dcarry, flags), only(carry, flags))
        return self(
            *tests,
            *consts,
            *given,
            *carry,
            *dfirst,
            condition=test,
            body=made,
            tests=len(tests),
            consts=len(consts) + len(given),
            index=len(carry) + sum(flags[:index]),
        )

    def transposed(
        self, cts: Mapping[int, Node], node: Node, wanted: Sequence[bool]
    ) -> Sequence[Node | None]:
        from numr import messages

        raise messages.not_differentiable("while_loop", self.no_transpose)

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: Sequence[int | None], /, **params: Any
    ) -> tuple[Node, int]:
        body, condition = params["body"], params["condition"]
        tests, consts = params["tests"], params["consts"]
        of_tests, fixed, carry = split([a is not None for a in axes], tests, consts)

        lanes = condition.outputs[0].rank > 0

        def go_round(carry: list[bool]) -> tuple[Any, list[bool]]:
            step = over_batch(body, (*fixed, *carry), size)
            test = over_batch(condition, (*of_tests, *carry), size)
            each = lanes or test[1][0][1] is not None
            return (*step, *test), [each or a is not None for _, a in step[1]]

        carry, (inner, outs, given, (decided,)) = settled(carry, go_round)
        each = lanes or decided[1] is not None

        def make() -> tuple[Body, Body]:
            new = [
                batched_first(n, a, size) if c else n for (n, a), c in zip(outs, carry, strict=True)
            ]
            go = batched_first(decided[0], decided[1], size) if each else decided[0]
            return Body(given, [go]), Body(inner, new)

        test, made = body.made(("batched", id(outs), condition, id(given), tuple(carry)), make)
        parts = split(list(zip(operands, axes, strict=True)), tests, consts)
        first = [x if a is None else batched_first(x, a, size) for x, a in parts[0]]
        again = [x if a is None else batched_first(x, a, size) for x, a in parts[1]]
        start = [
            batched_first(x, a, size) if c else x for (x, a), c in zip(parts[2], carry, strict=True)
        ]
        node = self(
            *first,
            *again,
            *start,
            condition=test,
            body=made,
            tests=tests,
            consts=consts,
            index=params["index"],
        )
        return node, 0 if carry[params["index"]] else None  # type: ignore[return-value]


def row(x: Node, t: int) -> Node:
    """A row of an array."""
    rest = x.shape[1:]
    part = SLICE(x, starts=(t, *(0 for _ in rest)), sizes=(1, *rest), steps=(1,) * x.rank)
    return reshape(part, rest)


SCAN = Scan("scan", "A loop of known length over rows, with what is carried from step to step.")
WHILE = While("while", "A loop that goes on while a condition holds.")
