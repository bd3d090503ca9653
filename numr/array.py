"""Array: what users hold. A handle over a computed buffer, or over a node still to be computed."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from numr import config, devices, dtypes, messages
from numr.dtypes import DType, as_dtype
from numr.ir.node import Node, scope
from numr.ir.symbolic import Symbolic
from numr.operators import Operators
from numr.primitives.source import STOP_GRADIENT, const, leaf

if TYPE_CHECKING:
    from numr.functions.updates import At

_DLPACK_HOST = (devices.DLPACK_HOST, 0)


class Array(Operators):
    """An n-dimensional array, computed when it is read.

    Operations on Arrays build a graph; reading a value (printing, `float(x)`, `numpy.asarray(x)`,
    `x.numpy()`) compiles what is needed, runs it, and keeps the result. Arrays are values: no two
    share memory that either could change, and `x[i] = v` only rebinds the handle `x`.

    Examples:
        >>> import numr as nr
        >>> x = nr.asarray([1.0, 2.0, 3.0])
        >>> y = 2 * x + 1
        >>> y.shape, y.dtype
        ((3,), numr.float64)
        >>> float(nr.sum(y))
        15.0
        >>> y[0] = 10.0
        >>> y.numpy()
        array([10.,  5.,  7.])
    """

    __slots__ = ("__weakref__", "_node", "_value", "weak")

    # NumPy's operators leave the work to ours: numpy_array + numr_array is a numr array.
    __array_priority__ = 1000

    _node: Node | None
    _value: Any
    weak: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("numr.Array is not made directly; use numr.asarray, numr.zeros, ...")

    # -- what it is ------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """The graph node of this array."""
        node = self._node
        if node is None:
            node = self._node = leaf(self._value)
        if node.trace is not None:
            _check_alive(node)
        return node

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape if self._value is None else self._value.shape

    @property
    def dtype(self) -> DType:
        return self._node.dtype if self._node is not None else as_dtype(self._value.dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        count = 1
        for n in self.shape:
            count *= n
        return count

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def device(self) -> str:
        """The device the values are on, or will be."""
        if self._value is not None:
            return devices.device_of(self._value)
        return self.node.device or devices.memory_of(devices.get_default_device())

    def to_device(self, device: str, /, *, stream: Any = None) -> Array:
        """The same array on another device: a copy, or the array itself if it is there already.

        Args:
            device: a name such as "cpu" or "webgpu".
            stream: accepted for the standard's sake.

        Raises:
            DeviceError: for a device that is not there.
            TracedValueError: for an array that depends on an argument of a function that is being
                traced, and is to be on another device than that is.
        """
        devices.require(device)
        where = devices.memory_of(device)
        node = self._node
        known = devices.device_of(self._value) if self._value is not None else self.node.device
        if known == where:
            return self
        if node is not None and node.trace is not None and node.trace.blocker() is not None:
            if known is None:
                return self  # it will be where the function runs
            self._read(f"to_device({device!r})")
        if known is None:
            from numr.lazy import value_on

            return from_value(value_on(self.node, where))
        return from_value(devices.to_device(self._read("to_device()"), where))

    # -- reading ---------------------------------------------------------------------------------

    def realize(self) -> Array:
        """Compute the value now, and return the array itself."""
        self._read("realize()")
        return self

    def block_until_ready(self) -> Array:
        """Compute the value, wait until the device has done so, and return the array itself.

        Elsewhere than on the CPU, `realize` and compiled functions return when the work has been
        handed on.
        """
        devices.wait(self._read("block_until_ready()"))
        return self

    def _read(self, operation: str) -> Any:
        value = self._value
        if value is None:
            node = self._node
            assert node is not None
            value = node.value
            if value is None:
                from numr.lazy import force

                value = force(self, operation)
            if self._node is None or self._node.origin is None:
                self._value = value
        return value

    def _host(self, operation: str) -> Any:
        """The values as a NumPy array: the buffer itself, or a copy of one that is on another device."""
        return devices.to_host(self._read(operation))

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a read-only NumPy array (of an array on the CPU no copy)."""
        view: np.ndarray[Any, Any] = self._host("numpy()").view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        value = self._host("numpy.asarray()")
        if dtype is not None and np.dtype(dtype) != value.dtype:
            return np.asarray(value, dtype=dtype)
        if copy:
            return np.array(value)
        view: np.ndarray[Any, Any] = value.view()
        view.flags.writeable = False
        return view

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`np.exp(x)` and `numpy_array + x` are numr's functions of those names, and traced like them."""
        from numr.functions import all as functions

        function = getattr(functions, ufunc.__name__, None)
        if method == "__call__" and not kwargs and function is not None:
            return function(*inputs)
        # Into an array of NumPy's, or what numr does not have: NumPy reads the values.
        if any(isinstance(x, Array) for x in kwargs.get("out", ())):
            raise TypeError("numr arrays cannot be written to by NumPy (out=)")
        read = [np.asarray(x) if isinstance(x, Array) else x for x in inputs]
        return getattr(ufunc, method)(*read, **kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        import numr

        # A later version only adds to those before it.
        if api_version not in (None, "2021.12", "2022.12", "2023.12", numr.__array_api_version__):
            raise ValueError(
                f"numr follows the array API {numr.__array_api_version__}, not {api_version}"
            )
        return numr

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: Any = None,
        copy: Any = None,
    ) -> Any:
        # Consumers of DLPack 1.0 see that the memory is not to be written to; others get a copy.
        value = self._read("__dlpack__()")
        here = _dlpack_place(value)
        if here != _DLPACK_HOST and dl_device in (None, here):
            copy = self._copies(copy, max_version)
            lent = devices.copy(value) if copy else value
            return lent.__dlpack__(stream=stream, max_version=max_version, copied=copy)
        if here != _DLPACK_HOST and copy is False:
            raise BufferError(f"an array on {self.device} cannot be on another device uncopied")
        value = self.numpy()
        copy = self._copies(copy, max_version) or copy
        return value.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)

    @staticmethod
    def _copies(copy: bool | None, max_version: Any) -> bool:
        if copy is not True and (max_version is None or max_version < (1, 0)):
            if copy is False:
                raise BufferError("numr arrays are read-only, which DLPack before 1.0 cannot say")
            return True
        return bool(copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        if self.device == devices.HOST:
            return _DLPACK_HOST
        return _dlpack_place(self._read("__dlpack_device__()"))

    if not TYPE_CHECKING:  # which would take every misspelt name for one of these

        def __getattr__(self, name: str) -> Any:
            # How an array on a device tells other libraries its place, as __cuda_array_interface__.
            if name.endswith("_array_interface__") and self.device != devices.HOST:
                return getattr(self._read(name), name)
            raise AttributeError(f"'Array' object has no attribute {name!r}", name=name, obj=self)

    def item(self) -> Any:
        """The one element as a Python scalar."""
        return self._scalar("item()").item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self._host("tolist()").tolist()

    def _scalar(self, operation: str) -> Any:
        if self.size != 1 and (self._node is None or self._node.trace is None):
            raise TypeError(
                f"{operation} needs an array of one element, not shape {tuple(map(int, self.shape))}"
            )
        return self._host(operation)

    def __float__(self) -> float:
        return float(self._scalar("float()").item())

    def __int__(self) -> int:
        return int(self._scalar("int()").item())

    def __complex__(self) -> complex:
        return complex(self._scalar("complex()").item())

    def __bool__(self) -> bool:
        return bool(self._scalar("bool()").item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only integer arrays can be used as an index, not {self.dtype}")
        return int(self._scalar("range() or an index").item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        n = self.shape[0]
        if isinstance(n, Symbolic):
            raise messages.size_decided(f"len(x), which is {n}")
        return n

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return (self == value).any().item()  # type: ignore[no-any-return, attr-defined]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        node = self._node
        if (
            node is not None
            and node.value is None
            and node.trace is not None
            and node.trace.blocker()
        ):
            return f"numr.Array(shape={tuple(map(int, self.shape))}, dtype={self.dtype}, traced)"
        body = np.array2string(self._host("repr()"), separator=", ", prefix="numr.Array(")
        if self.size == 0 and self.shape != (0,):
            body += f", shape={self.shape}"  # the brackets show one axis only
        suffix = (
            ""
            if self.dtype in (dtypes.float64, dtypes.int64, dtypes.bool_)
            else f", dtype={self.dtype}"
        )
        if self.device != devices.HOST:
            suffix += f", device={self.device!r}"
        return f"numr.Array({body}{suffix})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (to_array, (np.array(self._host("pickling")),))

    def __copy__(self) -> Array:
        return _make(self._node, self._value, self.weak)

    def __deepcopy__(self, memo: Any) -> Array:
        return self.__copy__()

    def detach(self) -> Array:
        """The same values, which derivatives take for constants: `numr.stop_gradient` of this array."""
        return from_node(without_history(self.node), self.weak)

    # -- updates ---------------------------------------------------------------------------------

    @property
    def at(self) -> At:
        """Updated copies: `x.at[i].set(v)`, `.add`, `.mul`, `.min`, `.max`."""
        from numr.functions.updates import At

        return At(self)

    def __getitem__(self, key: Any) -> Array:
        from numr.functions.indexing import getitem

        return getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.become(self.at[key].set(value))

    def become(self, updated: Array) -> None:
        """Hold what another array holds: how arrays change in place."""
        if scope.changing is not None:
            scope.changing(self)
        self._node, self._value = updated._node, updated._value
        if self._node is not None and self._value is None:
            self._node.handle = weakref.ref(self)


def _dlpack_place(buffer: Any) -> tuple[int, int]:
    """Where other libraries find a buffer: on its device, if that shares memory, else a copy on the host."""
    where = getattr(buffer, "__dlpack_device__", None)
    return _DLPACK_HOST if where is None else where()  # type: ignore[no-any-return]


def _make(node: Node | None, value: Any, weak: bool) -> Array:
    array = object.__new__(Array)
    array._node = node
    array._value = value
    array.weak = weak
    return array


def from_value(value: Any) -> Array:
    """An Array over a computed buffer (taken over, not copied)."""
    array = object.__new__(Array)
    array._node = None
    array._value = value
    array.weak = False
    return array


def from_node(node: Node, weak: bool = False) -> Array:
    """An Array over a node. Outside traces the node remembers its handle, so that a later read of
    something built on it also keeps this value and no loop recomputes its history."""
    if scope.paused and scope.trace is None:
        node = without_history(node)
    # An array that derivatives go through is known by its node, so its value is asked of that.
    array = _make(node, node.value if node.origin is None else None, weak)
    if node.value is None and (node.trace is None or node.trace.blocker() is None):
        node.handle = weakref.ref(array)
        if scope.trace is None:
            scope.pending += 1
            if scope.pending > config.get().node_limit:
                array.realize()
    return array


def without_history(node: Node) -> Node:
    """A node of the same value that derivatives take for a constant."""
    if node.prim is STOP_GRADIENT:
        return node
    if node.value is None:
        return STOP_GRADIENT(node)
    if node.origin is None:
        return node
    computed = leaf(node.value, node.dtype)
    computed.device = node.device
    return computed


def to_array(x: Any, dtype: Any = None, copy: bool | None = None) -> Array:
    """Any array-like as an Array. NumPy arrays are copied unless `copy=False`, since a lazy
    computation may read them long after the caller has changed them."""
    if isinstance(x, Array):
        if dtype is None or x.dtype is as_dtype(dtype):
            return x
        from numr.primitives.elementwise import cast

        return from_node(cast(x.node, as_dtype(dtype)))
    if isinstance(x, (bool, int, float, complex)) and not isinstance(x, np.generic):
        target = _default(type(x)) if dtype is None else as_dtype(dtype)
        if isinstance(x, Symbolic):
            x.need_bits()
        return from_node(const(x, target))
    if type(x) is np.ndarray and dtype is None and copy is None and _in_jit():
        # One array read twice while a function is traced is one captured input.
        known = scope.arena.get((to_array, id(x)))
        if known is None:
            known = scope.arena[to_array, id(x)] = to_array(x, copy=True).node
            scope.arena[to_array, "kept", id(x)] = x  # type: ignore[assignment]
        return from_node(known)
    if isinstance(x, (list, tuple)) and _holds_arrays(x):
        from numr.functions.joining import stack

        return to_array(stack([to_array(item, dtype) for item in x]), dtype)
    if not isinstance(x, (np.ndarray, np.generic, list, tuple)):
        buffer = devices.adopted(x)
        if buffer is not None:
            shared = copy is not None and not copy
            if buffer.is_borrowed and not shared:
                buffer = devices.copy(buffer)
            return to_array(from_value(buffer), dtype)
        if hasattr(x, "__dlpack__"):
            x = np.from_dlpack(x)
    wanted = None if dtype is None else as_dtype(dtype).dtype
    given_dtype = wanted is not None or hasattr(x, "dtype")
    try:
        if isinstance(x, np.ndarray) and not copy and copy is not None:
            value = np.asarray(x, dtype=wanted, order="C")
        else:
            value = np.array(x, dtype=wanted, order="C")
        found = as_dtype(value.dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(f"cannot make an array of {type(x).__name__}: {error}") from None
    if not given_dtype and found.kind in "fc":
        value = value.astype(_default(float if found.kind == "f" else complex).dtype, copy=False)
    if not (value.dtype.isnative and value.flags.aligned):
        value = np.array(value, value.dtype.newbyteorder("="), order="C")
    # No array of numr's is on no device yet: it goes where the others of an operation are.
    node = leaf(value)
    node.device = None
    return _make(node, value, False)


def _in_jit() -> bool:
    """Whether a function is being traced for jit, so that its arena is its own."""
    trace = scope.trace
    while trace is not None and trace.kind != "jit":
        trace = trace.parent
    return trace is not None


def _default(kind: type) -> DType:
    """The dtype of Python numbers of a type, by the default_float setting."""
    dtype = next(d for k, d in dtypes.DEFAULT_BY_PYTHON.items() if issubclass(kind, k))
    if config.get().default_float == "float32":
        return {dtypes.float64: dtypes.float32, dtypes.complex128: dtypes.complex64}.get(
            dtype, dtype
        )
    return dtype


def _holds_arrays(items: Any) -> bool:
    return any(
        isinstance(i, Array) or (isinstance(i, (list, tuple)) and _holds_arrays(i)) for i in items
    )


def _check_alive(node: Node) -> None:
    """A placeholder of a function that has returned can mean nothing any more."""
    trace = node.trace
    while trace is not None:
        if not trace.alive and trace.kind != "grad":
            raise messages.leaked_value(
                node.shape, node.dtype, trace.kind, trace.name, node.location
            )
        trace = trace.parent
