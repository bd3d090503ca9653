"""The texts of numr's exceptions: what happened, where in the user's code, and what to do.

Every function returns an exception for its caller to raise. Shapes may hold symbolic sizes and
dtypes may be any object whose `str` is a dtype's name, so nothing of the graph is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numr.errors import (
    AxisError,
    CheckError,
    DeviceError,
    DTypeError,
    GradientError,
    IndexOutOfRangeError,
    LeakedValueError,
    Location,
    NotDifferentiableError,
    OutOfMemoryError,
    ShapeError,
    StaticArgumentError,
    TracedValueError,
    nearest_user_location,
)

Shape = Sequence[Any]

# What to use instead, by the Python operation that was tried on a traced value.
_INSTEAD = {
    "bool": (
        "`if`, `while`, `and`, `or` and `not` need a value that is known during tracing",
        (
            "numr.where(condition, a, b) to choose by element; & | ~ for and, or, not",
            "the decision outside the traced function, on what it returned",
            "static_argnums, if this is an argument that is a plain Python value",
        ),
    ),
    "int": (
        "a Python int is needed here, as for range(), a shape or an index into a list",
        (
            "operations on whole arrays, or numr.vmap, for a loop of that length",
            "x[i] on a numr array in place of an index into a Python list; x.shape[k] for sizes",
            "static_argnums, if this is an argument that is a plain Python value",
        ),
    ),
    "float": (
        "a Python number is needed here",
        (
            "numr functions in place of those of Python's math module",
            ".astype(...) in place of float() and complex() to convert",
            "reading the value from what the traced function returns",
        ),
    ),
    "asarray": (
        "NumPy needs the numbers themselves",
        (
            "the numr function of the same name in place of NumPy's",
            "reading the value from what the traced function returns",
        ),
    ),
    "iter": (
        "the loop runs over an array that has no axis of known length",
        ("numr.vmap, or operations on whole arrays, in place of a Python loop",),
    ),
}
# Other operations, by the one whose advice fits them; for anything else that of float() does.
_SAME = {
    "range": "int",
    "index": "int",
    "range() or an index": "int",
    "numpy": "asarray",
    "tolist": "asarray",
    "__dlpack__": "asarray",
}
_GIB = 2**30


def shape_text(shape: Shape) -> str:
    """A shape as a tuple of its sizes, symbolic ones by name.

    Examples:
        >>> from numr import messages
        >>> messages.shape_text((3,)), messages.shape_text(["n", 4])
        ('(3,)', '(n, 4)')
    """
    sizes = ", ".join(str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def _compose(head: str, *lines: str) -> str:
    """The head, then the rest one step to the right; the exception puts the place between."""
    return head + "".join(f"\n  {line}" for line in "\n".join(lines).splitlines())


def _made_at(created: Location | None, here: Location | None) -> list[str]:
    """Where a value was made, unless that is the line the error is on anyway."""
    if created is None or (here is not None and str(created) == str(here)):
        return []
    return ["the value was made at " + created.describe()]


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def shape_mismatch(
    op: str,
    names: Sequence[str],
    shapes: Sequence[Shape],
    location: Location | None = None,
    hint: str | None = None,
) -> ShapeError:
    """Operands whose shapes do not fit together.

    Args:
        op: the operation as the user wrote it.
        names: what to call each operand.
        shapes: their shapes.
        location: where the user wrote it.
        hint: what to do; by default, what broadcasting says about the shapes.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.shape_mismatch("add", ["x", "y"], [(3, 4), (3,)]).args[0])
        add: x has shape (3, 4) and y has shape (3,): these do not fit together
          axis -1 is 4 in x and 3 in y; to line them up, y[:, None] has shape (3, 1)
    """
    given = _listed([f"{n} has shape {shape_text(s)}" for n, s in zip(names, shapes, strict=True)])
    hint = hint or _broadcast_hint(names, shapes)
    head = f"{op}: {given}: these do not fit together"
    return ShapeError(_compose(head, *([hint] if hint else [])), location=location)


def _broadcast_hint(names: Sequence[str], shapes: Sequence[Shape]) -> str | None:
    for axis in range(1, max(map(len, shapes), default=0) + 1):
        sized = [(n, s[-axis], s) for n, s in zip(names, shapes, strict=True) if len(s) >= axis]
        wide = [entry for entry in sized if entry[1] != 1]
        for name, size, shape in wide[1:]:
            first_name, first_size, first_shape = wide[0]
            if size == first_size:
                continue
            said = f"axis -{axis} is {first_size} in {first_name} and {size} in {name}"
            for low_name, low, high in (
                (name, shape, first_shape),
                (first_name, first_shape, shape),
            ):
                n = len(low)
                if 0 < n < len(high) and tuple(low) == tuple(high[:n]):
                    index = ", ".join([":"] * n + ["None"] * (len(high) - n))
                    new = tuple(low) + (1,) * (len(high) - n)
                    lined = f"{low_name}[{index}] has shape {shape_text(new)}"
                    return f"{said}; to line them up, {lined}"
            return said
    return None


def dtype_mismatch(
    op: str,
    names: Sequence[str],
    dtypes: Sequence[Any],
    location: Location | None = None,
    hint: str | None = None,
) -> DTypeError:
    """Operands of dtypes an operation does not take.

    Examples:
        >>> from numr import messages
        >>> error = messages.dtype_mismatch("bitwise_and", ["x"], ["float64"], hint="use x.astype")
        >>> print(error.args[0])
        bitwise_and is not defined for these dtypes: x is float64
          use x.astype
    """
    given = _listed([f"{n} is {d}" for n, d in zip(names, dtypes, strict=True)])
    head = f"{op} is not defined for these dtypes: {given}"
    return DTypeError(_compose(head, *([hint] if hint else [])), location=location)


def axis_out_of_range(
    op: str, axis: int, ndim: int, location: Location | None = None, name: str = "axis"
) -> AxisError:
    """An axis an array does not have.

    Examples:
        >>> from numr import messages
        >>> print(messages.axis_out_of_range("sum", 2, 2).args[0])
        sum: axis is 2, but the array has 2 dimensions
          axes go from 0 to 1, or from -1 down to -2
    """
    dimensions = f"{ndim} dimension{'' if ndim == 1 else 's'}"
    head = f"{op}: {name} is {axis}, but the array has {dimensions}"
    if ndim == 0:
        return AxisError(_compose(head, "a scalar has no axes"), location=location)
    limits = f"axes go from 0 to {ndim - 1}, or from -1 down to {-ndim}"
    return AxisError(_compose(head, limits), location=location)


def traced_value(
    operation: str,
    shape: Shape,
    dtype: Any,
    created: Location | None = None,
    transform: str = "jit",
    location: Location | None = None,
) -> TracedValueError:
    """A Python decision on a value that is not known while a function is traced.

    Args:
        operation: what was tried, as "bool", "float()", "range() or an index", "asarray", "iter".
        shape: the value's shape.
        dtype: its dtype.
        created: where the user made the value.
        transform: what traces the function.
        location: where the decision is.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.traced_value("bool", (), "bool", transform="grad").args[0])
        bool() of a traced value, of shape () and dtype bool, inside numr.grad
          `if`, `while`, `and`, `or` and `not` need a value that is known during tracing
          use one of
            numr.where(condition, a, b) to choose by element; & | ~ for and, or, not
            ...
    """
    name = operation.removesuffix("()").removeprefix("numpy.")
    why, instead = _INSTEAD.get(_SAME.get(name, name), _INSTEAD["float"])
    spelled = {"asarray": "numpy.asarray()", "index": "an index"}
    call = spelled.get(name) or (name if not name.isidentifier() else f"{name}()")
    head = (
        f"{call} of a traced value, of shape {shape_text(shape)} and dtype {dtype}, "
        f"inside numr.{transform}"
    )
    lines = [why, *_made_at(created, location or nearest_user_location())]
    lines += ["use one of", *("  " + text for text in instead)]
    return TracedValueError(_compose(head, *lines), location=location)


def leaked_value(
    shape: Shape,
    dtype: Any,
    transform: str,
    function: str,
    created: Location | None = None,
    location: Location | None = None,
) -> LeakedValueError:
    """A traced value used after its function has returned.

    Examples:
        >>> from numr import messages
        >>> print(messages.leaked_value((3,), "float64", "jit", "step").args[0])
        a traced value, of shape (3,) and dtype float64, is used after numr.jit of step has ...
          it stands for no array any more: return it from step instead of storing it in a ...
    """
    head = (
        f"a traced value, of shape {shape_text(shape)} and dtype {dtype}, is used after "
        f"numr.{transform} of {function} has returned"
    )
    fix = (
        f"it stands for no array any more: return it from {function} instead of storing it in a "
        f"global, an attribute or a list (has_aux=True returns more than what is differentiated)"
    )
    made = _made_at(created, location or nearest_user_location())
    return LeakedValueError(_compose(head, *made, fix), location=location)


def not_one_number(
    transform: str, function: str, results: Sequence[tuple[Any, Shape]]
) -> GradientError:
    """A gradient of a function that does not return one real number.

    Args:
        transform: the derivative asked for.
        function: what it was asked of.
        results: (dtype, shape) of each array that the function returns.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.not_one_number("grad", "f", [("float64", (3,))]).args[0])
        numr.grad needs a function that returns one real number; f returns an array of shape (3,)
          reduce it, as with numr.sum, or use numr.jacrev, numr.jacfwd or numr.vjp
        >>> print(messages.not_one_number("grad", "f", [("int64", ())]).args[0])
        numr.grad needs a function that returns one real number; f returns an int64
          only floating-point values have derivatives
    """
    head = f"numr.{transform} needs a function that returns one real number; {function} returns "
    if len(results) != 1:
        return GradientError(
            f"{head}{len(results)} arrays\n"
            f"  return one number, with has_aux=True where there is more to return, or use "
            f"numr.jacrev, numr.jacfwd or numr.vjp"
        )
    ((dtype, shape),) = results
    if shape:
        return GradientError(
            f"{head}an array of shape {shape_text(shape)}\n"
            f"  reduce it, as with numr.sum, or use numr.jacrev, numr.jacfwd or numr.vjp"
        )
    fix = "only floating-point values have derivatives"
    if str(dtype).startswith("complex"):
        fix = "take a real one of it, as with numr.real or numr.abs"
    article = "an" if str(dtype)[0] in "aeiou" else "a"
    return GradientError(f"{head}{article} {dtype}\n  {fix}")


def no_direction(function: str, argnums: Any, count: int) -> GradientError:
    """`hvp` without the direction after its argument, or with an `argnums` it does not take.

    Examples:
        >>> from numr import messages
        >>> print(messages.no_direction("f", 0, 1).args[0])
        numr.hvp: f was called with 1 positional argument, and argument 0 and a direction after it ...
          hvp(f)(x, v, *rest): v is a direction of x's structure, or a tuple of them for several argnums
    """
    plural = "" if count == 1 else "s"
    return GradientError(
        f"numr.hvp: {function} was called with {count} positional argument{plural}, and argument "
        f"{argnums!r} and a direction after it are needed\n"
        f"  hvp({function})(x, v, *rest): v is a direction of x's structure, or a tuple of them "
        f"for several argnums"
    )


def not_inexact(transform: str, what: str, dtype: Any) -> GradientError:
    """A derivative of, or with respect to, something that is not a floating-point number.

    Examples:
        >>> from numr import messages
        >>> print(messages.not_inexact("grad", "args[0]['n']", "int64").args[0])
        numr.grad: args[0]['n'] is int64, and only floating-point values have derivatives
          pass it as a float (2.0 for 2, x.astype("float64")), or leave it out with argnums
    """
    return GradientError(
        f"numr.{transform}: {what} is {dtype}, and only floating-point values have derivatives\n"
        f'  pass it as a float (2.0 for 2, x.astype("float64")), or leave it out with argnums'
    )


def wrong_argnums(transform: str, function: str, argnums: Any, count: int) -> GradientError:
    """`argnums` that name an argument that was not passed.

    Examples:
        >>> from numr import messages
        >>> print(messages.wrong_argnums("grad", "f", 2, 2).args[0])
        numr.grad: argnums is 2, but f was called with 2 positional arguments
          they count from 0; arguments passed by keyword are not counted
    """
    plural = "" if count == 1 else "s"
    return GradientError(
        f"numr.{transform}: argnums is {argnums!r}, but {function} was called with {count} "
        f"positional argument{plural}\n"
        f"  they count from 0; arguments passed by keyword are not counted"
    )


def unhashable_static(function: str, argument: str, value: Any) -> StaticArgumentError:
    """A static argument that cannot be a key.

    Examples:
        >>> from numr import messages
        >>> print(messages.unhashable_static("f", "sizes", [1, 2]).args[0])
        the static argument sizes of f is a list, which cannot be hashed: [1, 2]
          pass a hashable value (a tuple for a list, a frozen dataclass for a dict), or do not ...
    """
    text = repr(value)
    if len(text) > 80:
        text = text[:77] + "..."
    return StaticArgumentError(
        f"the static argument {argument} of {function} is a {type(value).__name__}, which cannot "
        f"be hashed: {text}\n"
        f"  pass a hashable value (a tuple for a list, a frozen dataclass for a dict), or do not "
        f"make it static"
    )


def index_out_of_range(
    index: int, axis: int, shape: Shape, location: Location | None = None
) -> IndexOutOfRangeError:
    """A constant index outside an array.

    Examples:
        >>> from numr import messages
        >>> print(messages.index_out_of_range(5, 0, (3, 4)).args[0])
        index 5 is out of range for axis 0 of an array of shape (3, 4), which has 3 elements
          indices go from -3 to 2
    """
    length = shape[axis]
    elements = f"{length} element{'' if length == 1 else 's'}"
    head = (
        f"index {index} is out of range for axis {axis} of an array of shape {shape_text(shape)}, "
        f"which has {elements}"
    )
    if length == 0:
        return IndexOutOfRangeError(
            _compose(head, "an empty axis has no indices"), location=location
        )
    limits = f"indices go from -{length} to {length - 1}"
    return IndexOutOfRangeError(_compose(head, limits), location=location)


def no_device(device: str, reason: str, available: Sequence[str]) -> DeviceError:
    """A device that is not there.

    Examples:
        >>> from numr import messages
        >>> print(messages.no_device("cuda", "no CUDA driver was found", ["cpu"]).args[0])
        device "cuda" cannot be used: no CUDA driver was found
          devices found: cpu
    """
    found = ", ".join(available) or "none"
    return DeviceError(f'device "{device}" cannot be used: {reason}\n  devices found: {found}')


def device_lacks_dtype(
    device: str,
    dtype: Any,
    op: str,
    shape: Shape,
    narrower: str | None,
    location: Location | None = None,
) -> DTypeError:
    """A graph with a dtype its device does not have.

    Examples:
        >>> from numr import messages
        >>> error = messages.device_lacks_dtype("webgpu", "float64", "add", (3,), "float32")
        >>> print(error.args[0])
        device "webgpu" has no float64, which the result of add of shape (3,) is made of
          make it float32 before: x.astype("float32"), dtype="float32" where an array is created
          or let Python's numbers be float32 from the start: numr.config.update(default_float="float32")
    """
    kind = {"leaf": "an array", "param": "an argument"}.get(op, f"the result of {op}")
    head = f'device "{device}" has no {dtype}, which {kind} of shape {shape_text(shape)} is made of'
    lines = []
    if narrower is not None:
        lines.append(
            f'make it {narrower} before: x.astype("{narrower}"), dtype="{narrower}" where an array '
            "is created"
        )
    if narrower in ("float32", "complex64"):
        lines.append(
            "or let Python's numbers be float32 from the start: "
            'numr.config.update(default_float="float32")'
        )
    return DTypeError(_compose(head, *lines), location=location)


def device_gap(device: str, op: str, reason: str, location: Location | None = None) -> DeviceError:
    """An operation that a device cannot run.

    Examples:
        >>> from numr import messages
        >>> print(messages.device_gap("webgpu", "eig", "it has no kernels yet").args[0])
        device "webgpu" cannot run eig: it has no kernels yet
          run this part on another device: x.to_device("cpu")
    """
    head = f'device "{device}" cannot run {op}: {reason}'
    fix = 'run this part on another device: x.to_device("cpu")'
    return DeviceError(_compose(head, fix), location=location)


def mixed_devices(
    given: Sequence[tuple[Shape, Any, str]], location: Location | None = None
) -> DeviceError:
    """Arrays of one operation that are on different devices.

    Args:
        given: shape, dtype and device of each.
        location: the user's line.

    Examples:
        >>> from numr import messages
        >>> given = [((3,), "float32", "webgpu"), ((3,), "float32", "cpu")]
        >>> print(messages.mixed_devices(given).args[0])
        these arrays are on different devices: shape (3,) float32 on webgpu, shape (3,) float32 on cpu
          nothing is moved by itself: bring them together with x.to_device("webgpu")
    """
    texts = [f"shape {shape_text(s)} {dtype} on {device}" for s, dtype, device in given]
    head = f"these arrays are on different devices: {', '.join(texts)}"
    away = next((d for _, _, d in given if d != "cpu"), "cpu")
    fix = f'nothing is moved by itself: bring them together with x.to_device("{away}")'
    return DeviceError(_compose(head, fix), location=location)


def arguments_elsewhere(
    function: str, device: str | None, given: Sequence[tuple[Shape, Any, str]]
) -> DeviceError:
    """Arguments of a jitted function that are not all on its device, or not all on one.

    Examples:
        >>> from numr import messages
        >>> given = [((3,), "float32", "cpu")]
        >>> print(messages.arguments_elsewhere("step", "webgpu", given).args[0])
        jit(step) runs on webgpu, and its array arguments are: shape (3,) float32 on cpu
          nothing is moved by itself: move arrays with x.to_device("webgpu")
    """
    texts = [f"shape {shape_text(s)} {dtype} on {where}" for s, dtype, where in given]
    where = device or next((d for _, _, d in given if d != "cpu"), "cpu")
    runs = f"runs on {device}, and its" if device else "has arguments on several devices: its"
    head = f"jit({function}) {runs} array arguments are: {', '.join(texts)}"
    fix = f'nothing is moved by itself: move arrays with x.to_device("{where}")'
    return DeviceError(_compose(head, fix))


def out_of_memory(
    shape: Shape, dtype: Any, itemsize: int, location: Location | None = None
) -> OutOfMemoryError:
    """An array that does not fit.

    Examples:
        >>> from numr import messages
        >>> print(messages.out_of_memory((100_000, 100_000), "float64", 8).args[0])
        no memory for an array of shape (100000, 100000) and dtype float64: 74.5 GiB
          reduce it before reading it (what is reduced at once is never stored), work in pieces, ...
    """
    size = itemsize
    for length in shape:
        size *= int(length)
    head = (
        f"no memory for an array of shape {shape_text(shape)} and dtype {dtype}: "
        f"{size / _GIB:.3g} GiB"
    )
    fix = (
        "reduce it before reading it (what is reduced at once is never stored), work in pieces, "
        "or use a smaller dtype"
    )
    return OutOfMemoryError(_compose(head, fix), location=location)


def not_differentiable(
    op: str, reason: str, hint: str | None = None, location: Location | None = None
) -> NotDifferentiableError:
    """An operation without a derivative on the way of one.

    Examples:
        >>> from numr import messages
        >>> error = messages.not_differentiable("while_loop", "its length is not known", "use scan")
        >>> print(error.args[0])
        while_loop cannot be differentiated: its length is not known
          use scan
    """
    head = f"{op} cannot be differentiated: {reason}"
    return NotDifferentiableError(_compose(head, *([hint] if hint else [])), location=location)


def bad_map_axes(function: str, sizes: Sequence[tuple[str, Any, Any]]) -> AxisError:
    """Arguments of `vmap` whose mapped axes differ in length, or none that is mapped.

    Args:
        function: the mapped function.
        sizes: (path of the argument, axis, length) of each mapped one.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.bad_map_axes("f", [("args[0]", 0, 3), ("args[1]['w']", 1, 4)]).args[0])
        numr.vmap of f: the mapped axes differ in length
          args[0] has 3 along axis 0
          args[1]['w'] has 4 along axis 1
          in_axes=None leaves an argument unmapped: the same for every element
    """
    if not sizes:
        return AxisError(
            f"numr.vmap of {function}: in_axes maps no argument, so the length is not known\n"
            f"  give the axis of at least one argument; call {function} itself to map nothing"
        )
    seen = "\n".join(f"  {path} has {length} along axis {axis}" for path, axis, length in sizes)
    return AxisError(
        f"numr.vmap of {function}: the mapped axes differ in length\n{seen}\n"
        f"  in_axes=None leaves an argument unmapped: the same for every element"
    )


def wrong_result(
    step: str,
    op: str,
    shape: Shape,
    dtype: Any,
    worst: tuple[int, tuple[int, ...], Any, Any, Any],
    location: Location | None = None,
) -> CheckError:
    """A step whose result is not NumPy's.

    Args:
        step: what to call the step.
        op: the primitive that made the result.
        shape, dtype: the result's.
        worst: how many elements differ; where most, what is there, what NumPy has, the difference.
        location: the user's line.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> error = messages.wrong_result("step 0", "exp", (9,), "float64", (2, (4,), 2.5, 2.0, 0.5))
        >>> print(error.args[0])
        step 0 of the program gives another result than NumPy: 2 of the 9 elements of exp, ...
          most at index (4,): 2.5 where NumPy has 2.0, a difference of 0.5
          this is a defect of numr: please report it; NUMR_DEBUG=fuse,kernel,source prints what was ...
    """
    count, index, got, want, difference = worst
    head = (
        f"{step} of the program gives another result than NumPy: {count} of the "
        f"{math.prod(map(int, shape))} elements of {op}, of shape {shape_text(shape)} and dtype {dtype}"
    )
    most = f"most at index {index}: {got} where NumPy has {want}, a difference of {difference}"
    fix = (
        "this is a defect of numr: please report it; NUMR_DEBUG=fuse,kernel,source prints what was "
        "compiled"
    )
    return CheckError(_compose(head, most, fix), location=location)
