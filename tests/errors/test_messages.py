"""What numr's exceptions say: the text of each message, and the place in the user's code."""

from __future__ import annotations

import inspect
import pickle
import timeit
from typing import Any

import numpy as np
import pytest

from numr import errors, messages


def at(expression: Any) -> errors.Location:
    return errors.caller_location()


HERE = at(
    0,
)


def test_location_is_the_callers_line() -> None:
    here = errors.caller_location()
    assert here.file == __file__
    assert here.function == "test_location_is_the_callers_line"
    assert here.line == inspect.currentframe().f_lineno - 3  # type: ignore[union-attr]
    assert here.text == "here = errors.caller_location()"
    assert here.describe().splitlines()[1:] == [
        "    here = errors.caller_location()",
        "           ^^^^^^^^^^^^^^^^^^^^^^^^",
    ]


def test_location_skips_frames_of_the_package() -> None:
    # a function that claims to live in the package, called through another one
    source = "def inner(f): return f()\ndef outer(f): return inner(f)\n"
    ours: dict[str, Any] = {}
    exec(compile(source, errors._PACKAGE + "pretended.py", "exec"), ours)
    here = ours["outer"](errors.caller_location)
    assert here.function == "test_location_skips_frames_of_the_package"
    assert here.text == 'here = ours["outer"](errors.caller_location)'


def test_location_with_every_frame_inside_the_package() -> None:
    ours: dict[str, Any] = {"sys": __import__("sys"), "errors": errors}
    source = "import threading\nfound = []\n"
    source += "def run(): found.append(errors.caller_location())\n"
    exec(compile(source, errors._PACKAGE + "pretended.py", "exec"), ours)
    thread = __import__("threading").Thread(target=ours["run"])
    thread.start()
    thread.join()
    assert ours["found"][0].file


def test_location_of_code_without_source() -> None:
    found: dict[str, Any] = {"errors": errors}
    exec("here = errors.caller_location()", found)
    assert found["here"].describe() == "<string>:1 in <module>"
    assert found["here"].text == ""


def test_location_of_an_expression_over_several_lines() -> None:
    here = (
        errors
        .caller_location()
    )  # fmt: skip
    assert here.describe().count("\n") == 1


def test_location_is_cheap() -> None:
    number = 20_000
    fastest = min(timeit.repeat(errors.caller_location, number=number, repeat=5)) / number
    assert fastest < 5e-6  # 0.35 us on an idle core; the bound is for busy machines


@pytest.mark.parametrize(
    ("names", "shapes", "hint"),
    [
        (["x", "y"], [(3, 4), (3,)], "axis -1 is 4 in x and 3 in y; to line them up, y[:, None]"),
        (["x", "y"], [(3,), (3, 4, 5)], "to line them up, x[:, None, None] has shape (3, 1, 1)"),
        (["x", "y"], [(2, 3), (4, 3)], "axis -2 is 2 in x and 4 in y"),
        (["a", "b", "c"], [(1, 3), (7, 1), (7, 4)], "axis -1 is 3 in a and 4 in c"),
        (["x", "y"], [("n", 4), (5,)], "axis -1 is 4 in x and 5 in y"),
    ],
)
def test_shape_mismatch(names: list[str], shapes: list[Any], hint: str) -> None:
    error = messages.shape_mismatch("add", names, shapes, errors.caller_location())
    assert isinstance(error, errors.ShapeError)
    assert isinstance(error, ValueError)
    text = str(error)
    for name, shape in zip(names, shapes, strict=True):
        assert f"{name} has shape {messages.shape_text(shape)}" in text
    assert hint in text
    assert f"{__file__}:" in text
    assert "in test_shape_mismatch" in text
    assert 'messages.shape_mismatch("add", names' in text


