"""checkpoint: memory for time, by computing a stretch anew on the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numr import checkpoints


def checkpoint(f: Callable[..., Any], *vars: Any) -> Any:
    """`f(*vars)`, of which only the arguments are kept for `backward`; what is between is computed anew.

    `numr.checkpoint(f)(*vars)`: it has derivatives of every order, and `numr.checkpoint` has policies of
    what to keep as well. Variables that `f` closes over get their gradients, too.

    Args:
        f: a function of arrays that returns an array, or containers of arrays. It is called once, now.
        *vars: its arguments: variables, arrays, or containers of them.

    Returns:
        What `f` returns.

    Examples:
        >>> import numr as nr
        >>> from numr.autograd import Var, backward, checkpoint
        >>> x = Var([0.0, 1.0])
        >>> y = checkpoint(lambda x: nr.exp(nr.sin(x)), x)
        >>> backward(nr.sum(y))[x]
        numr.Array([1.        , 1.25338077])
    """

    return checkpoints.checkpoint(f)(*vars)
