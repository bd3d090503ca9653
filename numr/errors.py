"""Every exception a numr user can meet, and where in the user's code it came from.

Each class also derives from the built-in exception a NumPy user would expect, so that
`except ValueError` keeps working. The texts are built in `numr.messages`.
"""

from __future__ import annotations

import linecache
import os
import sys
from itertools import islice
from types import CodeType, FrameType
from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class NumrError(Exception):
    """The base of every exception numr raises on purpose.

    Anything else that comes out of numr, other than an exception of the user's own function, is a
    defect worth reporting.

    The first line of each says what happened, and the next where in the user's code.

    Attributes:
        location: where the user called numr, or None where that says nothing.

    Examples:
        >>> from numr import errors
        >>> issubclass(errors.ShapeError, errors.NumrError)
        True
        >>> print(errors.ShapeError("these do not fit"))
        these do not fit
          at <doctest ...>:1 in <module>
              print(errors.ShapeError("these do not fit"))
                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    """

    _located = True

    def __init__(self, *args: object, location: Location | None = None) -> None:
        super().__init__(*args)
        self.location = location or (nearest_user_location() if self._located else None)

    def __str__(self) -> str:
        text = super().__str__()
        if self.location is None:
            return text
        head, newline, rest = text.partition("\n")
        place = self.location.describe().replace("\n", "\n  ")
        return f"{head}\n  at {place}{newline}{rest}"

    def __reduce__(self) -> tuple[Any, ...]:
        # code objects cannot be pickled, their description can
        return (type(self), (str(self),), {"location": None})


class ShapeError(NumrError, ValueError):
    """Shapes that do not fit together.

    Cause: arrays that do not broadcast, a matrix product whose inner lengths differ, a reshape that
    changes the number of elements, an axis the array does not have.

    Example: `nr.ones((3, 4)) + nr.ones((3,))`.

    Fix: the message names the operands and their shapes; insert the missing axis
    (`b[:, None]`) or transpose one of them.
    """


class AxisError(ShapeError, IndexError):
    """An axis that does not exist, in a function's `axis=` or in `vmap`'s `in_axes`/`out_axes`.

    Cause: the axis is not below the number of dimensions, an axis named twice, arguments mapped by
    `vmap` that have different lengths, or nothing mapped at all.

    Example: `nr.sum(nr.ones((2, 3)), axis=2)`; `nr.vmap(f, in_axes=1)(nr.ones(3))`.

    Fix: axes count from 0, or from -1 backwards; give `None` in `in_axes` for an argument that is
    the same for every element.
    """


class DTypeError(NumrError, TypeError):
    """An operation that is not defined for the dtypes it was given.

    Cause: bitwise operations on floats, `%` on complex numbers, an unsupported dtype such as
    strings, or a dtype the device lacks.

    Example: `nr.asarray([1.0]) & nr.asarray([1.0])`.

    Fix: convert with `x.astype(...)`. numr never converts to a narrower dtype by itself.
    """


class TracedValueError(NumrError, TypeError):
    """A Python decision on a value that is not known while the function is traced.

    Cause: `if`, `while`, `and`, `bool()`, `int()`, `float()`, `range()`, an index into a list or
    `np.asarray` applied to an array inside `jit`, `grad` or `vmap`. There an array stands for every
    value it may have, so there is nothing to decide on. Shapes and dtypes are known.

    Example: `nr.jit(lambda x: x if x > 0 else -x)(1.0)`.

    Fix: `nr.where(x > 0, x, -x)` for a choice by element; `static_argnums` for an argument that is
    a plain Python value; or make the decision outside the traced function, on what it returned.
    """


class ControlFlowError(NumrError, TypeError):
    """Python control flow on traced values that cannot become part of the graph.

    Cause: in a function with `control_flow=True`, a branch or loop that depends on the value of an array
    and gives a variable other types or shapes, leaves it without a value, or changes what is no variable
    (an attribute, a list that grows, a global); or a function whose source cannot be rewritten.

    Example: `if x > 0: y = x[:2]`, `else: y = x`.

    Fix: the message names the variable and the line, and what to write.
    """


class LeakedValueError(NumrError, RuntimeError):
    """A traced value used after the function it belongs to has returned.

    Cause: a traced function stored an array in a global, an attribute or an outer list instead of
    returning it.

    Example: `kept = []`, then `nr.jit(lambda x: kept.append(x) or x)(1.0)`, then `kept[0] + 1`.

    Fix: return the value (`has_aux=True` lets `grad` return more than the loss).
    """


class GradientError(NumrError, TypeError):
    """A derivative asked for in a way that has no meaning.

    Cause: `grad` of a function that returns an array, with respect to an integer or boolean
    argument, or of an argument that was not passed (`argnums`).

    Example: `nr.grad(lambda x: 2 * x)(nr.ones(3))`.

    Fix: reduce the output to one number, or use `jacrev`, `jacfwd` or `vjp` for array outputs; pass
    floating-point arguments; count `argnums` from 0.
    """


