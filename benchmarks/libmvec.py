"""glibc's vector mathematics for the hand-written Numba peer: exp, sin and others that vectorise.

LLVM's loop vectoriser replaces a call of `exp` by libmvec's `_ZGVeN8v_exp` when the scalar call
says that it touches no memory and which vector variants exist. A Numba intrinsic can say both.
Where there is no libmvec (not Linux on x86-64, or an older glibc) the names are `math`'s, and stay
scalar.
"""

import ctypes
import math
import platform

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# what libmvec calls its variants: letter of the instruction set, lanes
VARIANTS = (("e", 8), ("d", 4), ("b", 2))  # AVX-512, AVX2, SSE4


def _available(name: str) -> bool:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    try:
        library = ctypes.CDLL("libmvec.so.1")
    except OSError:
        return False
    return all(hasattr(library, f"_ZGV{isa}N{lanes}v_{name}") for isa, lanes in VARIANTS)


def _keep(module: ir.Module, function: ir.Function) -> None:
    """List `function` in llvm.compiler.used, so that it is still declared when loops vectorise."""
    pointer = ir.IntType(8).as_pointer()
    used = module.globals.get("llvm.compiler.used")
    members = [] if used is None else list(used.initializer.constant)
    members.append(function.bitcast(pointer))
    array = ir.ArrayType(pointer, len(members))
    if used is None:
        used = ir.GlobalVariable(module, array, "llvm.compiler.used")
        used.linkage, used.section = "appending", "llvm.metadata"
    used.value_type, used.type = array, array.as_pointer()
    used.initializer = ir.Constant(array, members)


def _vector_intrinsic(name: str):
    names = [(lanes, f"_ZGV{isa}N{lanes}v_{name}") for isa, lanes in VARIANTS]
    mapping = ",".join(f"_ZGV_LLVM_N{lanes}v_{name}({symbol})" for lanes, symbol in names)
    promise = f'memory(none) nounwind willreturn "vector-function-abi-variant"="{mapping}"'

    def build(typing_context, x):
        def generate(context, builder, signature, arguments):
            module, double = builder.module, ir.DoubleType()
            scalar = module.globals.get(name)
            if scalar is None:
                scalar = ir.Function(module, ir.FunctionType(double, [double]), name)
            for lanes, symbol in names:
                if symbol not in module.globals:
                    vector = ir.VectorType(double, lanes)
                    kind = ir.FunctionType(vector, [vector])
                    _keep(module, ir.Function(module, kind, symbol))
            call = builder.call(scalar, arguments)
            # llvmlite checks attribute names against a list that lacks these; set.add does not
            set.add(call.attributes, promise)
            return call

        return types.float64(types.float64), generate

    build.__name__ = f"vector_{name}"
    return intrinsic(build)


def _function(name: str):
    if not _available(name):
        return getattr(math, name)
    llvm.load_library_permanently("libmvec.so.1")
    return _vector_intrinsic(name)


exp = _function("exp")
log = _function("log")
erf = _function("erf")
tanh = _function("tanh")
sin = _function("sin")
cos = _function("cos")