def test_every_error_says_where() -> None:
    text = str(errors.DTypeError("what\nthe rest"))
    head, where, source, marks, rest = text.splitlines()
    assert head == "what"
    assert where.startswith(f"  at {__file__}:")
    assert where.endswith(" in test_every_error_says_where")
    assert source == '      text = str(errors.DTypeError("what\\nthe rest"))'
    assert marks.strip() == "^" * len('errors.DTypeError("what\\nthe rest")')
    assert rest == "the rest"


def test_errors_look_past_numpy() -> None:
    # an object whose __array__ is in a file of the package, asked for its values by NumPy
    source = (
        "def __array__(self, dtype=None, copy=None):\n    raise errors.TracedValueError('what')\n"
    )
    ours: dict[str, Any] = {"errors": errors}
    exec(compile(source, errors._PACKAGE + "pretended.py", "exec"), ours)
    traced = type("Traced", (), {"__array__": ours["__array__"]})()
    with pytest.raises(errors.TracedValueError) as caught:
        np.linalg.norm(traced)
    assert caught.value.location is not None
    assert caught.value.location.function == "test_errors_look_past_numpy"


def test_errors_can_be_pickled_and_keep_their_place() -> None:
    error = errors.ShapeError("what", location=HERE)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is errors.ShapeError
    assert str(again) == str(error)
    assert f"{__file__}:" in str(again)


def test_errors_about_settings_have_no_place() -> None:
    assert str(errors.ConfigError("wrong")) == "wrong"


def test_errors_raised_while_importing_have_no_place() -> None:
    frozen: dict[str, Any] = {"errors": errors}
    exec(
        compile("error = errors.NumrError('what')", "<frozen importlib._bootstrap>", "exec"), frozen
    )
    assert str(frozen["error"]) == "what"


def test_shape_mismatch_with_a_hint_of_its_own() -> None:
    error = messages.shape_mismatch("matmul", ["a", "b"], [(2, 3), (4, 5)], hint="use b.T")
    assert error.args[0] == (
        "matmul: a has shape (2, 3) and b has shape (4, 5): these do not fit together\n  use b.T"
    )


def test_dtype_mismatch() -> None:
    error = messages.dtype_mismatch("shift", ["x", "y"], ["int64", "float64"], None, "use int")
    assert isinstance(error, TypeError)
    assert error.args[0] == (
        "shift is not defined for these dtypes: x is int64 and y is float64\n  use int"
    )


@pytest.mark.parametrize(
    ("ndim", "said"),
    [
        (0, "the array has 0 dimensions\n  a scalar has no axes"),
        (1, "the array has 1 dimension\n  axes go from 0 to 0, or from -1 down to -1"),
        (3, "the array has 3 dimensions\n  axes go from 0 to 2, or from -1 down to -3"),
    ],
)
def test_axis(ndim: int, said: str) -> None:
    error = messages.axis_out_of_range("sum", 5, ndim)
    assert isinstance(error, errors.ShapeError)
    assert isinstance(error, IndexError)
    assert said in error.args[0]


@pytest.mark.parametrize(
    ("operation", "call", "instead"),
    [
        ("bool", "bool()", "numr.where("),
        ("int", "int()", "numr.vmap"),
        ("index", "an index", "x.shape[k]"),
        ("range", "range()", "static_argnums"),
        ("float", "float()", "what the traced function returns"),
        ("complex", "complex()", ".astype("),
        ("asarray", "numpy.asarray()", "the numr function of the same name"),
        ("tolist", "tolist()", "what the traced function returns"),
        ("iter", "iter()", "numr.vmap"),
        ("range() or an index", "range() or an index", "numr.vmap"),
        ("numpy.asarray()", "numpy.asarray()", "the numr function of the same name"),
        ("numpy()", "numpy()", "the numr function of the same name"),
        ("item()", "item()", "what the traced function returns"),
        ("pickling", "pickling()", "what the traced function returns"),
    ],
)
def test_traced_value(operation: str, call: str, instead: str) -> None:
    made = errors.caller_location()
    error = messages.traced_value(operation, (3,), "float64", made, "vmap")
    assert isinstance(error, TypeError)
    text = str(error)
    assert text.startswith(
        f"{call} of a traced value, of shape (3,) and dtype float64, inside numr.vmap\n"
    )
    assert "the value was made at" in text
    assert "made = errors.caller_location()" in text
    assert "error = messages.traced_value(" in text
    assert instead in text


