"""Python's own control flow on traced values, by rewriting a function's source.

`numr.control_flow` reads the source of a function, takes its branches and loops apart into functions of
their variables, and calls operators on them, which run them in Python or make primitives of them.
`jumps` turns `break`, `continue` and `return` into flags, `statements` and `expressions` write the calls,
`liveness` finds which variables matter; `operators`, `branches` and `loops` are what is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["control_flow"]


def control_flow(fun: F) -> F:
    """Let `if`, `while`, `for`, `and`, `or`, `not` and conditional expressions decide by traced values.

    The function is rewritten once, from its source: where what decides is known to Python, as a number, a
    shape or an array that is not traced, it runs as before. Where it is traced, a branch becomes `numr.cond`,
    a loop over a range, an array, or `enumerate` and `zip` of them `numr.scan`, one whose length is traced
    or a `while` `numr.while_loop`; `break`, `continue` and `return` in them are carried as flags.

    Functions that it calls are not rewritten, unless they are given to this themselves; those defined within
    it are. `jit(control_flow=True)` does both at once.

    Args:
        fun: a function with source: no lambda, and not what another decorator made.

    Returns:
        The function rewritten, with the same name, signature and closure; its `__wrapped__` is the one that was
        given. Outside traces it does what that does.

    Raises:
        ControlFlowError: here if there is no source, and when called for what cannot be part of the graph:
            a variable that changes its type, a list that grows, an attribute or a global that is set, `raise`
            in a traced branch or loop.

    Examples:
        >>> import numr as nr
        >>> @nr.jit(control_flow=True)
        ... def collatz(n):
        ...     steps = 0
        ...     while n != 1:
        ...         if n % 2 == 0:
        ...             n = n // 2
        ...         else:
        ...             n = 3 * n + 1
        ...         steps += 1
        ...     return steps
        >>> collatz(27).item()
        111
    """
    from numr.python_control.rewrite import rewritten

    return rewritten(fun)  # type: ignore[return-value]
