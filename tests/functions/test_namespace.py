"""The namespace as a whole: names, documentation, signatures, and what importing it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
import numr.linalg
import numr.special
from numr.functions import all as everything

MODULES = [m for m in vars(everything).values() if inspect.ismodule(m)]
NAMES = sorted(set(everything.__all__))
FUNCTIONS = {n: getattr(nr, n) for n in NAMES}

# array API 2024.12, without what needs eigenvalues or singular values
STANDARD = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh
bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor bool
broadcast_arrays broadcast_to can_cast ceil clip complex128 complex64 concat conj copysign cos cosh
count_nonzero cumulative_prod cumulative_sum diff divide e empty empty_like equal exp expand_dims
expm1 eye finfo flip float32 float64 floor floor_divide from_dlpack full full_like greater
greater_equal hypot iinfo imag inf int16 int32 int64 int8 isdtype isfinite isinf isnan less
less_equal linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor
matmul matrix_transpose max maximum mean meshgrid min minimum moveaxis multiply nan negative newaxis
nextafter nonzero not_equal ones ones_like permute_dims pi positive pow prod real reciprocal
remainder repeat reshape result_type roll round searchsorted sign signbit sin sinh sort sqrt square
squeeze stack std subtract sum take take_along_axis tan tanh tensordot tile tril triu trunc uint16
uint32 uint64 uint8 unique_all unique_counts unique_inverse unique_values unstack var vecdot where
zeros zeros_like __array_api_version__ __array_namespace_info__
"""
STANDARD_LINALG = """
cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank
matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm
"""


def test_the_standards_names_are_there() -> None:
    assert not [n for n in STANDARD.split() if not hasattr(nr, n)]
    assert not [n for n in STANDARD_LINALG.split() if not hasattr(nr.linalg, n)]
    assert nr.ones(1).__array_namespace__() is nr


def test_every_name_has_one_home() -> None:
    homes: dict[str, str] = {}
    for module in MODULES:
        assert list(module.__all__) == sorted(module.__all__)
        for name in module.__all__:
            assert homes.setdefault(name, module.__name__) == module.__name__
    assert set(homes) == set(NAMES) <= set(nr.__all__)
    assert not [n for n in nr.__all__ if not hasattr(nr, n)]


@pytest.mark.parametrize("name", NAMES)
def test_documented(name: str) -> None:
    f = FUNCTIONS[name]
    text = inspect.getdoc(f) or ""
    summary = text.split("\n\n")[0]
    assert len(summary) > 2 and summary.endswith("."), "a summary that ends with a full stop"
    assert "Examples:" in text and ">>> " in text
    assert "Returns:" in text
    parameters = inspect.signature(f).parameters
    assert ("Args:" in text) == bool(parameters)
    for parameter in parameters.values():
        assert f"{parameter.name}:" in text, f"{parameter.name} is not explained"
        assert parameter.annotation is not parameter.empty


def test_first_arguments_are_positional_only() -> None:
    for name, f in FUNCTIONS.items():
        first = next(iter(inspect.signature(f).parameters.values()), None)
        if first is not None and first.name in ("x", "x1"):
            assert first.kind is inspect.Parameter.POSITIONAL_ONLY, name


def test_files_are_short() -> None:
    for path in Path(nr.__file__).parent.joinpath("functions").glob("*.py"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 500, path
        assert not lines or lines[0].startswith('"""')


def test_importing_loads_no_compiler_and_no_scipy() -> None:
    code = (
        "import sys, numr; numr.linalg, numr.special\n"
        "x = numr.sin(numr.ones(3)) @ numr.ones(3)\n"
        "print([m for m in ('numba', 'llvmlite', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_special_names() -> None:
    import scipy.special

    for name in numr.special.__all__:
        assert hasattr(scipy.special, name), name


# Functions of a matrix that must not be compiled again for another shape.
OF_ANY_SIZE: dict[str, Callable[[Any], Any]] = {
    "arange": lambda x: nr.arange(x.shape[0])[:, None] * x,
    "argmax": lambda x: nr.argmax(x, axis=1),
    "concat": lambda x: nr.concat([x, x + 1]),
    "cumsum": lambda x: nr.cumsum(x, axis=1),
    "diagonal": lambda x: nr.diagonal(x[:, : x.shape[0]]) + nr.diag(x[:, 0])[0],
    "diff": lambda x: nr.diff(x, axis=1),
    "eye": lambda x: nr.eye(x.shape[0]) + x[:, :1],
    "flip": lambda x: nr.flip(x) + x[::-1],
    "gather": lambda x: x[:, [2, 0]] + x[-1, [1, -1]],
    "linspace": lambda x: nr.linspace(0, 1, x.shape[0])[:, None] * x,
    "logsumexp": lambda x: nr.logsumexp(x, axis=1),
    "mean": lambda x: nr.mean(x) + nr.mean(x, axis=0),
    "norm": lambda x: nr.norm(x, axis=1),
    "pad": lambda x: nr.pad(x, 1) * 2,
    "prod": lambda x: nr.prod(x, axis=1),
    "repeat": lambda x: nr.repeat(x, 2, axis=0) + nr.tile(x, (2, 1)),
    "reshape": lambda x: nr.reshape(x, (x.shape[1], -1)) + 1,
    "roll": lambda x: nr.roll(x, 1, axis=1) + 1,
    "segment_sum": lambda x: nr.segment_sum(x, nr.arange(x.shape[0]) // 8, 4),
    "slice": lambda x: x[1:, :-1] * 2 + x[-1, 1:],
    "softmax": nr.softmax,
    "tril": lambda x: nr.tril(x) + 1,
    "update": lambda x: x.at[1:-1].set(0.0).at[-1].mul(2.0).at[:, [1, 0]].add(1.0),
    "var": lambda x: nr.var(x, axis=0, correction=1),
}


@pytest.mark.parametrize("name", OF_ANY_SIZE)
def test_a_new_shape_compiles_nothing(name: str) -> None:
    f = OF_ANY_SIZE[name]
    for g in (f, nr.grad(lambda x: nr.sum(nr.astype(f(x), nr.float64) ** 2))):
        jitted = nr.jit(g)
        jitted(np.ones((21, 33)))
        before = nr.cache.info()
        jitted(np.ones((29, 47)))
        after = nr.cache.info()
        assert (after.compilations, after.disk) == (before.compilations, before.disk)
