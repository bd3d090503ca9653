"""Which variables are read later: at the end of each statement, and where a loop begins again.

What a branch or a loop assigns and nobody reads afterwards is no part of its result. Sets err on the large
side: exceptions may go from anywhere in a `try` to its handlers, and what an inner function reads is read
at any time.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from numr.python_control import names
from numr.python_control.names import assigned, blocks, captured, own, read

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass
class Facts:
    """What is known of a statement.

    Attributes:
        after: the variables that may be read after it, where its jumps lead, too.
        jumped: those that may be read where its jumps lead.
        head: of a loop: those that a round may read as the last one left them.
        certain: of a loop: those that have a value after one round, however it ends.
    """

    after: Names = NONE
    jumped: Names = NONE
    head: Names = NONE
    certain: Names = NONE


@dataclass(frozen=True)
class _Targets:
    """What is read where jumps lead."""

    ended: Names
    broken: Names = NONE
    continued: Names = NONE
    caught: Names = NONE

    def reached(self, jumps: set[str]) -> Names:
        """What is read where some jumps lead."""
        found = {"break": self.broken, "continue": self.continued, "return": self.ended}
        return NONE.union(*(found[jump] for jump in jumps))


@dataclass
class Liveness:
    """The facts of all statements of a function, by their identity."""

    facts: dict[int, Facts] = field(default_factory=dict)

    def of(self, statement: ast.AST) -> Facts:
        return self.facts.setdefault(id(statement), Facts())

    def block(self, statements: Sequence[ast.stmt], after: Names, to: _Targets) -> Names:
        """What is read from the beginning of a block on."""
        for s in reversed(statements):
            facts = self.of(s)
            facts.jumped = to.reached(names.jumps([s]))
            facts.after = after | facts.jumped
            after = self._before(s, after, to) | to.caught
        return after

    def _before(self, s: ast.stmt, after: Names, to: _Targets) -> Names:
        match s:
            case ast.Break():
                return to.broken
            case ast.Continue():
                return to.continued
            case ast.Return():
                return to.ended | read([s])
            case ast.Raise():
                return to.ended | read([s])
            case ast.If():
                either = self.block(s.body, after, to) | self.block(s.orelse, after, to)
                return either | read([s.test])
            case ast.While() | ast.For() | ast.AsyncFor():
                return self._loop(s, after, to)
            case ast.With() | ast.AsyncWith():
                # what it manages may swallow an exception anywhere in its body
                caught = _Targets(to.ended, to.broken, to.continued, to.caught | after)
                return self.block(s.body, after, caught) | read(s.items)
            case ast.Try() | ast.TryStar():
                finally_ = self.block(s.finalbody, after, to)
                to = _Targets(
                    to.ended | finally_,
                    to.broken | finally_,
                    to.continued | finally_,
                    to.caught | finally_,
                )
                handled = finally_.union(
                    *(self.block(h.body, finally_, to) | read([h]) for h in s.handlers)
                )
                tried = _Targets(to.ended, to.broken, to.continued, handled | to.caught)
                return self.block(s.body, self.block(s.orelse, finally_, to), tried)
            case ast.Match():
                found = after | read([s.subject])
                for case in s.cases:
                    found |= self.block(case.body, after, to) | read([case.pattern])
                    found |= read([case.guard] if case.guard else [])
                return found
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return (after - {s.name}) | read(own([s]))
            case ast.AugAssign():
                return (after | read([s])) | assigned([s.target])
            case ast.Delete():
                return after | read([s])
            case ast.Assign():
                return (after - _names(s.targets)) | read([s])
            case ast.AnnAssign():
                given = _names([s.target]) if s.value is not None else set()
                return (after - given) | read([s])
            case _:
                return after | read([s])

    def _loop(self, s: ast.While | ast.For | ast.AsyncFor, after: Names, to: _Targets) -> Names:
        facts = self.of(s)
        ended = self.block(s.orelse, after, to)
        test = frozenset(read([s.test])) if isinstance(s, ast.While) else NONE
        target = set() if isinstance(s, ast.While) else _names([s.target])
        head: Names = ended | test
        while True:
            inside = _Targets(to.ended, after, head, to.caught)
            again = head | (self.block(s.body, head, inside) - target)
            if again == head:
                break
            head = again
        facts.head = head
        named = assigned([s.test]) if isinstance(s, ast.While) else set()
        # Where a test assigns, it is part of a round, which may end before its body.
        facts.certain = (
            frozenset(_sure([s.test]))
            if isinstance(s, ast.While) and named
            else certain(s.body) | target
        )
        return head if isinstance(s, ast.While) else head | read([s.iter])


def _names(targets: Sequence[ast.expr]) -> set[str]:
    """The variables among targets, which have a new value afterwards whatever they had."""
    found: set[str] = set()
    for t in targets:
        if isinstance(t, ast.Name):
            found.add(t.id)
        elif isinstance(t, (ast.Tuple, ast.List)):
            found |= _names(t.elts)
        elif isinstance(t, ast.Starred):
            found |= _names([t.value])
    return found


def liveness(body: Sequence[ast.stmt]) -> Liveness:
    """The facts of every statement of a function's body."""
    found = Liveness()
    always = frozenset(captured(body))
    found.block(body, always, _Targets(always, caught=always))
    return found


def certain(body: Sequence[ast.stmt]) -> Names:
    """The variables that have a value when a round ends or is broken off, whichever way it went."""
    exits: list[set[str]] = []
    end = _assigned_for_sure(body, set(), exits)
    exits += [] if end is None else [end]
    return frozenset(set.intersection(*exits)) if exits else NONE


def _assigned_for_sure(
    statements: Sequence[ast.stmt], have: set[str], exits: list[set[str]]
) -> set[str] | None:
    """The variables with a value at the end of a block, or None if that is not reached; `exits` are given
    those at each `break` and `continue`."""
    for s in statements:
        match s:
            case ast.Break() | ast.Continue():
                exits.append(have)
                return None
            case ast.Return() | ast.Raise():
                return None
            case ast.If():
                ends = [_assigned_for_sure(b, have, exits) for b in (s.body, s.orelse)]
                reached = [e for e in ends if e is not None]
                if not reached:
                    return None
                have = set.intersection(*reached)
            case ast.While() | ast.For() | ast.AsyncFor():
                have = have - _deleted(s)
                _assigned_for_sure(s.orelse, have, exits)
            case ast.With() | ast.AsyncWith() | ast.Try() | ast.TryStar() | ast.Match():
                have = have - _deleted(s)
                for block in blocks(s):
                    _assigned_for_sure(block, have, exits)
            case ast.Assign():
                have = have | _names(s.targets)
            case ast.AnnAssign() if s.value is not None:
                have = have | _names([s.target])
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                have = have | {s.name}
            case ast.Delete():
                have = have - _names(s.targets)
    return have


def _sure(tests: list[ast.expr]) -> set[str]:
    """What tests assign, however they turn out."""
    found = set()
    while tests:
        test = tests.pop()
        if isinstance(test, ast.NamedExpr):
            found |= _names([test.target])
        if isinstance(test, (ast.BoolOp, ast.IfExp)):
            tests.append(test.values[0] if isinstance(test, ast.BoolOp) else test.test)
        elif not isinstance(test, (ast.Lambda, *names.COMPREHENSIONS)):
            tests += [x for x in ast.iter_child_nodes(test) if isinstance(x, ast.expr)]
    return found


def _deleted(statement: ast.stmt) -> set[str]:
    return {n for d in own([statement]) if isinstance(d, ast.Delete) for n in _names(d.targets)}
