"""Every primitive, one declaration each. Importing this package fills the registry."""

from numr.primitives import (
    branches,
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
