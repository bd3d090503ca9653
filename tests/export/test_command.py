"""python -m numr.export: what it writes and prints, and what it says to mistakes."""

import json
import subprocess
import sys

import numpy as np
import pytest

import numr as nr
from numr.export.__main__ import main

SOURCE = '''
import numr as nr

def energy(x, k):
    """The energy of a chain of springs."""
    return nr.sum(0.5 * k * nr.diff(x) ** 2)

class Model:
    @staticmethod
    def double(x):
        return x * 2

def decides(x):
    return x if x.shape[0] > 3 else -x

number = 3
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "springs.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "springs", raising=False)
    yield tmp_path
    sys.modules.pop("springs", None)


def manifest(folder):
    return json.loads((folder / "out" / "manifest.json").read_text())


def test_a_function_and_its_gradient(folder, capsys):
    status = main(
        ["springs.py:energy", "force=grad:springs.py:energy", "--spec", "n", "--spec", "n - 1",
         "--target", "native", "--path", "out", "--option", "shared=false", "--typical", "n=100"]
    )  # fmt: skip
    assert status == 0
    printed = capsys.readouterr().out
    assert "energy(n)\nin0: x: f64[n]\nin1: k: f64[n - 1]\nout0: out: f64[]" in printed
    assert "out/out.h" in printed and "out.so" not in printed
    bundle = nr.load("out")
    assert list(bundle.functions) == ["energy", "force"]
    assert bundle.energy([1, 3, 6], [2, 4]) == 22
    np.testing.assert_array_equal(bundle.force([1, 3, 6], [2, 4]), [-4, -8, 12])


def test_modules_attributes_and_names(folder, capsys):
    given = ["springs:Model.double", "hessian:springs:energy", "--path", "out", "--spec"]
    assert main([given[0], *given[2:], "n,3:f32"]) == 0
    (function,) = manifest(folder)["functions"]
    assert (function["name"], function["inputs"][0]["dtype"]) == ("double", "float32")
    assert main([*given[1:], "3", "--spec", "2"]) == 0
    assert manifest(folder)["functions"][0]["name"] == "hessian_energy"
    assert main(["springs:Model.double", "--path", "out", "--spec", ""]) == 0
    assert manifest(folder)["functions"][0]["inputs"][0]["shape"] == []
    assert main(["springs:Model.double", "--path", "out", "--spec", "max(n, 2), m"]) == 0
    assert manifest(folder)["functions"][0]["inputs"][0]["shape"] == [["max", "n", 2], "m"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["springs"], "'springs' is no function: write module:function"),
        (["springs:torque"], "springs has no 'torque'"),
        (["nowhere.py:f"], "there is no file nowhere.py"),
        (["no_such_module:f"], "No module named 'no_such_module'"),
        (["springs:number"], "number is a int, not a function"),
        (["log:springs:energy"], "there is no 'log'; there are grad, value_and_grad"),
        (["springs:energy", "--spec", "n"], "cannot be called with 1 specs: missing a required argument: 'k'"),
        (["springs:energy"], "cannot be called with 0 specs"),
        (["springs:decides", "--spec", "n"], "Python is to decide n > 3"),
        (["springs:decides", "--spec", "n:f99"], "numr has no dtype for 'float99'"),
        (["springs:decides", "--spec", "n+"], "'n+' is no length"),
        (["springs:Model.double", "--spec", "n", "--typical", "n"], "'n' is no setting: write name=value"),
        (["springs:Model.double", "--spec", "n", "--typical", "n=many"], "--typical n=many: a whole number is needed"),
        (["springs:Model.double", "--spec", "n", "--typical", "m=3"], "typical= names 'm'"),
        (["springs:Model.double", "--spec", "n", "--option", "cpu=x"], "has no option 'cpu'"),
        (["springs:Model.double", "springs:Model.double", "--spec", "n"], "two functions are called 'double'"),
    ],
)  # fmt: skip
def test_mistakes(folder, capsys, arguments, message):
    assert main([*arguments, "--path", "out"]) == 1
    assert message in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_help():
    found = subprocess.run(
        [sys.executable, "-m", "numr.export", "--help"], capture_output=True, text=True, check=True
    )
    assert "module:function or file.py:function" in found.stdout
    assert "example: python -m numr.export spring.py:energy" in found.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "numr.export", "a:b", "--target", "fortran", "--path", "x"],
        capture_output=True,
        text=True,
    )
    assert wrong.returncode == 2 and "invalid choice: 'fortran'" in wrong.stderr
