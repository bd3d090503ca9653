"""Every primitive, one declaration each. Importing this package fills the registry."""

from numr.primitives import (
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
