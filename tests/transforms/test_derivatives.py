"""Every primitive's derivatives on its smooth samples: finite differences, adjointness, second order."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import numr.primitives  # noqa: F401  (fills the registry)
from numr.ir.interpret import interpret
from numr.ir.node import Node
from numr.ir.primitive import REGISTRY, Primitive, Sample
from numr.ir.transforms.jvp import jvp
from numr.ir.transforms.transpose import transpose
from numr.primitives.elementwise import Elementwise, mul
from numr.primitives.guards import add_cotangents
from numr.primitives.mathematics import real
from numr.primitives.reduction import reduce_sum
from numr.primitives.source import leaf, param_like

# Steps of one unit in the last place have derivative 0 by definition, 1 by finite differences.
NO_DIFFERENCES = ("nextafter",)
LARGEST = 400  # elements of one sample: finite differences of more say nothing new
STEP = 1e-6


def widened(x: Any) -> Any:
    """Single precision as double: finite differences need the digits."""
    wide = {"f": np.float64, "c": np.complex128}.get(x.dtype.kind, x.dtype)
    return np.array(x, dtype=wide, order="C")


def samples() -> Iterator[Any]:
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for k, sample in enumerate(prim.samples(rng)):
            inexact = [x for x in sample.operands if x.dtype.kind in "fc"]
            narrow = sample.params.get("dtype")
            if not sample.smooth or not inexact or name in NO_DIFFERENCES:
                continue
            if sum(x.size for x in inexact) > LARGEST or (
                narrow is not None and narrow.name in ("float32", "complex64")
            ):
                continue
            yield pytest.param(prim, sample, id=f"{name}-{sample.name or k}")


class Case:
    """One sample as a graph, with the operands that may move and directions for them."""

    def __init__(self, prim: Primitive, sample: Sample) -> None:
        self.rng = np.random.default_rng(3)
        operands = [leaf(widened(x)) for x in sample.operands]
        self.out = prim(*operands, **sample.params)
        self.moving = [x for k, x in enumerate(operands) if movable(prim, k, x)]
        self.values = {x: np.asarray(x.value) for x in self.moving}
        self.seeds = [param_like(x) for x in self.moving]
        self.directions = [self.random(x) for x in self.moving]

    def random(self, node: Node) -> Any:
        shape = tuple(map(int, node.shape))
        x = np.asarray(self.rng.normal(size=shape))
        if node.dtype.kind == "c":
            x = x + 1j * np.asarray(self.rng.normal(size=shape))
        return x.astype(node.dtype.dtype)

    def moved(self, step: float) -> dict[Node, Any]:
        pairs = zip(self.moving, self.directions, strict=True)
        return {x: self.values[x] + step * t for x, t in pairs}

    def differences(self, outputs: Sequence[Node]) -> list[Any]:
        """Central differences of the outputs along the directions."""
        up, down = (interpret(outputs, self.moved(h)) for h in (STEP, -STEP))
        return [(a - b) / (2 * STEP) for a, b in zip(up, down, strict=True)]

    def seeded(self) -> dict[Node, Any]:
        return dict(zip(self.seeds, self.directions, strict=True))

    def scalar(self) -> Node:
        """The real part of the sum of the output under random weights."""
        total = mul(leaf(self.random(self.out)), self.out)
        total = reduce_sum(total, axes=tuple(range(total.rank)))
        return real(total) if total.dtype.kind == "c" else total


def movable(prim: Primitive, k: int, x: Node) -> bool:
    """Whether an operand is differentiated: floating, and not declared to be without derivative."""
    if not x.dtype.is_inexact:
        return False
    if type(prim).jvp is Elementwise.jvp and prim.partials and not prim.linear:  # type: ignore[attr-defined]
        return prim.partials[k] is not None  # type: ignore[attr-defined]
    return True


def gradient(scalar: Node, xs: Sequence[Node]) -> list[Node | None]:
    seeds = [param_like(x) for x in xs]
    (tangent,) = jvp([scalar], dict(zip(xs, seeds, strict=True)))
    return transpose([tangent], seeds, [leaf(np.ones(()))], add_cotangents)


def close(got: Any, want: Any, tolerance: float, what: str) -> None:
    scale = max(1.0, float(np.abs(want).max())) if np.size(want) else 1.0
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale, err_msg=what)


CASES = list(samples())


@pytest.mark.parametrize(("prim", "sample"), CASES)
def test_jvp_against_differences(prim: Primitive, sample: Sample) -> None:
    case = Case(prim, sample)
    if not case.out.dtype.is_inexact:
        assert jvp([case.out], dict(zip(case.moving, case.seeds, strict=True))) == [None]
        return
    (tangent,) = jvp([case.out], dict(zip(case.moving, case.seeds, strict=True)))
    (want,) = case.differences([case.out])
    if tangent is None:
        close(np.zeros(want.shape), want, 1e-6, "a tangent of zero")
        return
    assert tangent.shape == case.out.shape
    assert tangent.dtype is case.out.dtype
    (got,) = interpret([tangent], case.seeded())
    close(got, want, 2e-7, "jvp against finite differences")


@pytest.mark.parametrize(("prim", "sample"), CASES)
def test_transpose_is_the_adjoint(prim: Primitive, sample: Sample) -> None:
    case = Case(prim, sample)
    (tangent,) = jvp([case.out], dict(zip(case.moving, case.seeds, strict=True)))
    if tangent is None:
        return
    ct = case.random(tangent)
    pulled = transpose([tangent], case.seeds, [leaf(ct)], add_cotangents)
    for x, p in zip(case.moving, pulled, strict=True):
        if p is not None:
            assert p.shape == x.shape
            assert p.dtype is x.dtype
    (pushed,) = interpret([tangent], case.seeded())
    left = float(np.sum(ct * pushed).real)
    right = 0.0
    scale = max(1.0, float(np.sum(np.abs(ct * pushed))))
    live = [(p, t) for p, t in zip(pulled, case.directions, strict=True) if p is not None]
    for value, (_, t) in zip(interpret([p for p, _ in live], {}), live, strict=True):
        right += float(np.sum(value * t).real)
    assert abs(left - right) <= 1e-10 * scale, f"<u, J v> = {left}, <J' u, v> = {right}"


@pytest.mark.parametrize(("prim", "sample"), CASES)
def test_second_order(prim: Primitive, sample: Sample) -> None:
    case = Case(prim, sample)
    if not case.out.dtype.is_inexact:
        return
    scalar = case.scalar()
    first = gradient(scalar, case.moving)
    live = [(x, g) for x, g in zip(case.moving, first, strict=True) if g is not None]
    if not live:
        return
    grads = [g for _, g in live]
    seeds = dict(zip(case.moving, case.seeds, strict=True))
    forward_over_reverse = jvp(grads, seeds)
    # Reverse over forward: the gradient of the derivative along the directions.
    directions = [leaf(t) for t in case.directions]
    (slope,) = jvp([scalar], dict(zip(case.moving, directions, strict=True)))
    assert slope is not None
    reverse_over_forward = gradient(slope, case.moving) if slope is not None else []
    wanted = case.differences(grads)
    by_input = dict(zip(case.moving, reverse_over_forward, strict=True))
    for (x, _), fr, want in zip(live, forward_over_reverse, wanted, strict=True):
        rf = by_input[x]
        zero = np.zeros(want.shape)
        got = zero if fr is None else interpret([fr], case.seeded())[0]
        again = zero if rf is None else interpret([rf], {})[0]
        close(got, want, 1e-6, "jvp of grad against finite differences of grad")
        close(again, got, 1e-10, "grad of jvp against jvp of grad")
