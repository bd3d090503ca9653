"""Specs, names of arguments and results, and bundles' folders: what users write and what they are told."""

import collections
import json

import pytest

import numr as nr
from numr.codegen.export import bundle
from numr.errors import ExportError
from numr.export.trace import traced

Pair = collections.namedtuple("Pair", "first second")


def test_a_spec_says_what_it_is():
    spec = nr.spec("n", 3, "2*n - 1", dtype="f32", name="points", unit="m", doc="where they are")
    assert repr(spec) == "spec('n', 3, '2*n - 1', dtype='f32')"
    assert (spec.name, spec.unit, spec.doc) == ("points", "m", "where they are")


@pytest.mark.parametrize("dtype", ["f64", "float64", float, nr.float64])
def test_dtypes_by_any_name(dtype):
    assert nr.spec(dtype=dtype).dtype is nr.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nr.spec("n +"), r"spec: 'n \+' is no length: write whole numbers, names"),
        (lambda: nr.spec("n", "f64"), r"a dtype is given by name: spec\(..., dtype='f64'\)"),
        (lambda: nr.spec(-1), "spec: a length is a whole number from 0 up or a text, and -1 is neither"),
        (lambda: nr.spec(2.5), "and 2.5 is neither"),
        (lambda: nr.spec(True), "and True is neither"),
        (lambda: nr.spec("n", dtype="float128x"), "numr has no dtype for 'float128x'"),
        (lambda: nr.spec("n", name="a b"), "spec: 'a b' is no name for an argument"),
        (lambda: nr.spec("größe"), "can be no name in C"),
    ],
)  # fmt: skip
def test_a_bad_spec_is_told_at_once(call, message):
    with pytest.raises(ExportError, match=message):
        call()


def names(fun, *specs):
    found = traced("f", fun, specs, {})
    return [a.name for a in found.inputs], [name for name, _ in found.result_names]


def test_arguments_are_called_as_the_function_has_them():
    def model(params, x):
        return {"loss": nr.sum(x), "grads": (params["w"], params["b"])}

    specs = {"w": nr.spec(2), "b": nr.spec()}, nr.spec("n", name="data")
    assert names(model, *specs) == (
        ["params_b", "params_w", "data"],
        ["out_grads_0", "out_grads_1", "out_loss"],
    )
    assert names(lambda x: x, nr.spec("n")) == (["x"], ["out"])
    assert names(lambda *xs: xs, nr.spec(), nr.spec())[0] == ["x0", "x1"]
    odd = {"a b": nr.spec(), "a_b": nr.spec(), "é": nr.spec(), "class": nr.spec()}
    assert names(lambda p: p["é"], odd)[0] == ["p_a_b", "p_a_b_2", "p_class", "p"]


def test_values_that_are_no_specs_are_fixed():
    found = traced("f", lambda x, p: x**p, (nr.spec("n"), 3), {})
    assert found.in_tree == {"tuple": [0, {"fixed": 3}]}


def test_results_are_described():
    found = traced("f", lambda x: Pair(x, [x, None]), (nr.spec("n"),), {})
    fields = {"first": 0, "second": {"list": [1, None]}}
    assert found.out_tree == {"named": "Pair", "fields": fields}


@pytest.mark.parametrize(
    ("fun", "specs", "message"),
    [
        (lambda x: x, (object(),), r"specs\[0\] of f is of type object"),
        (lambda x: {1: x}, (nr.spec(),), "f takes or returns a dict, which a file cannot describe"),
    ],
)
def test_what_no_file_can_describe(fun, specs, message):
    with pytest.raises(ExportError, match=message):
        traced("f", fun, specs, {})


def export(path, fun=nr.sin, specs=None, **options):
    return nr.export(fun, nr.spec("n") if specs is None else specs, path=path, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"target": "fortran"},
            "export: there is no target 'fortran'\n.*\n.*\n.*\n  there are 'c', 'native'",
        ),
        ({"fun": {"a b": nr.sin}}, "'a b' can be no function's name"),
        ({"fun": {}}, "there is no function to export"),
        ({"fun": {"f": 3}}, "f is a int, not a function"),
        ({"fun": {"f": (nr.sin, None)}}, "there are no specs for f"),
        ({"typical": {"q": 3}}, "typical= names 'q', which no spec of sin does"),
        ({"typical": {"n": 0}}, "typical= says n = 0, and a size is a whole number from 1 up"),
        ({"typical": {"n": 2.5}}, "typical= says n = 2.5, and"),
        (
            {"fun": {"f": (nr.sin, nr.spec(), 3)}},
            r"f is a tuple of 3\n(?s:.*)write \(function, specs\)",
        ),
        (
            {"fun": lambda x, y=1.0, *, k=2: x, "specs": (nr.spec(),) * 3},
            r"f\(x, y=1.0, \*, k=2\) cannot be called with 3 specs: too many",
        ),
        (
            {"fun": lambda x, y: x, "specs": [nr.spec()] * 2},
            "with 1 specs: (?s:.*)several in a tuple",
        ),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_request_that_cannot_be_met_writes_nothing(tmp_path, options, message):
    with pytest.raises(ExportError, match=message):
        export(tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_a_bundle_takes_the_place_of_one_and_of_nothing_else(tmp_path):
    export(tmp_path / "out")
    export(tmp_path / "out", fun=nr.cos)
    assert (
        json.loads((tmp_path / "out" / "manifest.json").read_text())["functions"][0]["name"]
        == "cos"
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="mine holds files that are no bundle"):
        export(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(ExportError, match=r"thesis.txt is a file, and a bundle is a folder"):
        export(tmp_path / "mine" / "thesis.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "out"]


def test_an_export_that_breaks_off_leaves_the_earlier_bundle(tmp_path, monkeypatch):
    export(tmp_path / "out")
    before = sorted(p.name for p in (tmp_path / "out").iterdir())

    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(bundle.os, "replace", full)
    monkeypatch.setattr(bundle.shutil, "rmtree", lambda path, **options: None)
    with pytest.raises(OSError, match="no space"):
        bundle.write(tmp_path / "out", {"functions": []}, {"a.c": b""})
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == before
