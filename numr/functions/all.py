"""Every public function under one roof, for the package namespace and the operators."""

from __future__ import annotations

from numr.functions import (
    creation,
    elementwise,
    indexing,
    linalg,
    manipulation,
    reductions,
    sorting,
    updates,
)

MODULES = (creation, elementwise, indexing, linalg, manipulation, reductions, sorting, updates)
NAMES: dict[str, object] = {}
for _module in MODULES:
    for _name in _module.__all__:
        NAMES[_name] = (
            elementwise.TABLE[_name] if _module is elementwise else getattr(_module, _name)
        )
globals().update(NAMES)
