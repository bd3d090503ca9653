"""Messages about derivatives that users give: rules that do not fit what they are for."""

from __future__ import annotations

from typing import Any

from numr.errors import GradientError, ShapeError
from numr.messages.text import Shape, compose, shape_text, with_article


def taken_moves(transform: str, function: str) -> GradientError:
    """A derivative by what a function with a rule of its own took from outside.

    Examples:
        >>> from numr import messages
        >>> print(messages.taken_moves("custom_vjp", "f").args[0])
        numr.custom_vjp of f: a derivative is asked for by a value that f takes from outside, and its rule ...
          make the value an argument of f, or numr.stop_gradient of it where the derivative is to be zero
    """
    return GradientError(
        compose(
            f"numr.{transform} of {function}: a derivative is asked for by a value that {function} takes from "
            f"outside, and its rule knows nothing of it",
            f"make the value an argument of {function}, or numr.stop_gradient of it where the derivative is to "
            f"be zero",
        )
    )


def no_rule(transform: str, function: str, method: str) -> GradientError:
    """A function that was told to have a rule, and has none yet.

    Examples:
        >>> from numr import messages
        >>> print(messages.no_rule("custom_jvp", "f", "defjvp(rule)").args[0])
        numr.custom_jvp of f: its rule is not defined
          call f.defjvp(rule) before f is differentiated
    """
    return GradientError(
        compose(
            f"numr.{transform} of {function}: its rule is not defined",
            f"call {function}.{method} before {function} is differentiated",
        )
    )


def rule_returned(transform: str, rule: str, wanted: str, got: Any) -> GradientError:
    """A rule that does not return the pair, or the tuple, it is to return.

    Examples:
        >>> from numr import messages
        >>> print(messages.rule_returned("custom_vjp", "fwd", "a pair (result, residuals)", 1.0).args[0])
        numr.custom_vjp: the rule fwd is to return a pair (result, residuals), not a float
        >>> print(messages.rule_returned("custom_vjp", "bwd", "a tuple of 1", None).args[0])
        numr.custom_vjp: the rule bwd is to return a tuple of 1, not None
    """
    what = "None" if got is None else with_article(type(got).__name__)
    if isinstance(got, (tuple, list)):
        what += f" of {len(got)}"
    return GradientError(f"numr.{transform}: the rule {rule} is to return {wanted}, not {what}")


def wrong_nondiff(transform: str, function: str, argnums: Any, count: int) -> GradientError:
    """Positions of arguments without a derivative that are no positions of arguments.

    Examples:
        >>> from numr import messages
        >>> print(messages.wrong_nondiff("custom_vjp", "f", (2,), 2).args[0])
        numr.custom_vjp of f: nondiff_argnums is (2,), and f was called with 2 positional arguments
          they count from 0
    """
    return GradientError(
        compose(
            f"numr.{transform} of {function}: nondiff_argnums is {tuple(argnums)}, and {function} was called "
            f"with {count} positional argument{'' if count == 1 else 's'}",
            "they count from 0",
        )
    )


def nonlinear_rule(transform: str, rule: str) -> GradientError:
    """A rule for tangents that is not linear in them.

    Examples:
        >>> from numr import messages
        >>> print(messages.nonlinear_rule("custom_jvp", "rule").args[0])
        numr.custom_jvp: the rule rule returned a tangent that is not linear in the tangents it was given
          a derivative along a direction is linear in it; use numr.custom_vjp for a gradient that is ...
    """
    return GradientError(
        compose(
            f"numr.{transform}: the rule {rule} returned a tangent that is not linear in the tangents it was "
            f"given",
            "a derivative along a direction is linear in it; use numr.custom_vjp for a gradient that is clipped "
            "or otherwise changed on its way",
        )
    )


def rule_misshaped(
    transform: str,
    rule: str,
    what: str,
    given: tuple[Shape, Any],
    belongs_to: str,
    wanted: tuple[Shape, Any],
) -> ShapeError | GradientError:
    """What a rule returned has another shape or dtype than what it belongs to.

    Examples:
        >>> from numr import messages
        >>> given, wanted = ((3,), "float64"), ((2, 3), "float64")
        >>> error = messages.rule_misshaped("custom_vjp", "bwd", "a cotangent", given, "args[0]", wanted)
        >>> print(error.args[0])
        numr.custom_vjp: the rule bwd returned a cotangent of shape (3,) for args[0], which has shape (2, 3)
          they must be equal: sum over axes that were broadcast, or broadcast axes that were summed
    """
    head = f"numr.{transform}: the rule {rule} returned {what} of "
    if tuple(given[0]) != tuple(wanted[0]):
        return ShapeError(
            compose(
                f"{head}shape {shape_text(given[0])} for {belongs_to}, which has shape {shape_text(wanted[0])}",
                "they must be equal: sum over axes that were broadcast, or broadcast axes that were summed",
            )
        )
    return GradientError(
        compose(
            f"{head}dtype {given[1]} for {belongs_to}, which has dtype {wanted[1]}",
            "convert it with astype, or take its real part",
        )
    )


def not_linear(function: str) -> GradientError:
    """A function that is not linear where its transpose is asked for.

    Examples:
        >>> from numr import messages
        >>> print(messages.not_linear("f").args[0])
        f is not linear in its arguments, and only linear functions have a transpose
          numr.vjp gives the transpose of its derivative at a point
    """
    return GradientError(
        compose(
            f"{function} is not linear in its arguments, and only linear functions have a transpose",
            "numr.vjp gives the transpose of its derivative at a point",
        )
    )
