"""Which of the two front ends turns a kernel's text into LLVM text: Numba's, or the direct one.

A kernel is printed in Numba's language, and either takes it; results are equal (the tests run both).
``numba`` runs Numba's own analysis, inference and lowering. ``direct``, the default, walks the syntax
tree, which is all that fully typed text needs, and uses llvmlite alone, the compiler under Numba: it
spares a cold process the import of Numba (0.2 s, as much as a whole first call may take) and each
kernel nine tenths of the front end's time.
"""

from __future__ import annotations

import os

DEFAULT = "direct"


def chosen() -> str:
    """``numba`` or ``direct``: NUMR_FRONTEND, else the default."""
    named = os.environ.get("NUMR_FRONTEND", DEFAULT)
    if named not in ("numba", "direct"):
        raise ValueError(f"NUMR_FRONTEND is 'numba' or 'direct', not {named!r}")
    return named


def lower(text: str, entry: str, params: tuple[str, ...], result: str | None = None) -> str:
    """The LLVM text of a function, ``void`` or of type ``result``, its mathematics only declared."""
    if chosen() == "direct":
        from numr.codegen.language import direct

        return direct.lower(text, entry, params, result)
    from numr.codegen.language import inferred

    return inferred.frontend().lower(text, entry, params)
