"""numr: NumPy-like Python, differentiated to any order, fused and compiled.

>>> import numr as nr
>>> f = nr.jit(lambda x: nr.sum(nr.sin(x) ** 2))
>>> nr.grad(f)(nr.asarray([0.0, 1.0])).shape
(2,)
"""

from __future__ import annotations

import importlib
import math
from typing import Any

from numr import errors, tree
from numr.array import Array
from numr.autodiff import grad, jvp, linearize, stop_gradient, value_and_grad, vjp
from numr.branching import cond, switch
from numr.checkpoints import checkpoint, checkpoint_name, checkpoint_policies
from numr.control import fori_loop, map, scan, while_loop
from numr.curvature import gnvp, hvp, vhp
from numr.custom_rules import custom_jvp, custom_vjp
from numr.devices import available_devices, get_default_device, set_default_device
from numr.dtypes import (
    DType,
    as_dtype,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from numr.dtypes import bool_ as bool
from numr.export import export, load, spec
from numr.functions.all import *  # noqa: F403
from numr.functions.all import __all__ as _functions
from numr.implicit import custom_linear_solve, custom_root, fixed_point, linear_transpose
from numr.jacobians import hessian, jacfwd, jacobian, jacrev
from numr.jit import jit
from numr.prefixes import associative_scan
from numr.python_control import control_flow
from numr.sparse import SparseMatrix, sparse_hessian, sparse_jacobian
from numr.taylor import jet, laplacian
from numr.vectorize import vmap

__version__ = "0.1.0"
__array_api_version__ = "2024.12"

pi, e, inf, nan = math.pi, math.e, math.inf, math.nan
newaxis = None

_LAZY_MODULES = (
    "autograd",
    "linalg",
    "random",
    "special",
    "cache",
    "debug",
    "config",
    "coverage",
    "info",
)
_LAZY_NAMES = {"explain": "numr.debug", "show": "numr.debug"}


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f"numr.{name}")
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(_LAZY_NAMES[name]), name)
    if name == "bfloat16":
        return as_dtype(name)
    raise AttributeError(f"module 'numr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES, *_LAZY_NAMES})


__all__ = [
    "Array",
    "DType",
    "SparseMatrix",
    "associative_scan",
    "bool",
    "bool_",
    "checkpoint",
    "checkpoint_name",
    "checkpoint_policies",
    "complex64",
    "complex128",
    "cond",
    "control_flow",
    "custom_jvp",
    "custom_linear_solve",
    "custom_root",
    "custom_vjp",
    "e",
    "errors",
    "export",
    "fixed_point",
    "float16",
    "float32",
    "float64",
    "fori_loop",
    "get_default_device",
    "gnvp",
    "grad",
    "hessian",
    "hvp",
    "inf",
    "int8",
    "int16",
    "int32",
    "int64",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jet",
    "jit",
    "jvp",
    "laplacian",
    "linear_transpose",
    "linearize",
    "load",
    "map",
    "nan",
    "newaxis",
    "pi",
    "scan",
    "set_default_device",
    "available_devices",
    "sparse_hessian",
    "sparse_jacobian",
    "spec",
    "stop_gradient",
    "switch",
    "tree",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
    "while_loop",
]
__all__ += _functions
