"""Complex expressions as pairs of real ones, so that no printer knows complex numbers."""

from __future__ import annotations

from numr.codegen.prepare import reachable, roots_of
from numr.codegen.region import ExprBuilder, Region


def has_complex(region: Region) -> bool:
    """Whether anything in a region is complex."""
    return any(e.dtype.kind == "c" for e in reachable(roots_of(region)))


def pairs(builder: ExprBuilder, region: Region) -> Region:
    """The region over real buffers twice as long, real and imaginary parts side by side."""
    raise NotImplementedError
