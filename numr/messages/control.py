"""Messages about control flow that is written in Python."""

from __future__ import annotations

from types import CodeType
from typing import Any

from numr.errors import ControlFlowError, Location
from numr.messages.text import Shape, compose, shape_text


def place_in(code: CodeType, line: int) -> Location | None:
    """A line of a function."""
    for k, position in enumerate(code.co_positions()):
        if position[0] == line:
            return Location((code, 2 * k))
    inner = [place_in(c, line) for c in code.co_consts if isinstance(c, CodeType)]
    return next((found for found in inner if found is not None), None)


def cannot_rewrite(function: Any, why: str, line: int | None = None) -> ControlFlowError:
    """A function that stays as it is, so that control_flow=True would do nothing.

    Examples:
        >>> from numr import messages
        >>> print(messages.cannot_rewrite(abs, "a builtin has no source of its own").args[0])
        the control flow of abs cannot be rewritten: a builtin has no source of its own
          give numr.control_flow, or jit(control_flow=True), a function written with def, in a file or ...
    """
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    fix = (
        "give numr.control_flow, or jit(control_flow=True), a function written with def, in a file or "
        "notebook, before other decorators have it; or write the loop with numr.scan, the branch with numr.cond"
    )
    return ControlFlowError(
        compose(f"the control flow of {name} cannot be rewritten: {why}", fix),
        location=None if code is None or line is None else place_in(code, line),
    )


def not_one_truth(what: str, shape: Shape, dtype: Any) -> ControlFlowError:
    """A test of many elements.

    Examples:
        >>> from numr import messages
        >>> print(messages.not_one_truth("`if`", (3,), "bool").args[0])
        `if` decides by one boolean, not by an array of shape (3,) and dtype bool
          numr.all or numr.any make one of it; numr.where(condition, a, b) chooses by element, and & | ~ ...
    """
    return ControlFlowError(
        compose(
            f"{what} decides by one boolean, not by an array of shape {shape_text(shape)} and dtype {dtype}",
            "numr.all or numr.any make one of it; numr.where(condition, a, b) chooses by element, and "
            "& | ~ combine by element",
        )
    )


_STAYS = {
    "a generator": (
        "control flow in a generator stays Python's, since it stops at each yield",
        "put the branch or loop into a function of its own, with @numr.control_flow, and yield what it returns",
    ),
    "an async function": (
        "control flow in an async function stays Python's, since it stops at each await",
        "put the branch or loop into a function of its own, with @numr.control_flow",
    ),
    "`assert`": (
        "`assert` stays Python's: a compiled function does not stop half-way",
        "return the condition and assert it outside, or assert what is known, as shapes and dtypes are",
    ),
    "`match`": (
        "`match` stays Python's: patterns ask for values",
        "write it with if and elif, or with numr.switch for numbers",
    ),
    "a comprehension": (
        "a comprehension has as many elements as Python finds: `if` in it stays Python's",
        "a numr.where by element, or a loop over a range that carries what it needs",
    ),
}


def decided_by_python(what: str, shape: Shape, dtype: Any) -> ControlFlowError:
    """A traced value where control flow stays Python's.

    Examples:
        >>> from numr import messages
        >>> print(messages.decided_by_python("`assert`", (), "bool").args[0])
        the test of `assert` is a traced value, of shape () and dtype bool
          `assert` stays Python's: a compiled function does not stop half-way
          return the condition and assert it outside, or assert what is known, as shapes and dtypes are
    """
    subject = "the subject" if what == "`match`" else "the test"
    inside = f"{subject} of {what}" if what.startswith("`") else f"{subject} in {what}"
    head = f"{inside} is a traced value, of shape {shape_text(shape)} and dtype {dtype}"
    stays = (
        f"control flow in {what} stays Python's, which needs a value",
        "assign before it, in a statement",
    )
    return ControlFlowError(compose(head, *_STAYS.get(what, stays)))


def traced_within(word: str, around: str) -> ControlFlowError:
    """A traced branch or loop inside `try` or `with`.

    Examples:
        >>> from numr import messages
        >>> print(messages.traced_within("if", "try").args[0])
        a traced `if` inside `try`: what both ways raise is raised while they are traced, whichever will ...
          move the `if` out of the `try`, or into a function of its own that does not raise
    """
    return ControlFlowError(
        compose(
            f"a traced `{word}` inside `{around}`: what its statements raise is raised while they are "
            f"traced, whichever of them will run, so that `{around}` would see it in any case"
            if word != "if"
            else f"a traced `if` inside `{around}`: what both ways raise is raised while they are traced, "
            f"whichever will run, so that `{around}` would see it in any case",
            f"move the `{word}` out of the `{around}`, or into a function of its own that does not raise",
        )
    )


def changes_outside(word: str, text: str) -> ControlFlowError:
    """Something that is no variable changes in a traced branch or loop.

    Examples:
        >>> from numr import messages
        >>> print(messages.changes_outside("for", "rows.append()").args[0])
        rows.append() inside a traced `for` changes what is no variable of it
          it would run once, while the function is traced, and not as often as the loop goes round
          collect results in an array: rows = numr.zeros(n) before, and rows[i] = value inside; or let ...
    """
    head = f"{text} inside a traced `{word}` changes what is no variable of it"
    if word == "if":
        why = "it would run while the function is traced, whichever way the branch goes"
    else:
        why = "it would run once, while the function is traced, and not as often as the loop goes round"
    if text.endswith("()"):
        fix = (
            "collect results in an array: rows = numr.zeros(n) before, and rows[i] = value inside; "
            "or let numr.scan stack what each step returns"
        )
    elif text == "an array":
        fix = "assign to elements of a variable of this function, x[i] = v, or return a new array and assign it"
    else:
        fix = "use a variable, and assign it to the attribute or the container behind"
    return ControlFlowError(compose(head, why, fix))