def test_one_line_is_not_shown_twice() -> None:
    error = messages.traced_value("bool", (), "bool", errors.caller_location())
    assert "the value was made at" not in str(error)


def test_leaked_value() -> None:
    text = str(messages.leaked_value((), "float32", "grad", "loss", errors.caller_location()))
    assert "used after numr.grad of loss has returned" in text
    assert "return it from loss instead of storing it" in text
    assert "in test_leaked_value" in text


def test_gradient_errors() -> None:
    text = str(messages.not_one_number("value_and_grad", "f", [("float64", (2, 3))]))
    assert "numr.value_and_grad needs a function that returns one real number" in text
    assert "f returns an array of shape (2, 3)" in text
    assert "numr.jacrev" in text
    text = str(messages.not_inexact("grad", "args[0]", "bool"))
    assert "args[0] is bool, and only floating-point values have derivatives" in text
    text = messages.wrong_argnums("grad", "f", (0, 3), 1).args[0]
    assert "argnums is (0, 3), but f was called with 1 positional argument\n" in text


def test_static_argument() -> None:
    text = str(messages.unhashable_static("f", "config", {"k": list(range(100))}))
    assert "the static argument config of f is a dict, which cannot be hashed: {'k': [0, 1" in text
    assert "..." in text.splitlines()[0]
    assert len(text.splitlines()[0]) < 200


@pytest.mark.parametrize(
    ("index", "axis", "shape", "said"),
    [
        (5, 0, (3, 4), "which has 3 elements\n  indices go from -3 to 2"),
        (-2, 1, (3, 1), "which has 1 element\n  indices go from -1 to 0"),
        (0, 0, (0,), "which has 0 elements\n  an empty axis has no indices"),
    ],
)
def test_index_out_of_range(index: int, axis: int, shape: Any, said: str) -> None:
    error = messages.index_out_of_range(index, axis, shape)
    assert isinstance(error, IndexError)
    assert f"index {index} is out of range for axis {axis}" in str(error)
    assert said in error.args[0]


def test_device_and_memory() -> None:
    text = messages.no_device("tpu", "numr has no such device", []).args[0]
    assert text == 'device "tpu" cannot be used: numr has no such device\n  devices found: none'
    error = messages.out_of_memory((1 << 20, 1 << 20), "float32", 4)
    assert isinstance(error, MemoryError)
    assert "shape (1048576, 1048576) and dtype float32: 4.1e+03 GiB" in str(error)


def test_not_differentiable() -> None:
    error = messages.not_differentiable("while_loop", "unknown length", "use scan")
    assert error.args[0] == "while_loop cannot be differentiated: unknown length\n  use scan"


def test_map_axes() -> None:
    text = str(messages.bad_map_axes("f", [("x", 0, 3), ("y", 0, 4)]))
    assert "x has 3 along axis 0\n  y has 4 along axis 0" in text
    assert "in_axes maps no argument" in str(messages.bad_map_axes("f", []))


def public_errors() -> list[type[Exception]]:
    return [
        value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, (errors.NumrError, Warning))
    ]


@pytest.mark.parametrize("error", public_errors())
def test_every_exception_says_cause_example_and_fix(error: type[Exception]) -> None:
    if error is errors.NumrError:
        return
    doc = inspect.getdoc(error) or ""
    for part in ("Cause:", "Example:", "Fix:"):
        assert part in doc, part
    if issubclass(error, errors.NumrError):
        builtin = [b for b in error.__mro__ if b.__module__ == "builtins"]
        assert builtin[0] is not Exception, "it should derive from a built-in exception too"
