"""Every public function under one roof, for the package namespace and for Array's operators."""

# ruff: noqa: F403

from numr.functions import (
    activations,
    arithmetic,
    convolutions,
    counting,
    creation,
    diagonals,
    distances,
    indexing,
    inspection,
    joining,
    linalg,
    logic,
    manipulation,
    mathematics,
    moments,
    networks,
    normalizations,
    order,
    polynomials,
    pools,
    products,
    reductions,
    running,
    searching,
    statistics,
    updates,
)
from numr.functions.activations import *
from numr.functions.arithmetic import *
from numr.functions.convolutions import *
from numr.functions.counting import *
from numr.functions.creation import *
from numr.functions.diagonals import *
from numr.functions.distances import *
from numr.functions.indexing import *
from numr.functions.inspection import *
from numr.functions.joining import *
from numr.functions.linalg import *
from numr.functions.logic import *
from numr.functions.manipulation import *
from numr.functions.mathematics import *
from numr.functions.moments import *
from numr.functions.networks import *
from numr.functions.normalizations import *
from numr.functions.order import *
from numr.functions.polynomials import *
from numr.functions.pools import *
from numr.functions.products import *
from numr.functions.reductions import *
from numr.functions.running import *
from numr.functions.searching import *
from numr.functions.statistics import *
from numr.functions.updates import *

__all__: list[str] = []
__all__ += activations.__all__
__all__ += arithmetic.__all__
__all__ += convolutions.__all__
__all__ += counting.__all__
__all__ += creation.__all__
__all__ += diagonals.__all__
__all__ += distances.__all__
__all__ += indexing.__all__
__all__ += inspection.__all__
__all__ += joining.__all__
__all__ += linalg.__all__
__all__ += logic.__all__
__all__ += manipulation.__all__
__all__ += mathematics.__all__
__all__ += moments.__all__
__all__ += networks.__all__
__all__ += normalizations.__all__
__all__ += order.__all__
__all__ += polynomials.__all__
__all__ += pools.__all__
__all__ += products.__all__
__all__ += reductions.__all__
__all__ += running.__all__
__all__ += searching.__all__
__all__ += statistics.__all__
__all__ += updates.__all__
