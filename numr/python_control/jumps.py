"""`break`, `continue` and `return` within branches and loops become flags, which what follows asks.

What remains is control flow that goes in at the top and out at the bottom of each statement, so that a
branch is a function of variables, and a round of a loop is another.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from numr.python_control import names
from numr.python_control.liveness import NONE, Facts, Liveness

# Names with a dot cannot be names in anybody's source.
RETURNED, RESULT, OPERATORS, LOST = "numr.returned", "numr.result", "numr.operators", "numr.lost"


@dataclass
class Loop:
    """The flags of a loop that jumps out of its body raise."""

    broken: str
    continued: str


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def assign(name: str, value: ast.expr | bool, like: ast.AST) -> ast.stmt:
    if isinstance(value, bool):
        value = ast.Constant(value)
    made = ast.Assign([ast.Name(name, ast.Store())], value)
    return ast.fix_missing_locations(ast.copy_location(made, like))


def operator(name: str, arguments: Sequence[ast.expr], like: ast.AST) -> ast.Call:
    """A call of a function of `numr.python_control.operators`."""
    function = ast.Attribute(load(OPERATORS), name, ast.Load())
    made = ast.copy_location(ast.Call(function, list(arguments), []), like)
    if made.end_lineno != made.lineno:  # Python would say that the call is where it ends
        made.end_lineno, made.end_col_offset = made.lineno, made.col_offset
    return ast.fix_missing_locations(made)


class Jumps:
    """Lowers the body of one function.

    Attributes:
        returns: whether a `return` became a flag.
        stops: the flags that end a loop, by its identity.
        flags: the flags in force at a branch or loop, which are part of what it leaves, by its identity.
    """

    def __init__(self, liveness: Liveness) -> None:
        self.liveness = liveness
        self.returns = False
        self.stops: dict[int, tuple[str, ...]] = {}
        self.flags: dict[int, tuple[str, ...]] = {}
        self._loops: list[Loop] = []
        self._count = 0

    def function(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        return self._block(body, outermost=True)

    # -- blocks ----------------------------------------------------------------------------------

    def _block(self, statements: Sequence[ast.stmt], outermost: bool = False) -> list[ast.stmt]:
        """The statements without jumps."""
        done: list[ast.stmt] = []
        waiting = list(statements)
        after = self.liveness.of(waiting[-1]).after if waiting else NONE
        after = after.union(*(self.liveness.of(s).jumped for s in waiting))
        while waiting:
            s = waiting.pop(0)
            if isinstance(s, (ast.Break, ast.Continue)) or (
                isinstance(s, ast.Return) and not outermost
            ):
                return [*done, *self._jump(s)]
            if isinstance(s, ast.If):
                waiting = self._absorb(s, waiting, after)
                done.append(self._if(s))
            elif isinstance(s, (ast.While, ast.For)):
                waiting = [*self._otherwise(s), *waiting]
                done += self._loop(s)
            elif isinstance(s, (ast.With, ast.Try, ast.TryStar, ast.Match)):
                done.append(self._other(s))
            else:
                done.append(s)
                continue
            raised = self._raised([done[-1]])
            if raised and waiting:
                return [*done, self._guard(raised, waiting, after, done[-1])]
        return done

    def _jump(self, s: ast.stmt) -> list[ast.stmt]:
        if isinstance(s, ast.Return):
            self.returns = True
            value = s.value or ast.copy_location(ast.Constant(None), s)
            return [assign(RESULT, value, s), assign(RETURNED, True, s)]
        loop = self._loops[-1]
        return [assign(loop.broken if isinstance(s, ast.Break) else loop.continued, True, s)]

    def _in_force(self) -> list[str]:
        """The flags that jumps may raise here."""
        found = [flag for loop in self._loops for flag in (loop.broken, loop.continued)]
        return [*found, RETURNED]

    def _raised(self, statements: Sequence[ast.stmt]) -> list[str]:
        """The flags in force that statements may have raised."""
        given = names.assigned(statements)
        return [flag for flag in self._in_force() if flag in given]

    def _guard(
        self, flags: list[str], rest: list[ast.stmt], after: frozenset[str], like: ast.stmt
    ) -> ast.stmt:
        """The rest of a block, if nothing jumped. In it the flags are down, which is known then."""
        down = [assign(flag, False, rest[0]) for flag in flags]
        test = operator("none_of", [load(flag) for flag in flags], rest[0])
        up = (
            [assign(flags[0], True, like)] if len(flags) == 1 else []
        )  # which one it was, is not known
        made = ast.If(test, [*down, *self._block(rest)], up)
        return self._noted(ast.copy_location(made, rest[0]), after)

    def _noted(self, made: ast.stmt, after: frozenset[str]) -> ast.stmt:
        self.liveness.facts[id(made)] = Facts(after)
        self.flags[id(made)] = (*self._in_force(), RESULT)
        return made

    # -- statements ------------------------------------------------------------------------------

    def _absorb(self, s: ast.If, rest: list[ast.stmt], after: frozenset[str]) -> list[ast.stmt]:
        """Where one branch always jumps, what follows is the other one's: `if a: return b` and c is
        `if a: return b` `else: c`. What remains to follow."""
        ends = names.leaves_always(s.body), names.leaves_always(s.orelse)
        if not names.jumps([s]) or ends == (False, False):
            return rest
        if ends[1]:
            s.body = [*s.body, *rest]
        elif ends[0]:
            s.orelse = [*s.orelse, *rest]
        self.liveness.of(s).after = after
        return []

    def _if(self, s: ast.If) -> ast.stmt:
        after = self.liveness.of(s).after
        made = ast.If(s.test, self._block(s.body), self._block(s.orelse))
        if not made.body:
            made.body = [ast.copy_location(ast.Pass(), s)]
        return self._noted(ast.copy_location(made, s), after)

    def _otherwise(self, s: ast.While | ast.For) -> list[ast.stmt]:
        """The `else:` of a loop, as statements behind it."""
        if not s.orelse or "break" not in names.jumps(s.body):
            return s.orelse
        broken = Loop(f"numr.broken_{self._count + 1}", "").broken
        made = ast.If(operator("none_of", [load(broken)], s.orelse[0]), s.orelse, [])
        self.liveness.facts[id(made)] = Facts(self.liveness.of(s).after)
        return [ast.copy_location(made, s.orelse[0])]

    def _loop(self, s: ast.While | ast.For) -> list[ast.stmt]:
        self._count += 1
        loop = Loop(f"numr.broken_{self._count}", f"numr.continued_{self._count}")
        facts = self.liveness.of(s)
        made: ast.While | ast.For
        outer_flags = (*self._in_force(), RESULT)
        self._loops.append(loop)
        body = self._block(s.body)
        self._loops.pop()
        raised = names.assigned(body)
        stops = [flag for flag in (loop.broken, RETURNED) if flag in raised]
        if loop.continued in raised:
            body = [assign(loop.continued, False, s.body[0]), *body]
        if isinstance(s, ast.For):
            made = ast.For(s.target, s.iter, body, [])
        elif any(isinstance(n, ast.NamedExpr) for n in names.own([s.test])):
            # What the test assigns is for the body, so it is part of a round, which it may end.
            ended = f"numr.ended_{self._count}"
            stops.append(ended)
            decide = ast.If(s.test, body, [assign(ended, True, s)])
            self.liveness.facts[id(decide)] = Facts(facts.head | facts.after)
            self.flags[id(decide)] = (*outer_flags, loop.broken, loop.continued, ended)
            true = ast.copy_location(ast.Constant(True), s.test)
            made = ast.While(true, [ast.copy_location(decide, s)], [])
        else:
            made = ast.While(s.test, body, [])
        made = ast.copy_location(made, s)
        self.liveness.facts[id(made)] = facts
        self.flags[id(made)] = (*outer_flags, *stops)
        self.stops[id(made)] = tuple(stops)
        started = {loop.broken, *stops} - {RETURNED}
        return [*(assign(flag, False, s) for flag in sorted(started)), made]

    def _other(self, s: ast.stmt) -> ast.stmt:
        """`with`, `try` and `match`, whose own way through their blocks stays Python's."""
        if isinstance(s, (ast.Try, ast.TryStar)):
            s.body = self._block(s.body)
            raised = self._raised(s.body)
            if s.orelse and raised:
                after = self.liveness.of(s).after
                s.orelse = [self._guard(raised, s.orelse, after, s)]
            else:
                s.orelse = self._block(s.orelse)
            s.finalbody = self._block(s.finalbody)
            holders: list[ast.ExceptHandler] | list[ast.match_case] = s.handlers
        elif isinstance(s, ast.Match):
            holders = s.cases
        else:
            assert isinstance(s, ast.With)
            s.body = self._block(s.body)
            holders = []
        for holder in holders:
            holder.body = self._block(holder.body)
        return s
