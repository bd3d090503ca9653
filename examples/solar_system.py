"""A year of the solar system: forces as minus the gradient of the potential, symplectic steps.

Initial state: geometric state vectors of JPL Horizons (ephemeris DE441) for the epoch J2000.0
(2000-01-01 12:00 TDB) relative to the solar system's barycentre, ICRF axes, km and km/s, from
https://ssd.jpl.nasa.gov/api/horizons.api with EPHEM_TYPE=VECTORS, CENTER='@0', REF_PLANE=FRAME,
TLIST='2451545.0'. Masses: GM in km³/s² of the NAIF kernel gm_de440.tpc. The Earth and the Moon are
taken together, at their common centre of mass.

Only the potential is written down; `numr.grad` makes the forces of it. The run is checked three
ways: the energy is conserved, the positions at the end agree with SciPy's order 8 integrator and
forces written by hand, and the Earth's period is the sidereal year.

    python examples/solar_system.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import numr as nr

KM_PER_AU = 149597870.7  # IAU 2012
SECONDS_PER_DAY = 86400.0
SIDEREAL_YEAR = 365.256363  # days, at J2000
OBLIQUITY = np.deg2rad(84381.448 / 3600.0)  # of the ecliptic, IAU 1976, for the plot
BODIES = ["Sun", "Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]
EARTH = BODIES.index("Earth")
DAYS = 370.0

# GM in km³/s², position in km, velocity in km/s
HORIZONS = {
    "Sun": (
        1.3271244004127942e11,
        (-1.067706805380953e06, -3.960361847959462e05, -1.380651842868809e05),
        (9.312571926520472e-03, -1.170150612817771e-02, -5.251266205200356e-03),
    ),
    "Mercury": (
        2.2031868551400003e04,
        (-2.052943316123468e07, -6.032400395827633e07, -3.013083786411830e07),
        (3.700430442920571e01, -8.541376789510446e00, -8.398372409672424e00),
    ),
    "Venus": (
        3.2485859200000000e05,
        (-1.085242008575715e08, -7.318564959678600e06, 3.548121861333776e06),
        (1.391218601189967e00, -3.202951993781091e01, -1.449708673947320e01),
    ),
    "Earth": (
        3.9860043550702266e05,
        (-2.756674048281145e07, 1.323613811535491e08, 5.741865328625385e07),
        (-2.978494749851088e01, -5.029753814928081e00, -2.180645069035755e00),
    ),
    "Mars": (
        4.282837362069909e04,
        (2.069804338364610e08, -1.864170112571357e05, -5.667227497442207e06),
        (1.171984975692608e00, 2.390670819298843e01, 1.093392065056128e01),
    ),
    "Jupiter": (
        1.266865319003704e08,
        (5.974999178516835e08, 4.089902697993661e08, 1.607562616932818e08),
        (-7.900547720245487e00, 1.017187257622670e01, 4.552504127783227e00),
    ),
    "Saturn": (
        3.793120623436167e07,
        (9.573176521103407e08, 9.233194350574769e08, 3.401627932740891e08),
        (-7.421900386838120e00, 6.098450820882325e00, 2.837547973276323e00),
    ),
    "Uranus": (
        5.793951256527211e06,
        (2.157907112723417e09, -1.871307099571182e09, -8.501069259961469e08),
        (4.646584677611653e00, 4.251110198227456e00, 1.796121552064855e00),
    ),
    "Neptune": (
        6.835103145462294e06,
        (2.513978816984908e09, -3.438170168305322e09, -1.469851595078865e09),
        (4.474587918382480e00, 2.876584787253288e00, 1.065773120376900e00),
    ),
}
# relative to the Earth
MOON = (
    4.9028001184575496e03,
    (-2.916083841877129e05, -2.667168338540655e05, -7.610248730658794e04),
    (6.435313889889519e-01, -6.660876829565195e-01, -3.013257046610932e-01),
)

# Order 4 in four forces: the position-extended Forest-Ruth-like scheme of Omelyan, Mryglod and Folk
# (Computer Physics Communications 146, 2002).
XI, LAMBDA, CHI = 0.1786178958448091, -0.2123418310626054, -0.06626458266981849


def initial_state() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions in AU, velocities in AU/day, GM in AU³/day²."""
    masses = np.array([HORIZONS[name][0] for name in BODIES])
    positions = np.array([HORIZONS[name][1] for name in BODIES])
    velocities = np.array([HORIZONS[name][2] for name in BODIES])
    share = MOON[0] / (MOON[0] + masses[EARTH])
    positions[EARTH] += share * np.array(MOON[1])
    velocities[EARTH] += share * np.array(MOON[2])
    masses[EARTH] += MOON[0]
    day = SECONDS_PER_DAY
    return positions / KM_PER_AU, velocities * day / KM_PER_AU, masses * day**2 / KM_PER_AU**3