def changes_unknown(name: str, kind: str) -> ControlFlowError:
    """`x[i] = v` in traced control flow, x being neither an array nor a list nor a dict."""
    return ControlFlowError(
        compose(
            f"`{name}` is a {kind}, whose elements cannot be assigned in traced control flow",
            "numr arrays, lists and dicts are carried from before to behind: use one of these",
        )
    )


def changes_numpy(name: str) -> ControlFlowError:
    """`x[i] = v` in traced control flow, x being NumPy's."""
    return ControlFlowError(
        compose(
            f"`{name}` is a NumPy array, which cannot hold traced values",
            f"make it numr's before: {name} = numr.asarray({name})",
        )
    )


def cannot_raise(word: str) -> ControlFlowError:
    """`raise` in a traced branch or loop.

    Examples:
        >>> from numr import messages
        >>> print(messages.cannot_raise("if").args[0])
        `raise` inside a traced `if`: whether it comes to that is not known while the function is traced
          return a flag, or numr.nan, and raise outside by what the function returned
    """
    return ControlFlowError(
        compose(
            f"`raise` inside a traced `{word}`: whether it comes to that is not known while the function is traced",
            "return a flag, or numr.nan, and raise outside by what the function returned",
        )
    )


def rebinds(word: str, name: str, kind: str) -> ControlFlowError:
    """A global or nonlocal variable assigned in a traced branch or loop."""
    return ControlFlowError(
        compose(
            f"the {kind} `{name}` is assigned inside a traced `{word}`, which carries variables of its function only",
            f"use a variable of this function inside, and assign it to `{name}` behind; or return it",
        )
    )


def branches_differ(variable: str, one: str, other: str, ways: tuple[str, str]) -> ControlFlowError:
    """A variable of other types on the two ways of a branch.

    Examples:
        >>> from numr import messages
        >>> ways = ("if it holds", "otherwise")
        >>> print(messages.branches_differ("`y`", "shape (2,) float64", "shape (3,) float64", ways).args[0])
        `y` differs between the ways of a traced branch: shape (2,) float64 if it holds, shape (3,) ...
          which way it goes is not known while the function is traced: give `y` one structure, shape and ...
    """
    return ControlFlowError(
        compose(
            f"{variable} differs between the ways of a traced branch: {one} {ways[0]}, {other} {ways[1]}",
            f"which way it goes is not known while the function is traced: give {variable} one structure, "
            f"shape and dtype on both",
        )
    )


def loop_changes(word: str, variable: str, before: str, after: str) -> ControlFlowError:
    """A variable of another type after a round of a loop.

    Examples:
        >>> from numr import messages
        >>> print(messages.loop_changes("for", "`s`", "shape () int64", "shape (3,) float64").args[0])
        `s` changes in a traced `for`: shape () int64 before a round, shape (3,) float64 after it
          one round stands for all: let `s` begin with the structure, shape and dtype that it keeps
    """
    return ControlFlowError(
        compose(
            f"{variable} changes in a traced `{word}`: {before} before a round, {after} after it",
            f"one round stands for all: let {variable} begin with the structure, shape and dtype that it keeps",
        )
    )


def no_value(name: str, why: str, location: Location | None) -> ControlFlowError:
    """A variable is read that has no value on every way there.

    Examples:
        >>> from numr import messages
        >>> print(messages.no_value("y", "the `if` at line 3 assigns it on one way only", None).args[0])
        `y` has no value here: the `if` at line 3 assigns it on one way only
          give `y` a value of the same shape and dtype before
    """
    return ControlFlowError(
        compose(
            f"`{name}` has no value here: {why}",
            f"give `{name}` a value of the same shape and dtype before",
        ),
        location=location,
    )


def returns_nothing(function: str, value: str) -> ControlFlowError:
    """A function that returns on some ways only.

    Examples:
        >>> from numr import messages
        >>> print(messages.returns_nothing("f", "shape () float64").args[0])
        f returns shape () float64 on one way of a traced branch or loop, and nothing on another
          end it with a `return` of the same structure, shape and dtype
    """
    return ControlFlowError(
        compose(
            f"{function} returns {value} on one way of a traced branch or loop, and nothing on another",
            "end it with a `return` of the same structure, shape and dtype",
        )
    )


def endless_recursion(word: str) -> ControlFlowError:
    """A function that calls itself on a way of a traced branch."""
    return ControlFlowError(
        compose(
            f"a recursion inside a traced `{word}` does not end while it is traced, since both ways are",
            "write it as a loop; recursion that ends by values Python knows, such as shapes, is fine",
        )
    )


def endless_iterator(kind: str) -> ControlFlowError:
    """A traced jump out of a loop over something without a length."""
    return ControlFlowError(
        compose(
            f"a `break` or `return` that depends on a traced value leaves a loop over a {kind}, which has no "
            f"length to end at while the function is traced",
            "loop over range(n), an array or a list, or `while` a condition holds",
        )
    )
