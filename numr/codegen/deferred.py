"""Choices whose sides are worth a branch: what only one side needs is computed where that side is taken.

A choice among values computes all of them. Inside a loop that goes through one point after another a
branch saves the side not taken: a step of a loop that has ended, or the dear one of two models.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from numr.codegen.prepare import reachable
from numr.codegen.region import Axis, Expr, Region
from numr.ir import scalar as S

# Additions that cost more than a branch which is foretold wrong.
WORTH = 30


@dataclass(frozen=True, slots=True)
class Branch:
    """Choices by one condition.

    Attributes:
        choices: the expressions that choose.
        sides: what only they need, where the condition holds and where it does not.
    """

    choices: tuple[Expr, ...]
    sides: tuple[frozenset[Expr], frozenset[Expr]]

    @property
    def condition(self) -> Expr:
        return self.choices[0].args[0]

    @property
    def costs(self) -> tuple[int, int]:
        """What each side costs, in additions."""
        first, second = (sum(e.cost for e in side) for side in self.sides)
        return first, second


def round_axes(roots: Sequence[Expr], axis: Axis) -> frozenset[Axis]:
    """The rounds of a loop, and of those inside it."""
    return frozenset((axis, *(e.data for e in reachable(roots) if e.kind == "rounds")))


def branches(region: Region) -> list[Branch]:
    """The branches worth having among what changes from round to round of a loop, and of those inside it;
    what does not is computed before them."""
    assert region.loop is not None
    roots, carried = [o.expr for o in region.outputs], region.loop.carried
    order, axes = reachable(roots), round_axes(roots, region.loop.axis)
    # What a round begins with is in variables.
    ready = {e for e in order if e.kind == "carried" or (e.kind == "load" and e.data in carried)}
    users: dict[Expr, list[Expr]] = {}
    for e in order:
        for a in e.args:
            users.setdefault(a, []).append(e)
    groups: dict[tuple[Expr, frozenset[Axis], int], list[Expr]] = {}
    levels: dict[Expr, int] = {}
    for e in order:
        level = max((levels[a] for a in e.args), default=0)
        if e.kind == "op" and e.data is S.select and not axes.isdisjoint(e.free):
            groups.setdefault((e.args[0], e.free, level), []).append(e)
            level += 1
        levels[e] = level
    needed = {*roots, *ready}
    found = []
    for choices in groups.values():
        sides = tuple(_only(users, needed, choices, side, axes) for side in (1, 2))
        branch = Branch(tuple(choices), (sides[0], sides[1]))
        if max(branch.costs) >= WORTH:
            found.append(branch)
    return found


def _only(
    users: dict[Expr, list[Expr]],
    needed: set[Expr],
    choices: Sequence[Expr],
    side: int,
    axes: frozenset[Axis],
) -> frozenset[Expr]:
    """What only one side of choices needs."""
    chosen = set(choices)
    found: set[Expr] = set()

    def is_only(user: Expr, e: Expr) -> bool:
        if user in chosen:
            return all(a is not e for k, a in enumerate(user.args) if k != side)
        return user in found

    # Users have higher numbers, so all those of an expression are decided before it is.
    todo: list[int] = []
    waiting: dict[int, Expr] = {}

    def consider(e: Expr) -> None:
        if e.number not in waiting:
            waiting[e.number] = e
            heapq.heappush(todo, -e.number)

    for choice in choices:
        consider(choice.args[side])
    while todo:
        e = waiting[-heapq.heappop(todo)]
        changes = not axes.isdisjoint(e.free) and e not in needed and e not in chosen
        if changes and all(is_only(user, e) for user in users[e]):
            found.add(e)
            for a in e.args:
                consider(a)
    return frozenset(e for e in found if e.kind not in ("const", "size", "axis"))


def while_it_changes(
    nexts: Sequence[Expr], carried: Sequence[Expr], axis: Axis
) -> tuple[Expr, list[Expr]] | None:
    """The condition under which a round changes anything, and what is carried on then; None if there is
    none that stays false once it is.

    Args:
        nexts: what is carried into the next round.
        carried: what the round began with.
        axis: the rounds.
    """
    condition: Expr | None = None
    found = []
    for x, before in zip(nexts, carried, strict=True):
        if x is before:
            found.append(x)
            continue
        if x.kind != "op" or x.data is not S.select or x.args[2] is not before:
            return None
        if condition not in (None, x.args[0]):
            return None
        condition = x.args[0]
        found.append(x.args[1])
    if condition is None:
        return None
    # Of what changes from round to round it may depend on what is carried alone.
    stack, own = [condition], set(carried)
    seen = {condition}
    while stack:
        e = stack.pop()
        if e in own or axis not in e.free:
            continue
        if e.kind in ("axis", "load", "guarded"):
            return None
        for a in e.args:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return condition, found
