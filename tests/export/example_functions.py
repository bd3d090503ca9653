"""Functions of the programs under examples/, with derivatives, as exports: specs and arguments of several sizes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import numr as nr

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Case:
    """A function to export, and arguments to call it with, each with the sizes that they have.

    `tolerance` is relative to the largest number of a result.
    """

    fun: Callable[..., Any]
    specs: tuple[Any, ...]
    calls: Sequence[tuple[tuple[Any, ...], Mapping[str, int]]]
    tolerance: float = 1e-11


def example(name: str) -> Any:
    """An example's module."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return importlib.import_module(name)


def cases() -> dict[str, Case]:
    """All functions by name."""
    rng = np.random.default_rng(7)
    s = nr.spec
    found: dict[str, Case] = {}

    def derivatives(
        name: str,
        f: Callable[..., Any],
        specs: tuple[Any, ...],
        calls: Any,
        tolerance: float = 1e-11,
    ) -> None:
        found[name] = Case(f, specs, calls, tolerance)
        found[f"{name}_gradient"] = Case(nr.grad(f), specs, calls, tolerance)
        found[f"{name}_hessian"] = Case(nr.hessian(f), specs, calls, tolerance)

    lengths = (1, 2, 7, 50)
    loss = example("logistic_newton").loss
    data = [((rng.normal(size=p + 1), rng.normal(size=(n, p)), rng.integers(0, 2, n) * 1.0), {"n": n, "p": p})
            for n, p in ((1, 1), (5, 2), (60, 7))]  # fmt: skip
    specs = (s("p + 1"), s("n", "p"), s("n"))
    derivatives("logistic", lambda w, x, y: loss(w, x, y, 0.3), specs, data)
    derivatives(
        "rosenbrock",
        example("lbfgs").rosenbrock,
        (s("n"),),
        [((rng.normal(size=n),), {"n": n}) for n in lengths[1:]],
    )
    level = example("kalman_filter").level
    logs = [((np.log([1e4, 1e3]),), {})]
    found["kalman"] = Case(nr.value_and_grad(lambda x: -level(x)[0]), (s(2),), logs, 1e-9)
    markov = example("hidden_markov")
    derivatives("markov", markov.loss, (s(4),), [((markov.START,), {})], 1e-9)
    pid = example("pid_controller")
    targets = np.repeat([180.0, 60.0], 25)
    found["pid"] = Case(
        nr.value_and_grad(lambda x: pid.cost(nr.exp(x), targets)), (s(3),), [((pid.START,), {})]
    )
    tridiagonal = example("tridiagonal").solve
    rows = [(tuple(rng.normal(size=n) + 4 * (k == 1) for k in range(4)), {"n": n}) for n in lengths]
    found["tridiagonal"] = Case(tridiagonal, (s("n"),) * 4, rows)
    found["tridiagonal_gradient"] = Case(
        nr.grad(lambda *x: nr.sum(tridiagonal(*x) ** 2), argnums=(0, 1, 2, 3)), (s("n"),) * 4, rows
    )
    derivatives(
        "potential",
        example("solar_system").potential,
        (s(9, 3), s(9)),
        [((rng.normal(size=(9, 3)), rng.uniform(1, 2, 9)), {})],
    )
    market = example("option_greeks")
    some = {n: market.GREEKS[n][0] for n in ("price", "vega", "gamma", "ultima")}
    found["greeks"] = Case(
        lambda *x: {n: nr.vmap(market.derivative(market.price, by))(*x) for n, by in some.items()},
        (s("n"),) * 6,
        [(tuple(market.random_market(n)), {"n": n}) for n in (1, 33)],
        1e-10,
    )
    orbits = [((rng.uniform(0.1, 3, n), rng.uniform(0, 0.9, n)), {"n": n}) for n in (1, 20)]
    found["kepler"] = Case(nr.vmap(example("root_finding").by_newton), (s("n"), s("n")), orbits)
    plane = nr.vmap(nr.vmap(example("mandelbrot").escape, (0, None)), (None, 0))
    axes = [((np.linspace(-2, 1, n), np.linspace(-1, 1, 2 * n)), {"n": n}) for n in (1, 6)]
    found["mandelbrot"] = Case(plane, (s("n"), s("2*n")), axes)
    search = example("lbfgs")
    found["lbfgs"] = Case(
        lambda x: search.minimise(search.rosenbrock, x)[0],
        (s(6),),
        [((np.full(6, -1.2),), {})],
        1e-7,
    )
    image = example("fit_image_filter")
    around, width = 2 * image.RADIUS, image.WIDTH
    found["filter"] = Case(
        nr.value_and_grad(image.loss),
        (s(width, width), s(f"h + {around}", f"w + {around}"), s("h", "w")),
        [
            (tuple(rng.normal(size=z) for z in ((width, width), (h + around, w + around), (h, w))), {"h": h, "w": w})
            for h, w in ((1, 1), (8, 5))
        ],
    )  # fmt: skip
    prince = example("dormand_prince")
    found["integrator"] = Case(
        lambda d: prince.integrate(prince.van_der_pol(d), np.array([2.0, 0.0]), np.linspace(0, 5, 6))[0],
        (s(),),
        [((np.array(1.5),), {})],
        1e-9,
    )  # fmt: skip
    return found
