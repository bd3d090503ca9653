"""Library calls as kernels of numr's own, for devices that have no such library.

Everything here is Kernel IR, which knows no device: `EXPANSIONS[key](operands)` gives the kernels of a
call and how to launch them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from numr.codegen.expansions import factorizations, householder, jacobi, matmul, scans, sorting
from numr.codegen.expansions.plan import Expansion, Launch, NotExpanded, Operands, Plan, row_major

__all__ = ["EXPANSIONS", "Expansion", "Launch", "NotExpanded", "Operands", "Plan", "row_major"]

EXPANSIONS: dict[str, Callable[[Operands], Expansion]] = {
    "matmul": matmul.expand,
    "sort": partial(sorting.expand, positions=False),
    "argsort": partial(sorting.expand, positions=True),
    **{k: partial(scans.expand, k) for k in scans.KINDS},
    "eigh": jacobi.eigh,
    "svd": jacobi.svd,
    "qr": householder.qr,
    "cholesky": factorizations.cholesky,
    "triangular_solve": factorizations.triangular_solve,
    **{
        k: partial(factorizations.eliminate, k)
        for k in ("solve", "inv", "det", "logabsdet", "signdet")
    },
}