def potential(positions: Any, masses: Any) -> Any:
    """The potential energy times G, each pair counted once."""
    offsets = positions[:, None, :] - positions[None, :, :]
    squares = nr.sum(offsets * offsets, axis=-1)
    pair = np.tri(len(BODIES), k=-1, dtype=bool)
    # the diagonal would be a division by zero: numr's derivative of `where` leaves it out
    return -nr.sum(nr.where(pair, masses[:, None] * masses / nr.sqrt(squares), 0.0))


def energy(positions: Any, velocities: Any, masses: Any) -> Any:
    """The total energy times G."""
    kinetic = 0.5 * nr.sum(masses[:, None] * velocities * velocities)
    return kinetic + potential(positions, masses)


def acceleration(positions: Any, masses: Any) -> Any:
    """Minus the gradient of the potential, by mass."""
    return -nr.grad(potential)(positions, masses) / masses[:, None]


@nr.jit
def symplectic_step(positions: Any, velocities: Any, masses: Any, h: float) -> Any:
    """One step of length h."""
    x, v = positions, velocities
    for drift, kick in ((XI, 0.5 - LAMBDA), (CHI, LAMBDA), (1.0 - 2.0 * (CHI + XI), LAMBDA)):
        x = x + drift * h * v
        v = v + kick * h * acceleration(x, masses)
    x = x + CHI * h * v
    v = v + (0.5 - LAMBDA) * h * acceleration(x, masses)
    return x + XI * h * v, v


