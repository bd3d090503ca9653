"""First results of a loop's gradient in fresh processes: the Lorenz equations, differentiated."""

from __future__ import annotations

from functools import partial

from benchmarks.probes import Probe, startup
from benchmarks.workload import Case, Target

FUNCTION = "lorenz"
TARGETS = {"cold first call": Target(against=("jax",)), "cold process": Target(against=("jax",))}

PROBE = Probe(
    name="startup_of_loops",
    title="fresh processes, a loop's gradient",
    cases=tuple(Case(f"{FUNCTION}, {figure}", TARGETS.get(figure)) for figure in startup.FIGURES),
    peers=("numba", "jax", "numr"),
    measure=partial(startup.measure, functions=(FUNCTION,)),
)
