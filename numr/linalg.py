"""numr.linalg: the linear algebra functions under the standard's extension name."""

from numr.functions.linalg import *  # noqa: F403
from numr.functions.linalg import __all__ as _names
from numr.functions.manipulation import diagonal, matrix_transpose
from numr.functions.reductions import norm

__all__ = [*_names, "diagonal", "matrix_transpose", "norm"]
