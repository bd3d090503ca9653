"""numr.linalg: the linear algebra functions under the standard's name for them."""

from numr.functions.diagonals import diagonal
from numr.functions.linalg import (
    cholesky,
    cross,
    det,
    inv,
    matrix_norm,
    matrix_power,
    norm,
    slogdet,
    solve,
    solve_triangular,
    trace,
    vector_norm,
)
from numr.functions.manipulation import matrix_transpose
from numr.functions.matrix_functions import expm
from numr.functions.products import matmul, outer, tensordot, vecdot

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "expm",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_transpose",
    "norm",
    "outer",
    "slogdet",
    "solve",
    "solve_triangular",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
