"""What a call costs: a compiled x + 1 of a 3-vector, and a sum of ten 3-vectors.

Each on the library's own arrays and on NumPy's; for NumPy, Numba and PyTensor these are the same.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload

COUNT = 10
CASES = ("x + 1, own array", "x + 1, NumPy array", "10 own arrays", "10 NumPy arrays")


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(6)
    return {"arrays": [random.normal(size=3) for _ in range(COUNT)]}


def one(x):
    return x + 1


def ten(a, b, c, d, e, f, g, h, i, j):
    return a + b + c + d + e + f + g + h + i + j


def oracle(inputs: Any) -> dict[str, Any]:
    x, total = one(inputs["arrays"][0]), ten(*inputs["arrays"])
    return dict(zip(CASES, (x, x, total, total), strict=True))


def calls(inputs: Any, compile: Any, own: Any, finish: Any) -> dict[str, Any]:
    """The four calls; `finish(compiled, *arguments)` makes a call that has computed on return."""
    arrays = inputs["arrays"]
    mine = [own(array) for array in arrays]
    short, long = compile(one), compile(ten)
    made = (
        finish(short, mine[0]),
        finish(short, arrays[0]),
        finish(long, *mine),
        finish(long, *arrays),
    )
    return dict(zip(CASES, made, strict=True))


def only_own(made: dict[str, Any]) -> dict[str, Any]:
    """For a library whose compiled functions take no NumPy arrays."""
    return {case: call for case, call in made.items() if "own" in case}


def with_numpy(inputs: Any, threads: int):
    return calls(inputs, lambda f: f, lambda a: a, partial)


def with_numba(inputs: Any, threads: int):
    from numba import njit

    return calls(inputs, njit, lambda a: a, partial)


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    return calls(inputs, jax.jit, jax.numpy.asarray, peers.jax_call)


def with_torch(inputs: Any, threads: int):
    torch = peers.torch_setup(threads)
    return only_own(calls(inputs, torch.compile, torch.from_numpy, partial))


def with_pytensor(inputs: Any, threads: int):
    import pytensor
    import pytensor.tensor as pt

    def compile(function):
        symbols = pt.dvectors(1 if function is one else COUNT)
        symbols = list(symbols) if isinstance(symbols, list | tuple) else [symbols]
        compiled = pytensor.function(symbols, function(*symbols))
        compiled.trust_input = True
        return compiled

    return calls(inputs, compile, lambda a: a, partial)


def with_numr(inputs: Any, threads: int):
    import numr as nr

    return calls(inputs, nr.jit, nr.asarray, partial)


WORKLOAD = Workload(
    name="call_overhead",
    title="call overhead, 3-vectors",
    cases=tuple(
        Case(name, Target(plus=limit))
        for name, limit in zip(CASES, (2.5e-6, 2.5e-6, 5e-6, 5e-6), strict=True)
    ),
    inputs=inputs,
    oracle=oracle,
    peers={
        "numpy": with_numpy,
        "numba": with_numba,
        "jax": with_jax,
        "torch": with_torch,
        "pytensor": with_pytensor,
        "numr": with_numr,
    },
)
