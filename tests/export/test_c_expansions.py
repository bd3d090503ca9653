"""Products of matrices and sorts for processors of one lane, in generated C, at many sizes beside NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import numr as nr
from tests.export.c_programs import GCC, Program

SANITIZED = (*GCC, "-O0", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


def test_products_of_any_layout(tmp_path: Path) -> None:
    s = nr.spec
    functions: dict[str, Any] = {
        "plain": (lambda a, b: a @ b, (s("n", "m"), s("m", "k"))),
        "turned": (lambda a, b: a.T @ b.T, (s("m", "n"), s("k", "m"))),
        "vector": (lambda a, b: a @ b, (s("n", "m"), s("m"))),
        "stack": (lambda a, b: a @ b, (s(2, "n", "m"), s("m", "k"))),
        "strided": (lambda a, b: a.transpose((1, 0, 2)) @ b, (s("n", 2, "m"), s(2, "m", "k"))),
        "conjugate": (lambda a, b: a.T @ b.conj(), (s("m", "n", dtype="c128"), s("m", "k", dtype="c128"))),
        "single": (lambda a, b: a @ b, (s("n", "m", dtype="f32"), s("m", "k", dtype="f32"))),
        "whole": (lambda a, b: a @ b, (s("n", "m", dtype="i32"), s("m", "k", dtype="i32"))),
        "gradient": (lambda a, b: 2 * (a @ b) @ b.T, (s("n", "m"), s("m", "k"))),
    }  # fmt: skip
    found = {name: f for name, (f, _) in functions.items()}
    # The same functions of numr's arrays, which have no `conj` or `transpose`.
    functions["conjugate"] = (lambda a, b: a.T @ nr.conj(b), functions["conjugate"][1])
    functions["strided"] = (
        lambda a, b: nr.permute_dims(a, (1, 0, 2)) @ b,
        functions["strided"][1],
    )
    functions["gradient"] = (
        nr.grad(lambda a, b: nr.sum((a @ b) ** 2)),
        functions["gradient"][1],
    )
    path = nr.export(functions, target="c", path=tmp_path / "products").path
    rng = np.random.default_rng(0)
    calls = []
    for n, m, k in ((1, 1, 1), (3, 4, 5), (9, 1, 17), (1, 7, 4), (4, 4, 4), (33, 18, 21)):
        sizes = {"n": n, "m": m, "k": k}
        for name, (_, specs) in functions.items():
            arrays = []
            for spec in specs:
                values = 5 * rng.normal(size=(*(d.value(sizes) for d in spec.shape), 2))
                real = (
                    values[..., 0] + 1j * values[..., 1]
                    if spec.dtype.kind == "c"
                    else values[..., 0]
                )
                arrays.append(real.astype(spec.dtype.dtype))
            calls.append((name, arrays, sizes))
    program = Program(path, calls)
    results = program.run(program.build(tmp_path / "build", SANITIZED))
    for (name, arrays, sizes), (got,) in zip(calls, results, strict=True):
        tolerance = 1e-5 if name == "single" else 1e-13
        want = found[name](*arrays)
        scale = np.abs(want).max()
        np.testing.assert_allclose(
            got, want, rtol=0, atol=tolerance * scale * sizes["m"], err_msg=f"{name} {sizes}"
        )


def test_sorts_of_any_length(tmp_path: Path) -> None:
    s = nr.spec
    functions: dict[str, Any] = {
        "line": (nr.sort, s("n")),
        "columns": (lambda x: nr.sort(x, axis=0), s("n", 3)),
        "places": (nr.argsort, s("n")),
        "single": (lambda x: nr.argsort(x, axis=0), s("n", 3, dtype="f32")),
        "truth": (nr.sort, s("n", dtype="bool")),
        "narrow": (nr.sort, s("n", dtype="i8")),
    }
    wants = {
        "places": lambda x: np.argsort(x, kind="stable"),
        "single": lambda x: np.argsort(x, axis=0, kind="stable"),
    }
    path = nr.export(functions, target="c", path=tmp_path / "sorts").path
    rng = np.random.default_rng(1)
    calls = []
    for n in (1, 2, 3, 5, 8, 9, 64, 200):
        # Ties, zeros of both signs, NaN and infinities.
        x = rng.choice([-np.inf, -2.0, -0.0, 0.0, 1.0, 3.0, np.inf, np.nan], size=(n, 3))
        for name in functions:
            given = x if name in ("columns", "single") else x[:, 0]
            given = given > 0 if name == "truth" else given
            if name == "narrow":
                given = rng.integers(-128, 128, n).astype(np.int8)
            given = given.astype(np.float32) if name == "single" else given
            calls.append((name, [np.ascontiguousarray(given)], {"n": n}))
    program = Program(path, calls)
    results = program.run(program.build(tmp_path / "build", SANITIZED))
    for (name, (x,), sizes), (got,) in zip(calls, results, strict=True):
        want = wants.get(name, lambda x: np.sort(x, axis=0, kind="stable"))(x)
        np.testing.assert_array_equal(got, want, err_msg=f"{name} {sizes}")
        if want.dtype.kind == "f":
            number = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want)[number])
