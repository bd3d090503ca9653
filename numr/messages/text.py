"""Pieces of messages: shapes, lists of names, lines under a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.errors import Location

Shape = Sequence[Any]


def shape_text(shape: Shape) -> str:
    """A shape as a tuple of its sizes, symbolic ones by name.

    Examples:
        >>> from numr import messages
        >>> messages.shape_text((3,)), messages.shape_text(["n", 4])
        ('(3,)', '(n, 4)')
    """
    sizes = ", ".join(str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def with_article(dtype: Any) -> str:
    """A dtype, or a type of Python's, with its article, as in "an int64"."""
    return f"{'an' if str(dtype)[0].lower() in 'aeiou' else 'a'} {dtype}"


def not_real(head: str, dtype: Any) -> str:
    """After `head`, a dtype in place of a real floating one, and what to do."""
    fix = "only floating-point values have derivatives"
    if str(dtype).startswith("complex"):
        fix = "take a real one of it, as with numr.real or numr.abs"
    return f"{head}{with_article(dtype)}\n  {fix}"


def compose(head: str, *lines: str) -> str:
    """The head, then the rest one step to the right; the exception puts the place between."""
    return head + "".join(f"\n  {line}" for line in "\n".join(lines).splitlines())


def made_at(created: Location | None, here: Location | None) -> list[str]:
    """Where a value was made, unless that is the line the error is on anyway."""
    if created is None or (here is not None and str(created) == str(here)):
        return []
    return ["the value was made at " + created.describe()]


def listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
