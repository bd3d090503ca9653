"""numr.special: special functions under the names they have in scipy.special."""

from numr.functions.activations import log_sigmoid as log_expit
from numr.functions.activations import sigmoid as expit
from numr.functions.mathematics import digamma, erf, erfc, gammaln, polygamma
from numr.functions.statistics import log_softmax, logsumexp, softmax

psi = digamma

__all__ = [
    "digamma",
    "erf",
    "erfc",
    "expit",
    "gammaln",
    "log_expit",
    "log_softmax",
    "logsumexp",
    "polygamma",
    "psi",
    "softmax",
]
