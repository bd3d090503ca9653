"""Every primitive, one declaration each. Importing this package fills the registry."""

from numr.primitives import (
    branches,
    calls,
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
