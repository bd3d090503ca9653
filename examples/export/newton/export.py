"""Export a chain's energy and a likelihood, each with gradient and Hessian, as C for the programs beside this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numr as nr


def energy(x: Any, stiffness: Any, weight: Any) -> Any:
    """The energy of a chain of springs that hangs between (0, 0) and (1, 0), by the places of its masses.

    All springs together would be half as long as they are between the ends.
    """
    ends = nr.asarray([[0.0, 0.0], [1.0, 0.0]])
    places = nr.concat([ends[:1], x, ends[1:]])
    lengths = nr.sqrt(nr.sum(nr.diff(places, axis=0) ** 2, axis=1))
    springs = x.shape[0] + 1
    stretched = 0.5 * stiffness * springs * nr.sum((lengths - 1 / (2 * springs)) ** 2)
    return stretched + weight / x.shape[0] * nr.sum(x[:, 1])


def misfit(parameters: Any, times: Any) -> Any:
    """Minus the logarithm of the likelihood of times to failure that follow Weibull's distribution.

    The parameters are the logarithms of its shape and of its scale.
    """
    shape, log_scale = nr.exp(parameters[0]), parameters[1]
    logs = nr.log(times) - log_scale
    return (
        nr.sum(nr.exp(shape * logs) - shape * logs + nr.log(times)) - times.shape[0] * parameters[0]
    )


def main(folder: Path) -> None:
    """Write both bundles."""
    chain = (
        nr.spec("n", 2, unit="m", doc="the masses' places"),
        nr.spec(unit="N/m", doc="the whole chain's"),
        nr.spec(unit="N", doc="all masses'"),
    )
    weibull = nr.spec(2), nr.spec("n", unit="h", doc="times to failure")
    for name, f, specs in (("chain", energy, chain), ("weibull", misfit, weibull)):
        functions = {"value": f, "gradient": nr.grad(f), "hessian": nr.hessian(f)}
        nr.export(functions, specs, target="c", path=folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