def simulate(h: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, and positions and velocities at each, starting with the initial state."""
    x, v, masses = map(nr.asarray, initial_state())
    steps = round(DAYS / h)
    xs, vs = [np.asarray(x)], [np.asarray(v)]
    for _ in range(steps):
        x, v = symplectic_step(x, v, masses, h)
        xs.append(np.asarray(x))
        vs.append(np.asarray(v))
    return h * np.arange(steps + 1), np.stack(xs), np.stack(vs)


def acceleration_by_hand(positions: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Newton's law in NumPy: the independent forces."""
    offsets = positions[:, None, :] - positions[None, :, :]
    squares = np.sum(offsets**2, axis=-1)
    np.fill_diagonal(squares, 1.0)
    return -np.sum(masses[:, None] * offsets / squares[..., None] ** 1.5, axis=1)


def positions_by_scipy() -> np.ndarray:
    """The positions at the end by SciPy's order 8 Runge-Kutta method."""
    from scipy.integrate import solve_ivp

    positions, velocities, masses = initial_state()

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        x, v = state.reshape(2, -1, 3)
        return np.concatenate([v.ravel(), acceleration_by_hand(x, masses).ravel()])

    start = np.concatenate([positions.ravel(), velocities.ravel()])
    done = solve_ivp(slope, (0.0, DAYS), start, method="DOP853", rtol=1e-12, atol=1e-15)
    return np.asarray(done.y[:, -1].reshape(2, -1, 3)[0])


def earth_period(times: np.ndarray, xs: np.ndarray, vs: np.ndarray) -> float:
    """Days until the Earth, seen from the Sun, is in its first direction again."""
    seen = xs[:, EARTH] - xs[:, 0]
    first = seen[0] / np.linalg.norm(seen[0])
    pole = np.cross(seen[0], vs[0, EARTH] - vs[0, 0])
    second = np.cross(pole / np.linalg.norm(pole), first)
    angle = np.unwrap(np.arctan2(seen @ second, seen @ first)) - 2.0 * np.pi
    k = int(np.searchsorted(angle, 0.0))
    near = slice(k - 3, k + 3)
    if not 3 <= k <= len(times) - 3:
        return float("nan")
    shift = times[k]
    return float(shift + np.polyfit(angle[near], times[near] - shift, 5)[-1])


def plot(path: Path, times: np.ndarray, xs: np.ndarray, drift: np.ndarray) -> None:
    """The orbits of a year in the plane of the ecliptic, and the energy."""
    from matplotlib.figure import Figure

    cosine, sine = np.cos(OBLIQUITY), np.sin(OBLIQUITY)
    east, north = xs[..., 0], cosine * xs[..., 1] + sine * xs[..., 2]
    figure = Figure(figsize=(14, 5), layout="constrained")
    inner, outer, right = figure.subplots(1, 3)
    for axes, limit in ((inner, 1.8), (outer, 32.0)):
        for k, name in enumerate(BODIES):
            axes.plot(east[:, k], north[:, k], lw=1, color=f"C{k}")
            axes.plot(east[-1, k], north[-1, k], "o", ms=4, color=f"C{k}", label=name)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
        axes.set(xlabel="AU", ylabel="AU")
    inner.set(title="370 days from J2000, inner planets")
    outer.set(title="all planets")
    outer.legend(fontsize=7, loc="lower left")
    right.plot(times, drift, lw=0.7)
    right.set(xlabel="days", ylabel="relative energy error", title="energy")
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="steps of a day, for the tests")
    parser.add_argument("--output", default="examples/output", help="folder of the plot")
    options = parser.parse_args(argv)
    h = 1.0 if options.quick else 0.25

    positions, velocities, masses = initial_state()
    ok = True

    def check(what: str, value: float, limit: float) -> None:
        nonlocal ok
        passed = abs(value) <= limit
        ok = ok and passed
        print(f"check: {what}: {value:.2e} (at most {limit:.0e}): {'ok' if passed else 'FAILED'}")

    by_hand = acceleration_by_hand(positions, masses)
    ours = np.asarray(acceleration(nr.asarray(positions), nr.asarray(masses)))
    error = np.max(np.linalg.norm(ours - by_hand, axis=1) / np.linalg.norm(by_hand, axis=1))
    check("forces by numr.grad and by hand, relative", float(error), 1e-12)

    symplectic_step(positions, velocities, masses, h)  # compiles
    start = time.perf_counter()
    times, xs, vs = simulate(h)
    seconds = time.perf_counter() - start
    each = 1e6 * seconds / (len(times) - 1)
    print(
        f"{len(times) - 1} steps of {h} days, 4 forces each: {seconds:.2f} s ({each:.0f} us each)"
    )

    energies = np.asarray(nr.vmap(energy, in_axes=(0, 0, None))(xs, vs, masses))
    drift = energies / energies[0] - 1.0
    check("energy drift, relative", float(np.max(np.abs(drift))), 1e-8)
    distance = float(np.max(np.abs(xs[-1] - positions_by_scipy())))
    check(
        "positions at the end against SciPy's DOP853, AU", distance, 1e-5 if options.quick else 1e-7
    )
    period = earth_period(times, xs, vs)
    print(f"the Earth's period is {period:.5f} days; the sidereal year is {SIDEREAL_YEAR} days")
    # other planets move a single year's length by minutes around the mean
    check("the Earth's period, days", period - SIDEREAL_YEAR, 5e-3)

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    plot(output / "solar_system.png", times, xs, drift)
    print(f"plot: {output / 'solar_system.png'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
