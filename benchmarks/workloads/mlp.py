"""MLP 256-256-256-10 with tanh, batch 256: value and gradient of the cross-entropy."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload

SIZES = (256, 256, 256, 10)
BATCH = 256


def inputs(batch: int = BATCH) -> dict[str, Any]:
    random = np.random.default_rng(4)
    parameters = [
        (random.normal(size=(m, n)) / np.sqrt(m), 0.1 * random.normal(size=n))
        for m, n in pairwise(SIZES)
    ]
    label = random.integers(SIZES[-1], size=batch)
    return {
        "parameters": parameters,
        "x": random.normal(size=(batch, SIZES[0])),
        "y": np.eye(SIZES[-1])[label],
    }


def loss(xp: Any, log_softmax: Any):
    """Mean cross-entropy; the labels are rows of an identity matrix."""

    def value(parameters, x, y):
        for weight, bias in parameters[:-1]:
            x = xp.tanh(x @ weight + bias)
        weight, bias = parameters[-1]
        return -xp.sum(y * log_softmax(x @ weight + bias)) / x.shape[0]

    return value


def value_and_grad(parameters: Any, x: np.ndarray, y: np.ndarray, tanh: Any = np.tanh):
    """Back-propagation by hand; the matrix products are NumPy's."""
    activations = [x]
    for weight, bias in parameters[:-1]:
        activations.append(tanh(activations[-1] @ weight + bias))
    weight, bias = parameters[-1]
    logits = activations[-1] @ weight + bias
    logits -= logits.max(1, keepdims=True)
    e = np.exp(logits)
    total = e.sum(1, keepdims=True)
    value = (np.log(total[:, 0]) - (y * logits).sum(1)).mean()
    ct = (e / total - y) / len(y)
    gradients = []
    for (weight, _), a in zip(reversed(parameters), reversed(activations), strict=True):
        gradients.append((a.T @ ct, ct.sum(0)))
        ct = (ct @ weight.T) * (1 - a * a) if a is not x else None
    return value, gradients[::-1]


def oracle(inputs: Any) -> dict[str, Any]:
    return {"value_and_grad": value_and_grad(inputs["parameters"], inputs["x"], inputs["y"])}


def with_numpy(inputs: Any, threads: int):
    call = partial(value_and_grad, inputs["parameters"], inputs["x"], inputs["y"])
    return {"value_and_grad": call}


def with_numba(inputs: Any, threads: int):
    """NumPy's matrix products, and a fused loop with libmvec's tanh where NumPy's is slower."""
    from benchmarks.numba_functions import tanh_in_place

    # on one thread: a second pool beside the one of the BLAS makes both spin
    values = (inputs["parameters"], inputs["x"], inputs["y"])
    return {"value_and_grad": partial(value_and_grad, *values, tanh=tanh_in_place)}


def jax_function(jax: Any):
    return jax.jit(jax.value_and_grad(loss(jax.numpy, partial(jax.nn.log_softmax, axis=-1))))


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    own = jax.tree.map(jax.numpy.asarray, dict(inputs))
    return {
        "value_and_grad": peers.jax_call(jax_function(jax), own["parameters"], own["x"], own["y"])
    }


def torch_function(torch: Any):
    value = loss(torch, partial(torch.log_softmax, dim=-1))

    def both(parameters, x, y):
        gradient, result = torch.func.grad_and_value(value)(parameters, x, y)
        return result, gradient

    return torch.compile(both)


def torch_values(torch: Any, inputs: Any):
    parameters = [(torch.from_numpy(w), torch.from_numpy(b)) for w, b in inputs["parameters"]]
    return parameters, torch.from_numpy(inputs["x"]), torch.from_numpy(inputs["y"])


def with_torch(inputs: Any, threads: int):
    torch = peers.torch_setup(threads)
    return {"value_and_grad": partial(torch_function(torch), *torch_values(torch, inputs))}


def pytensor_function():
    """A function of the flat list of parameters, x and y."""
    import pytensor
    import pytensor.tensor as pt
    from pytensor.gradient import grad
    from pytensor.tensor.special import log_softmax

    flat = [maker(f"p{i}") for i, maker in enumerate((pt.dmatrix, pt.dvector) * 3)]
    x, y = pt.dmatrix("x"), pt.dmatrix("y")
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    value = loss(pt, partial(log_softmax, axis=-1))(pairs, x, y)
    function = pytensor.function([*flat, x, y], [value, *grad(value, flat)])
    function.trust_input = True
    return function


def with_pytensor(inputs: Any, threads: int):
    flat = [array for pair in inputs["parameters"] for array in pair]
    return {"value_and_grad": partial(pytensor_function(), *flat, inputs["x"], inputs["y"])}


def numr_function(nr: Any):
    return nr.jit(nr.value_and_grad(loss(nr, partial(nr.log_softmax, axis=-1))))


def numr_values(nr: Any, inputs: Any):
    parameters = [(nr.asarray(w), nr.asarray(b)) for w, b in inputs["parameters"]]
    return parameters, nr.asarray(inputs["x"]), nr.asarray(inputs["y"])


def with_numr(inputs: Any, threads: int):
    import numr as nr

    return {"value_and_grad": partial(numr_function(nr), *numr_values(nr, inputs))}


WORKLOAD = Workload(
    name="mlp",
    title="MLP 256-256-256-10, tanh, batch 256",
    cases=(Case("value_and_grad", Target(against=("jax",), factor=1.3)),),
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
