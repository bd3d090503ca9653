"""The functions whose first calls are measured: Black-Scholes with its gradient, the MLP, Lorenz's loop.

`builders(peer, case)` gives a call that returns when NumPy can read its result, and a function from
a size to the values to call it with, in the peer's own arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workloads import black_scholes, lorenz, mlp

CASES = ("black_scholes", "mlp")

Built = tuple[Callable[[Any], Any], Callable[[int], Any]]


def builders(peer: str, case: str) -> Built:
    built: Built = globals()[f"_{case}_{peer}"]()
    return built


def numpy_inputs(case: str, size: int) -> Any:
    """What the inputs of a case are made of."""
    if case == "lorenz":
        return lorenz.inputs()
    return (black_scholes if case == "black_scholes" else mlp).inputs(size)


def _option_values(convert: Callable[[Any], Any]) -> Callable[[int], list]:
    def values(size: int) -> list:
        inputs = black_scholes.inputs(size)
        arrays = [convert(inputs[name]) for name in black_scholes.NAMES[:4]]
        return [*arrays, inputs["rate"]]

    return values


def _total_price(xp: Any, erf: Any) -> Callable[..., Any]:
    """The sum of all prices, whose gradient is every delta."""
    price = black_scholes.formula(xp, erf)
    return lambda *values: xp.sum(price(*values))


def _read(function: Callable, values: list) -> list[np.ndarray]:
    return peers.flatten(function(*values))


def _black_scholes_numba() -> Built:
    from benchmarks.numba_functions import total_price_and_deltas

    return partial(_read, total_price_and_deltas), _option_values(np.asarray)


def _black_scholes_jax() -> Built:
    jax = peers.jax_setup()
    total = _total_price(jax.numpy, jax.scipy.special.erf)
    return partial(_read, jax.jit(jax.value_and_grad(total))), _option_values(jax.numpy.asarray)


def _black_scholes_torch() -> Built:
    import torch

    total = _total_price(torch, torch.erf)
    function = torch.compile(torch.func.grad_and_value(total))
    return partial(_read, function), _option_values(torch.from_numpy)


def _black_scholes_pytensor() -> Built:
    import pytensor
    import pytensor.tensor as pt
    from pytensor.gradient import grad

    symbols = [*pt.dvectors(4), pt.dscalar()]
    total = _total_price(pt, pt.erf)(*symbols)
    function = pytensor.function(symbols, [total, grad(total, symbols[0])])
    return partial(_read, function), _option_values(np.asarray)


def _black_scholes_numr() -> Built:
    import numr as nr

    total = _total_price(nr, nr.erf)
    return partial(_read, nr.jit(nr.value_and_grad(total))), _option_values(nr.asarray)


def _mlp_numba() -> Built:
    """Whole-array NumPy but for one compiled loop, as in the workload."""
    from benchmarks.numba_functions import tanh_in_place

    def values(size: int) -> list:
        inputs = mlp.inputs(size)
        return [inputs["parameters"], inputs["x"], inputs["y"]]

    return partial(_read, partial(mlp.value_and_grad, tanh=tanh_in_place)), values


def _mlp_jax() -> Built:
    jax = peers.jax_setup()

    def values(size: int) -> list:
        own = jax.tree.map(jax.numpy.asarray, mlp.inputs(size))
        return [own["parameters"], own["x"], own["y"]]

    return partial(_read, mlp.jax_function(jax)), values


def _mlp_torch() -> Built:
    import torch

    def values(size: int) -> list:
        return list(mlp.torch_values(torch, mlp.inputs(size)))

    return partial(_read, mlp.torch_function(torch)), values


def _mlp_pytensor() -> Built:
    def values(size: int) -> list:
        inputs = mlp.inputs(size)
        flat = [array for pair in inputs["parameters"] for array in pair]
        return [*flat, inputs["x"], inputs["y"]]

    return partial(_read, mlp.pytensor_function()), values


def _mlp_numr() -> Built:
    import numr as nr

    def values(size: int) -> list:
        return list(mlp.numr_values(nr, mlp.inputs(size)))

    return partial(_read, mlp.numr_function(nr)), values


def _lorenz_values(convert: Callable[[Any], Any]) -> Callable[[int], list]:
    return lambda size: [convert(lorenz.inputs()["state"])]


def _lorenz_numba() -> Built:
    """The adjoint by hand."""
    calls = lorenz.with_numba(lorenz.inputs(), 1)
    return lambda values: calls[lorenz.GRADIENT_OF_ARRAY](), _lorenz_values(np.asarray)


def _lorenz_jax() -> Built:
    jax = peers.jax_setup()
    (_, total), _ = lorenz.functions(jax.numpy, jax.lax.scan)
    return partial(_read, jax.jit(jax.grad(total))), _lorenz_values(jax.numpy.asarray)


def _lorenz_numr() -> Built:
    import numr as nr

    (_, total), _ = lorenz.functions(nr, nr.scan)
    return partial(_read, nr.jit(nr.grad(total))), _lorenz_values(nr.asarray)
