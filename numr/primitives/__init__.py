"""Every primitive, one declaration each. Importing this package fills the registry."""

from numr.primitives import (
    composites,
    contraction,
    cumulative,
    elementwise,
    indexing,
    linalg,
    mathematics,
    reduction,
    shape,
    sorting,
    source,
)

__all__ = [
    "composites",
    "contraction",
    "cumulative",
    "elementwise",
    "indexing",
    "linalg",
    "mathematics",
    "reduction",
    "shape",
    "sorting",
    "source",
]
