"""NUMR_CHECK: what a step of a program stored, held against NumPy's result from the same operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.fuse import Step, writes
from numr.ir.interpret import Evaluate, evaluate, interpret
from numr.ir.node import Node, toposort

Array = np.ndarray[Any, Any]


# How far a function may be from NumPy's, in units in the last place: both are good to 4.
ULPS = 8
# NumPy's result is computed this often with such errors put in, to see what they do to it. What is
# this many times further off is wrong.
RUNS, ROOM = 4, 8
# Library calls that choose among their operands' elements.
EXACT = ("sort", "argsort")


@dataclass(slots=True)
class Check:
    """A program step that compares the results of the step before it; `slots` are its buffers.

    Attributes:
        name: what to call the step in a message.
        operands: the stored nodes the results are made of, and their slots.
        results: the nodes the step stored, and their slots.
        fast_math: whether results that are not finite may be anything.
    """

    name: str
    operands: dict[Node, int]
    results: dict[Node, int]
    fast_math: bool

    @property
    def slots(self) -> tuple[int, ...]:
        return (*self.operands.values(), *self.results.values())

    uses = slots

    def __str__(self) -> str:
        return f"check {', '.join(f'b{s}' for s in self.results.values())} against NumPy"

    def __call__(self, *buffers: Array) -> None:
        """Compare, given the buffers in `slots`.

        Raises:
            CheckError: if a result differs by more than rounding explains.
        """
        count = len(self.operands)
        given = dict(zip(self.operands, buffers[:count], strict=True))
        nodes = list(self.results)
        wanted = interpret(nodes, given)
        shaken: list[list[Array]] = []
        for k, (node, found, right) in enumerate(zip(nodes, buffers[count:], wanted, strict=True)):
            got, want = _parts(found), _parts(right)
            if not _wrong(got, want, [], self.fast_math).any():
                continue
            shaken = shaken or [
                interpret(nodes, given, _evaluate(seed, self.fast_math)) for seed in range(RUNS)
            ]
            wrong = _wrong(got, want, [_parts(run[k]) for run in shaken], self.fast_math)
            if wrong.any():
                raise _error(self.name, node, found, right, wrong)


def check(name: str, step: Step, slots: dict[Node, int], fast_math: bool) -> Check:
    """The check of a fused step, once all it reads and writes has a slot."""
    results = {node: slots[node] for node in writes(step)}
    stored = {node: slot for node, slot in slots.items() if node not in results}
    needed = {x for node in toposort(results, stored) for x in node.inputs}
    return Check(name, {n: s for n, s in stored.items() if n in needed}, results, fast_math)


def _parts(x: Any) -> Array:
    """Real numbers, with a last axis: complex ones as two."""
    parts: Array = np.ascontiguousarray(x).reshape(*np.shape(x), 1)
    return parts.view(parts.real.dtype) if parts.dtype.kind == "c" else parts


def _wrong(got: Array, want: Array, runs: Sequence[Array], fast_math: bool) -> Array:
    """Where a result is neither NumPy's nor near what rounding makes of NumPy's."""
    if want.dtype.kind != "f":
        return _unless(got != want, [run != want for run in runs])
    with np.errstate(all="ignore"):
        moves = [np.abs(run - want) for run in runs]
        spread = max((float(m[np.isfinite(m)].max(initial=0.0)) for m in moves), default=0.0)
        limit = ROOM * (spread + np.finfo(want.dtype).eps * np.abs(want))
        far = np.isfinite(got) & np.isfinite(want) & ~(np.abs(got - want) <= limit)
    kind = _kind(want)
    wrong: Array = far | _unless(_kind(got) != kind, [_kind(run) != kind for run in runs])
    return wrong & np.isfinite(want) if fast_math else wrong


def _unless(differs: Array, changes: Sequence[Array]) -> Array:
    """Differences that have no size, unless rounding alone makes about as many."""
    allowed = ROOM * max(map(np.count_nonzero, changes), default=0)
    return differs & (np.count_nonzero(differs) > allowed)


def _kind(x: Array) -> Array:
    """0 for a finite number, 1 and -1 for the infinities, 2 for NaN."""
    return np.where(np.isnan(x), 2.0, np.where(np.isinf(x), np.sign(x), 0.0))


def _near(seed: int) -> Callable[[Any], Any]:
    """A function that puts small errors in numbers: upwards for the first seed, else at random."""
    random = np.random.default_rng(seed)

    def near(x: Any) -> Any:
        x = np.asarray(x)
        if x.dtype.kind not in "fc":
            return x
        # Terms that all move one way: an error of a sum whose parts grow before they cancel.
        way = random.uniform(-1, 1, x.shape) if seed else np.sign(x)
        return (x * (1 + ULPS * np.finfo(x.dtype).eps * way)).astype(x.dtype)

    return near


def _evaluate(seed: int, fast_math: bool) -> Evaluate:
    """Evaluation with small errors wherever a backend may round otherwise."""
    near = _near(seed)

    def run(node: Node, arrays: Sequence[Array]) -> Any:
        if not (node.inputs and (fast_math or _rounds(node))):
            return evaluate(node, arrays)
        if len(arrays) == 1 or not hasattr(node.prim, "op"):
            # An error in proportion to the terms of a sum, and to the slope of a function, where the
            # result itself is near zero.
            arrays = [near(x) for x in arrays]
        return near(evaluate(node, arrays))

    return run


def _rounds(node: Node) -> bool:
    """Whether backends may differ in how they round a node."""
    prim = node.prim
    if prim.lowering in ("control", "library", "scan", "scatter"):
        return prim.name not in EXACT
    op = getattr(prim, "op", None)
    if op is not None:
        return not op.exact or node.dtype.kind == "c"
    return getattr(prim, "monoid", None) in ("add", "mul")


def _error(name: str, node: Node, got: Array, want: Array, wrong: Array) -> Exception:
    """The error that tells the largest of the differences."""
    with np.errstate(all="ignore"):
        off = np.abs(np.subtract(got, want, dtype=np.result_type(want, np.float64)))
    elements = wrong.reshape(*want.shape, -1).any(axis=-1)
    # What is not a number differs most.
    size = np.where(elements, np.where(np.isnan(off), np.inf, off), -1.0)
    worst = tuple(map(int, np.unravel_index(int(size.argmax()), size.shape)))
    return messages.wrong_result(
        name,
        node.prim.name,
        want.shape,
        want.dtype,
        (int(elements.sum()), worst, got[worst], want[worst], off[worst]),
        node.location,
    )
