"""Every primitive, one declaration each. Importing this package fills the registry."""

from numr.primitives import (
    branches,
    calls,
    checkpoints,
    composites,
    contraction,
    cumulative,
    elementwise,
    indexing,
    linalg,
    loops,
    mathematics,
    reduction,
    shape,
    sorting,
    source,
    windows,
)

__all__ = [
    "branches",
    "calls",
    "composites",
    "checkpoints",
    "contraction",
    "cumulative",
    "elementwise",
    "indexing",
    "linalg",
    "loops",
    "mathematics",
    "reduction",
    "shape",
    "sorting",
    "source",
    "windows",
]