class MissingGradientError(NumrError, KeyError):
    """A gradient taken from a store of `numr.autograd` that does not have it.

    Cause: the loss does not depend on the variable, or through integers, `detach` or `no_grad` only; the
    variable was made with `requires_grad=False`; or its gradient was taken out with `pop`.

    Example: `nr.autograd.backward(nr.sum(x))[y]`.

    Fix: `store.get(y)` gives None, for zero, where there is no gradient, and `y in store` tells.
    """

    # KeyError shows the text as Python would write it.
    def __str__(self) -> str:
        self.args, text = ("",), str(self.args[0])
        place = NumrError.__str__(self).removeprefix("''")
        self.args = (text,)
        head, newline, rest = text.partition("\n")
        return f"{head}{place}{newline}{rest}"


class NotDifferentiableError(NumrError, TypeError):
    """An operation that has no derivative met on the way of one.

    Cause: a primitive that declares, with a reason, that it lacks a derivative rule.

    Example: `nr.grad` through a primitive of your own that has neither `jvp` nor `partials`.

    Fix: the message names the operation; `nr.stop_gradient` where the derivative is meant to be
    zero, or declare the rule.
    """


class StaticArgumentError(NumrError, TypeError):
    """A static argument that cannot be used as a key.

    Cause: an argument named in `static_argnums` or `static_argnames`, or a static field of a
    dataclass, is unhashable, so nothing compiled for it could be found again.

    Example: `nr.jit(f, static_argnums=1)(x, [1, 2])`.

    Fix: pass a hashable value (a tuple for a list, a frozen dataclass), or do not make it static.
    """


class TreeMismatchError(NumrError, ValueError):
    """Two pytrees (nested dicts, lists, dataclasses ...) that should have the same structure.

    Cause: gradients of other parameters than those they are added to, `in_axes` that do not follow
    the argument, tangents of another structure than the primals.

    Example: `nr.tree.map(f, {"w": 1.0}, {"b": 1.0})`.

    Fix: the message shows the path where they part, and both structures.
    """


class IndexOutOfRangeError(NumrError, IndexError):
    """A constant index outside an array.

    Cause: an index known when the operation is written is not below the length of its axis.
    Computed indices are not checked: one that is outside counts as the nearest one inside.

    Example: `nr.ones(3)[5]`.

    Fix: use an index from `-n` to `n - 1`.
    """


class DeviceError(NumrError, RuntimeError):
    """A device that is not there, or cannot do what is asked.

    Cause: `device="cuda"` without a CUDA driver or its Python packages, an unknown device name, or
    float64 on a device that has none.

    Example: `nr.jit(f, device="cuda")(x)` on a machine without a GPU.

    Fix: the message says what was found and what to install; `device="cpu"` always works.
    """


class DeviceLostError(DeviceError):
    """A device that went away while it was in use, with every array on it.

    Cause: its driver was reset (a kernel that ran too long, a sleeping laptop, a driver update), or
    the device was unplugged. On "cuda" also a kernel that failed, whoever's it was.

    Example: reading an array on "webgpu" after such a reset.

    Fix: move the arrays there again from the host. "webgpu" is opened anew on next use, and functions
    stay compiled. "cuda" runs nothing more in this process: start Python again.
    """


class OutOfMemoryError(NumrError, MemoryError):
    """An array that does not fit in memory.

    Cause: a result that must be stored whole is larger than the memory that is left.

    Example: `nr.ones((1_000_000, 1_000_000)).numpy()`.

    Fix: the message says which array it is. Reduce before reading (reductions are fused and never
    store their operand), work in pieces, or use float32.
    """


class UnsupportedError(NumrError, NotImplementedError):
    """Something numr does not do, or does not do yet.

    Cause: an argument or a combination that is valid in NumPy and missing here.

    Example: `nr.asarray(["a", "b"])`.

    Fix: the message names the alternative where there is one.
    """


class ConfigError(NumrError, ValueError):
    """A setting with a value it cannot have, or a setting that does not exist.

    Cause: an environment variable `NUMR_...` or an argument of `numr.config.update`.

    Example: `NUMR_CACHE=maybe`.

    Fix: the message names the variable and lists what it may be.
    """

    _located = False  # a variable of the environment is not on a line


class ExportError(NumrError, ValueError):
    """A function that cannot be exported as asked, or a bundle that cannot be used.

    Cause: a spec that says no length, a target that numr does not have or that lacks an operation, a result
    that no file can describe; a bundle that is damaged, of another version, or for another machine.

    Example: `nr.export(f, nr.spec("n"), target="fortran", path="out")`.

    Fix: the message says which; export a damaged or foreign bundle again.
    """


