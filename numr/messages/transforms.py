"""Messages about derivatives and mapped axes asked for in a way that has no meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.errors import AxisError, GradientError, Location, NotDifferentiableError
from numr.messages.text import Shape, compose, not_real, shape_text


def not_one_number(
    transform: str, function: str, results: Sequence[tuple[Any, Shape]]
) -> GradientError:
    """A gradient of a function that does not return one real number.

    Args:
        transform: the derivative asked for.
        function: what it was asked of.
        results: (dtype, shape) of each array that the function returns.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.not_one_number("grad", "f", [("float64", (3,))]).args[0])
        numr.grad needs a function that returns one real number; f returns an array of shape (3,)
          reduce it, as with numr.sum, or use numr.jacrev, numr.jacfwd or numr.vjp
        >>> print(messages.not_one_number("grad", "f", [("int64", ())]).args[0])
        numr.grad needs a function that returns one real number; f returns an int64
          only floating-point values have derivatives
    """
    head = f"numr.{transform} needs a function that returns one real number; {function} returns "
    if len(results) != 1:
        return GradientError(
            f"{head}{len(results)} arrays\n"
            f"  return one number, with has_aux=True where there is more to return, or use "
            f"numr.jacrev, numr.jacfwd or numr.vjp"
        )
    ((dtype, shape),) = results
    if shape:
        return GradientError(
            f"{head}an array of shape {shape_text(shape)}\n"
            f"  reduce it, as with numr.sum, or use numr.jacrev, numr.jacfwd or numr.vjp"
        )
    return GradientError(not_real(head, dtype))


def no_direction(transform: str, function: str, argnums: Any, count: int) -> GradientError:
    """`hvp` or its like without the direction after its argument, or with an `argnums` it does not take.

    Examples:
        >>> from numr import messages
        >>> print(messages.no_direction("hvp", "f", 0, 1).args[0])
        numr.hvp: f was called with 1 positional argument, and argument 0 and a direction after it ...
          hvp(f)(x, v, *rest): v is a direction of x's structure, or a tuple of them for several argnums
    """
    plural = "" if count == 1 else "s"
    return GradientError(
        f"numr.{transform}: {function} was called with {count} positional argument{plural}, and argument "
        f"{argnums!r} and a direction after it are needed\n"
        f"  {transform}({function})(x, v, *rest): v is a direction of x's structure, or a tuple of them "
        f"for several argnums"
    )


def not_inexact(transform: str, what: str, dtype: Any) -> GradientError:
    """A derivative of, or with respect to, something that is not a floating-point number.

    Examples:
        >>> from numr import messages
        >>> print(messages.not_inexact("grad", "args[0]['n']", "int64").args[0])
        numr.grad: args[0]['n'] is int64, and only floating-point values have derivatives
          pass it as a float (2.0 for 2, x.astype("float64")), or leave it out with argnums
    """
    return GradientError(
        f"numr.{transform}: {what} is {dtype}, and only floating-point values have derivatives\n"
        f'  pass it as a float (2.0 for 2, x.astype("float64")), or leave it out with argnums'
    )


def not_complex(transform: str, what: str, dtype: Any) -> GradientError:
    """A holomorphic derivative of, or with respect to, something that is not complex.

    Examples:
        >>> from numr import messages
        >>> print(messages.not_complex("grad", "f: its argument", "float64").args[0])
        numr.grad: f: its argument is float64, and holomorphic=True is for complex arguments and results
          convert it with astype("complex128"), or leave holomorphic out
    """
    return GradientError(
        f"numr.{transform}: {what} is {dtype}, and holomorphic=True is for complex arguments and results\n"
        f'  convert it with astype("complex128"), or leave holomorphic out'
    )


def complex_without_holomorphic(transform: str, what: str, dtype: Any) -> GradientError:
    """A Jacobian by, or of, complex numbers, of which one pass per element gives only a half.

    Examples:
        >>> from numr import messages
        >>> print(messages.complex_without_holomorphic("jacfwd", "f: its argument", "complex128").args[0])
        numr.jacfwd: f: its argument is complex128, and one derivative per element is half of its Jacobian
          pass holomorphic=True if the function is holomorphic, or make it one of real and imaginary parts
    """
    return GradientError(
        f"numr.{transform}: {what} is {dtype}, and one derivative per element is half of its Jacobian\n"
        f"  pass holomorphic=True if the function is holomorphic, or make it one of real and imaginary parts"
    )


def wrong_argnums(transform: str, function: str, argnums: Any, count: int) -> GradientError:
    """`argnums` that name an argument that was not passed.

    Examples:
        >>> from numr import messages
        >>> print(messages.wrong_argnums("grad", "f", 2, 2).args[0])
        numr.grad: argnums is 2, but f was called with 2 positional arguments
          they count from 0; arguments passed by keyword are not counted
    """
    plural = "" if count == 1 else "s"
    return GradientError(
        f"numr.{transform}: argnums is {argnums!r}, but {function} was called with {count} "
        f"positional argument{plural}\n"
        f"  they count from 0; arguments passed by keyword are not counted"
    )


def not_differentiable(
    op: str, reason: str, hint: str | None = None, location: Location | None = None
) -> NotDifferentiableError:
    """An operation without a derivative on the way of one.

    Examples:
        >>> from numr import messages
        >>> error = messages.not_differentiable("while_loop", "its length is not known", "use scan")
        >>> print(error.args[0])
        while_loop cannot be differentiated: its length is not known
          use scan
    """
    head = f"{op} cannot be differentiated: {reason}"
    return NotDifferentiableError(compose(head, *([hint] if hint else [])), location=location)


def bad_map_axes(function: str, sizes: Sequence[tuple[str, Any, Any]]) -> AxisError:
    """Arguments of `vmap` whose mapped axes differ in length, or none that is mapped.

    Args:
        function: the mapped function.
        sizes: (path of the argument, axis, length) of each mapped one.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.bad_map_axes("f", [("args[0]", 0, 3), ("args[1]['w']", 1, 4)]).args[0])
        numr.vmap of f: the mapped axes differ in length
          args[0] has 3 along axis 0
          args[1]['w'] has 4 along axis 1
          in_axes=None leaves an argument unmapped: the same for every element
    """
    if not sizes:
        return AxisError(
            f"numr.vmap of {function}: in_axes maps no argument, so the length is not known\n"
            f"  give the axis of at least one argument; call {function} itself to map nothing"
        )
    seen = "\n".join(f"  {path} has {length} along axis {axis}" for path, axis, length in sizes)
    return AxisError(
        f"numr.vmap of {function}: the mapped axes differ in length\n{seen}\n"
        f"  in_axes=None leaves an argument unmapped: the same for every element"
    )
