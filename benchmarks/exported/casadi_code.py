"""CasADi's C code of the five functions and their derivatives: run in the peers' environment, prints JSON.

python -m benchmarks.exported.casadi_code FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

import casadi

from benchmarks.exported.models import MODELS


def roll(y: Any, by: int) -> Any:
    n = y.shape[0]
    return casadi.vertcat(*(y[(k - by) % n] for k in range(n)))


XP = SimpleNamespace(
    sin=casadi.sin,
    cos=casadi.cos,
    tanh=casadi.tanh,
    sum=lambda x: casadi.sum1(casadi.vec(x)),
    stack=lambda xs: casadi.vertcat(*xs),
    roll=roll,
)


def functions(name: str) -> dict[str, Any]:
    """A model and its derivative as CasADi's functions; what they return is dense."""
    model = MODELS[name]
    given = [
        casadi.SX.sym(f"x{k}", shape[0], shape[1] if len(shape) == 2 else 1)
        for k, shape in enumerate(model.shapes)
    ]
    value = model.function(XP, *given)
    if model.derivative == "gradient":
        found = [casadi.gradient(value, x) for x in given[: model.count]]
    elif model.derivative == "jacobian":
        found = [casadi.jacobian(value, given[0])]
    else:
        weights = casadi.SX.sym("weights", *value.shape)
        found = [casadi.jtimes(value, given[0], weights, True)]
    inputs = [*given, weights] if model.derivative == "adjoint" else given
    dense = [casadi.densify(x) for x in ([value] if model.beside else []) + found]
    return {
        name: casadi.Function(f"casadi_{name}", given, [value]),
        f"{name}_derivative": casadi.Function(f"casadi_{name}_derivative", inputs, dense),
    }


def main() -> None:
    os.chdir(sys.argv[1])
    told = {}
    for model in MODELS:
        start = time.perf_counter()
        made = functions(model)
        built = (time.perf_counter() - start) / len(made)
        for name, function in made.items():
            start = time.perf_counter()
            function.generate(f"casadi_{name}.c")
            told[name] = {
                "seconds": built + time.perf_counter() - start,
                "work": function.sz_w(),
                "args": function.sz_arg(),
                "results": function.sz_res(),
            }
    print(json.dumps({"version": casadi.__version__, "functions": told}))


if __name__ == "__main__":
    main()
