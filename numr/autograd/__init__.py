"""Variables and `backward`: derivatives in the imperative way, of what has been computed so far.

A thin layer over the transforms behind `numr.grad`: what is computed from a `Var` remembers how, also
after its value has been read, and `backward` runs forward mode over that and transposes it.

Examples:
    A gradient, and a product with the Hessian by a second `backward` through the first:

    >>> import numr as nr
    >>> from numr.autograd import Var, backward, backward_with_graph
    >>> x = Var([1.0, 2.0])
    >>> loss = nr.sum(x**3)
    >>> backward(loss)[x]
    numr.Array([ 3., 12.])
    >>> gradient = backward_with_graph(loss).get_var(x)
    >>> v = nr.asarray([1.0, 0.5])
    >>> backward(nr.sum(gradient * v))[x]
    numr.Array([6., 6.])

    Third order, and a mixed second derivative:

    >>> x, y = Var(2.0), Var(3.0)
    >>> first = backward_with_graph(x**4 * y**2).get_var(x)
    >>> second = backward_with_graph(first)
    >>> second.get(x).item(), second.get(y).item()
    (432.0, 192.0)
    >>> backward(second.get_var(x))[x].item()
    432.0
"""

from numr.autograd.backward import BackwardHook, backward, backward_with_graph
from numr.autograd.checkpoint import checkpoint
from numr.autograd.stores import GradStore, VarGradStore
from numr.autograd.variables import Var, no_grad

__all__ = [
    "BackwardHook",
    "GradStore",
    "Var",
    "VarGradStore",
    "backward",
    "backward_with_graph",
    "checkpoint",
    "no_grad",
]
