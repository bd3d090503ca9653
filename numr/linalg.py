"""numr.linalg: the linear algebra functions under the standard's name for them."""

from numr.functions.decompositions import (
    eigh,
    eigvalsh,
    lstsq,
    matrix_rank,
    pinv,
    qr,
    svd,
    svdvals,
)
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
    "eigh",
    "eigvalsh",
    "expm",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
