"""Messages about variables and their gradients (`numr.autograd`)."""

from __future__ import annotations

from typing import Any

from numr.errors import GradientError, MissingGradientError, ShapeError
from numr.messages.text import Shape, not_real, shape_text, with_article


def variable_not_inexact(dtype: Any) -> GradientError:
    """A variable to be trained whose values are no floating-point numbers.

    Examples:
        >>> from numr import messages
        >>> print(messages.variable_not_inexact("int64").args[0])
        numr.autograd.Var: an int64 array has no gradient, only floating-point values have
          pass it as a float (2.0 for 2, x.astype("float64")), or say requires_grad=False
    """
    return GradientError(
        f"numr.autograd.Var: {with_article(dtype)} array has no gradient, only floating-point values have\n"
        f'  pass it as a float (2.0 for 2, x.astype("float64")), or say requires_grad=False'
    )


def changed_variable(shape: Shape, dtype: Any) -> GradientError:
    """A variable changed in place where derivatives go through it.

    Examples:
        >>> from numr import messages
        >>> print(messages.changed_variable((3,), "float64").args[0])
        a Var of shape (3,), float64 cannot be changed in place: a gradient is taken with respect to it
          change it inside numr.autograd.no_grad(), or work on x.copy()
    """
    return GradientError(
        f"a Var of shape {shape_text(shape)}, {dtype} cannot be changed in place: a gradient is taken "
        f"with respect to it\n  change it inside numr.autograd.no_grad(), or work on x.copy()"
    )


def loss_not_an_array(function: str, kind: str) -> GradientError:
    """`backward` of what is no array.

    Examples:
        >>> from numr import messages
        >>> print(messages.loss_not_an_array("backward", "float").args[0])
        numr.autograd.backward needs the loss as an array of numr's, not float
          float(...), .item() and numpy.asarray read a value, and what is read has no history
    """
    return GradientError(
        f"numr.autograd.{function} needs the loss as an array of numr's, not {kind}\n"
        f"  float(...), .item() and numpy.asarray read a value, and what is read has no history"
    )


def loss_not_one_number(function: str, shape: Shape, dtype: Any) -> GradientError:
    """`backward` of a loss that is not one real number.

    Examples:
        >>> from numr import messages
        >>> print(messages.loss_not_one_number("backward", (3,), "float64").args[0])
        numr.autograd.backward needs a loss that is one real number, not an array of shape (3,)
          reduce it, as with numr.sum; for the product with weights w, numr.sum(w * loss)
        >>> print(messages.loss_not_one_number("backward", (), "int64").args[0])
        numr.autograd.backward needs a loss that is one real number, not an int64
          only floating-point values have derivatives
    """
    head = f"numr.autograd.{function} needs a loss that is one real number, not "
    if shape:
        return GradientError(
            f"{head}an array of shape {shape_text(shape)}\n"
            f"  reduce it, as with numr.sum; for the product with weights w, numr.sum(w * loss)"
        )
    return GradientError(not_real(head, dtype))


def no_variable(kind: str) -> GradientError:
    """A store asked for the gradient of what is no variable.

    Examples:
        >>> from numr import messages
        >>> print(messages.no_variable("Array").args[0])
        gradients are kept by variable: a numr.autograd.Var or its id, not Array
          what is computed from variables has no gradient of its own; make it a Var to get one
    """
    return GradientError(
        f"gradients are kept by variable: a numr.autograd.Var or its id, not {kind}\n"
        f"  what is computed from variables has no gradient of its own; make it a Var to get one"
    )


def missing_gradient(name: str) -> MissingGradientError:
    """A gradient that is not in a store.

    Examples:
        >>> from numr import messages
        >>> print(messages.missing_gradient("variable 7 of shape (2,), float64").args[0])
        there is no gradient of variable 7 of shape (2,), float64
          the loss does not depend on it, or no variable to be trained has this id; .get(...) gives None
    """
    return MissingGradientError(
        f"there is no gradient of {name}\n"
        f"  the loss does not depend on it, or no variable to be trained has this id; .get(...) gives None"
    )


def wrong_gradient(name: str, shape: Shape, given: Shape) -> ShapeError:
    """A gradient put into a store that does not have its variable's shape.

    Examples:
        >>> from numr import messages
        >>> print(messages.wrong_gradient("variable 7", (2,), (3,)).args[0])
        the gradient of variable 7 is to have its shape (2,), not (3,)
    """
    return ShapeError(
        f"the gradient of {name} is to have its shape {shape_text(shape)}, not {shape_text(given)}"
    )
