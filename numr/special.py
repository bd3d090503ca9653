"""numr.special: special functions under SciPy's name for their home."""

from numr.functions.elementwise import TABLE as _TABLE
from numr.functions.reductions import log_softmax, logsumexp, softmax

erf, erfc, gammaln, digamma, polygamma = (
    _TABLE[name] for name in ("erf", "erfc", "lgamma", "digamma", "polygamma")
)
expit, psi = _TABLE["sigmoid"], digamma

__all__ = [
    "digamma", "erf", "erfc", "expit", "gammaln", "log_softmax", "logsumexp", "polygamma", "psi", "softmax",
]  # fmt: skip