class SymbolicSizeError(ExportError, TypeError):
    """The exported function's own Python code decides by a length that is not known before it runs.

    Cause: `if`, `while`, `range()`, a comparison, a list of that length, or `float()` of a symbolic size.

    Example: `nr.export(lambda x: x if x.shape[0] > 3 else -x, nr.spec("n"), target="c", path="out")`.

    Fix: give the size as a number in the spec, or use operations on whole arrays and `nr.fori_loop`.
    """


class CheckError(NumrError, AssertionError):
    """A compiled step that gives another result than NumPy, found because `check` is set.

    Cause: a defect of numr or of the compiler under it, not of the program that was run. Differences
    that rounding explains are not reported.

    Example: `NUMR_CHECK=1` with a backend that spells an operation wrongly.

    Fix: report it, with the line the message shows. `NUMR_DEBUG=fuse,kernel,source` prints what was
    compiled; writing the line another way may avoid it.
    """


class CacheWarning(UserWarning):
    """The disk cache cannot be used; numr works on without it and says so once.

    Cause: the cache folder cannot be written, or its disk is full.

    Example: `NUMR_CACHE_DIR=/proc`.

    Fix: point `NUMR_CACHE_DIR` to a writable folder, or turn the disk cache off with
    `NUMR_CACHE=off`.
    """


class Location(tuple[CodeType, int]):
    """A place in user code: a code object and an instruction in it, read only when it is printed.

    Examples:
        >>> from numr import errors
        >>> place = errors.caller_location()
        >>> place.line, place.function
        (1, '<module>')
    """

    __slots__ = ()

    @property
    def file(self) -> str:
        """The file's path as Python knows it."""
        return self[0].co_filename

    @property
    def function(self) -> str:
        """The qualified name of the function, `<module>` outside functions."""
        return self[0].co_qualname

    @property
    def line(self) -> int:
        """The line number, from 1."""
        return self._span()[0]

    @property
    def text(self) -> str:
        """The source line without its indentation; empty where the source cannot be found."""
        return linecache.getline(self.file, self.line).strip()

    def _span(self) -> tuple[int, int | None, int | None]:
        """The line and the columns of the expression, where it lies on one line."""
        code, instruction = self
        # two bytes an instruction; a frame that has not started has none
        position = next(islice(code.co_positions(), max(instruction, 0) // 2, None), None)
        line, end_line, start, end = position or (None, None, None, None)
        if line is None or line != end_line:
            return line or code.co_firstlineno, None, None
        return line, start, end

    def describe(self) -> str:
        """Where it is and, if the source is at hand, the line with the expression marked.

        Examples:
            >>> from numr import errors
            >>> print(errors.caller_location().describe())
            <doctest ...>:1 in <module>
                print(errors.caller_location().describe())
                      ^^^^^^^^^^^^^^^^^^^^^^^^
        """
        line, start, end = self._span()
        head = f"{self.file}:{line} in {self.function}"
        raw = linecache.getline(self.file, line).rstrip()
        text = raw.lstrip()
        if not text:
            return head
        head = f"{head}\n    {text}"
        if start is None or end is None or start >= end or not raw.isascii():  # columns count bytes
            return head
        indent = len(raw) - len(text)
        if start < indent or end - start >= len(text):
            return head
        return f"{head}\n    {' ' * (start - indent)}{'^' * (end - start)}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"

    def __repr__(self) -> str:
        return f"Location({self})"


_new_location = tuple.__new__
_get_frame = sys._getframe
_ours: set[str] = set()  # files of this package met so far: a set is faster to ask than a prefix


def caller_location(depth: int = 1) -> Location:
    """Where user code called into numr: the nearest frame outside the package.

    It runs for every node of a graph, so it stores two references and formats nothing.

    Args:
        depth: frames to skip without looking, counted from the caller of this function (1). A
            caller that knows how deep it is in numr saves a frame object for each one skipped.

    Returns:
        The location.

    Examples:
        >>> from numr import errors
        >>> str(errors.caller_location())
        '<doctest ...>:1 in <module>'
    """
    frame: FrameType = _get_frame(depth)
    code = frame.f_code
    while True:
        name = code.co_filename
        if name in _ours:
            outer = frame.f_back
            if outer is None:
                break
            frame = outer
            code = frame.f_code
        elif name.startswith(_PACKAGE):
            _ours.add(name)
        else:
            break
    return _new_location(Location, (code, frame.f_lasti))


def nearest_user_location() -> Location | None:
    """Where user code called into numr, for an error: past NumPy too, as `np.sin(x)` reads `x`.

    Returns:
        The location, or None if there is no user code, as while a module is imported.

    Examples:
        >>> from numr import errors
        >>> str(errors.nearest_user_location())
        '<doctest ...>:1 in <module>'
    """
    frame: FrameType | None = _get_frame(1)
    while frame is not None:
        file = frame.f_code.co_filename
        module = frame.f_globals.get("__name__", "")
        if not file.startswith(_PACKAGE) and not module.startswith("numpy."):
            return None if file.startswith("<frozen") else Location((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return None
