"""Products with second derivatives, without the matrix: Hessian-vector, vector-Hessian, Gauss-Newton."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numr import messages
from numr.autodiff import _check_transform, grad, jvp, vjp

__all__ = ["gnvp", "hvp", "vhp"]

# What a product is made of: a function of the chosen arguments that returns (output, aux), the
# arguments, the directions -> (product, aux).
_Product = Callable[[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]], tuple[Any, Any]]


def _along(
    name: str,
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool,
    product: _Product,
) -> Callable[..., Any]:
    """A function (x, v, *rest) of `fun`'s arguments with a direction after those to differentiate by."""
    _check_transform(name, fun)
    function = getattr(fun, "__name__", repr(fun))
    single = isinstance(argnums, int)
    listed = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def along(*args: Any, **kwargs: Any) -> Any:
        # Counted from the end, an argument is counted without the direction.
        places = [i if i >= 0 else i + len(args) - 1 for i in listed]
        after = max(places, default=-1) + 1
        if not 0 < after < len(args) or min(places) < 0:
            raise messages.no_direction(name, function, argnums, len(args))
        plain, direction = [*args[:after], *args[after + 1 :]], args[after]
        if not single and not isinstance(direction, (tuple, list)):
            raise messages.no_direction(name, function, argnums, len(args))

        def chosen(*xs: Any) -> Any:
            given = list(plain)
            for place, x in zip(places, xs, strict=True):
                given[place] = x
            found = fun(*given, **kwargs)
            return found if has_aux else (found, None)

        chosen.__name__ = function
        directions = (direction,) if single else tuple(direction)
        found, aux = product(chosen, tuple(plain[i] for i in places), directions)
        found = found[0] if single else found
        return (found, aux) if has_aux else found

    return along


def hvp(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Hessian-vector products without the Hessian: forward mode over the gradient.

    Args:
        fun: a function with a real scalar result, or (scalar, aux) with `has_aux`.
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        A function (x, v, *rest) -> H v, where x is `fun`'s argument number `argnums`, v a direction of
        its structure given right after it, and the others are `fun`'s other arguments. For several
        argnums v is a tuple, given right after the last of them, and so is H v. With `has_aux`,
        (H v, aux).

    Raises:
        GradientError: for a result that is not a real scalar, integer inputs, wrong argnums, or a
            direction that is not there.

    Examples:
        >>> import numr as nr
        >>> x, v = nr.asarray([3.0, 2.0]), nr.asarray([1.0, 0.0])
        >>> nr.hvp(lambda x: x[0] ** 2 * x[1])(x, v).tolist()
        [4.0, 6.0]
        >>> [h.item() for h in nr.hvp(lambda x, y: x**2 * y, (0, 1))(3.0, 2.0, (1.0, 0.0))]
        [4.0, 6.0]
    """

    def product(f: Any, xs: Any, vs: Any) -> Any:
        _, moved, aux = jvp(grad(f, range(len(xs)), has_aux=True), xs, vs, has_aux=True)
        return moved, aux

    return _along("hvp", fun, argnums, has_aux, product)


def vhp(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Vector-Hessian products without the Hessian: reverse mode over forward mode.

    v^T H equals H v, which `hvp` has by forward mode over reverse mode; this one differentiates the slope
    along v, and keeps what one reverse pass needs.

    Args:
        fun: a function with a real scalar result, or (scalar, aux) with `has_aux`.
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        A function (x, v, *rest) -> v^T H with arguments as those of `hvp`.

    Raises:
        GradientError: as `hvp`.

    Examples:
        >>> import numr as nr
        >>> x, v = nr.asarray([3.0, 2.0]), nr.asarray([1.0, 0.0])
        >>> nr.vhp(lambda x: x[0] ** 2 * x[1])(x, v).tolist()
        [4.0, 6.0]
    """

    def product(f: Any, xs: Any, vs: Any) -> Any:
        def slope(*xs: Any) -> Any:
            _, moved, aux = jvp(f, xs, vs, has_aux=True)
            return moved, aux

        return grad(slope, range(len(xs)), has_aux=True)(*xs)

    return _along("vhp", fun, argnums, has_aux, product)


def gnvp(
    fun: Callable[..., Any],
    loss: Callable[[Any], Any] | None = None,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """Gauss-Newton-vector products J^T H J v without J: a positive semidefinite stand-in for the Hessian of
    `loss(fun(x))`, where `loss` is convex.

    Args:
        fun: a function with real results (any pytree), such as residuals or a network's outputs; or
            (results, aux) with `has_aux`. J is its Jacobian.
        loss: a scalar function of the results, of which H is the Hessian; None for half the sum of
            squares, whose H is the identity.
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        A function (x, v, *rest) -> J^T H J v with arguments as those of `hvp`.

    Raises:
        GradientError: as `hvp`, for `loss`.

    References:
        Schraudolph, Fast curvature matrix-vector products for second-order gradient descent (2002).

    Examples:
        >>> import numr as nr
        >>> x, v = nr.asarray([3.0, 2.0]), nr.asarray([1.0, 0.0])
        >>> nr.gnvp(lambda x: x**2)(x, v).tolist()
        [36.0, 0.0]
    """

    def product(f: Any, xs: Any, vs: Any) -> Any:
        y, moved, aux = jvp(f, xs, vs, has_aux=True)
        if loss is not None:
            _, moved = jvp(grad(loss), (y,), (moved,))
        _, pull, _ = vjp(f, *xs, has_aux=True)
        return pull(moved), aux

    return _along("gnvp", fun, argnums, has_aux, product)
