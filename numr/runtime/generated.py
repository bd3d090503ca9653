"""Python functions made from text, which errors take for numr's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

# A file of the package that is not there: no frame of it is the user's line.
_FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "generated")


def define(name: str, lines: Sequence[str], space: dict[str, Any]) -> Any:
    """The function of this name that the lines define, which see the names of a namespace."""
    exec(compile("\n".join(lines), _FILE, "exec"), space)
    return space[name]
