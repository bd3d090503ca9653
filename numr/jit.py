"""jit: trace a function once per signature, compile its graph, and call the result cheaply."""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from numr import config, devices, messages, python_control, tree
from numr.arguments import donate, is_plain_object, leaf_spec
from numr.array import Array, from_node, from_value, to_array
from numr.dtypes import as_dtype
from numr.errors import DeviceLostError, LeakedValueError
from numr.ir.node import Node, new_trace, scope, toposort, without_histories
from numr.primitives.source import CONST, IOTA, SIZE_OF, param
from numr.runtime.ownership import owning

_ndarray = np.ndarray
_LEAF_TREE = tree.structure(0.0)


class TraceStatistics:
    """Counts of the trace cache, over all jitted functions."""

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0


trace_statistics = TraceStatistics()
_all_jitted: weakref.WeakSet[Jitted] = weakref.WeakSet()


def count_plans() -> int:
    """How many signatures of how many functions are kept."""
    return sum(len(function._plans) for function in list(_all_jitted))


def forget_all() -> None:
    """Drop every compiled plan of every jitted function."""
    for function in list(_all_jitted):
        function.clear_cache()


class Traced:
    """One trace of a function: its graph over placeholders, and the buffers it captured.

    `device` is where it will run: arrays it closes over must be there.

    Attributes:
        params: placeholders, one per array argument.
        captured: leaves of arrays the function closes over, passed as further inputs.
        outputs: result nodes.
        out_tree: the structure of the result.
    """

    __slots__ = ("captured", "out_tree", "outputs", "params", "weak")

    def __init__(
        self,
        name: str,
        fun: Callable[..., Any],
        rebuild: Callable[[list[Any]], Any],
        specs: Sequence[Any],
        device: str | None = None,
    ):
        with new_trace("jit", name) as trace:
            self.params = [param(shape, dtype, trace, device) for dtype, shape, _ in specs]
            start = self.params[-1].number if self.params else -1
            arrays = [
                from_node(p, weak) for p, (_, _, weak) in zip(self.params, specs, strict=True)
            ]
            args, kwargs = rebuild(arrays)
            leaves, self.out_tree = tree.flatten(fun(*args, **kwargs))
            results = [self._result(name, leaf) for leaf in leaves]
        self.outputs = [node for node, _ in results]
        self.weak = [weak for _, weak in results]
        self._compute_captured(start)
        known = set(self.params)
        self.captured = [
            n for n in toposort(self.outputs) if n.value is not None and n not in known
        ]

    @staticmethod
    def _result(name: str, leaf: Any) -> tuple[Node, bool]:
        try:
            array = to_array(leaf)
        except TypeError as error:
            raise TypeError(
                f"jit({name}) can return arrays, numbers and containers of them: {error}"
            ) from None
        return array.node, array.weak

    def _compute_captured(self, start: int) -> None:
        """Values made before the trace are inputs of it; compute those that still wait."""
        from numr.lazy import realize

        cheap = (CONST, IOTA, SIZE_OF)
        waiting = [
            n
            for n in toposort(self.outputs)
            if n.number < start
            and n.value is None
            and n.trace is None
            and n.prim not in cheap
            and n.inputs
        ]
        if waiting:
            below = {x for n in waiting for x in n.inputs}
            realize([n for n in waiting if n not in below])


class Plan:
    """A traced function compiled for one signature: arrays in, arrays out."""

    __slots__ = (
        "device",
        "fast",
        "historic",
        "out_tree",
        "run",
        "single",
        "specs",
        "traced",
        "weak",
    )

    def __init__(
        self, traced: Traced, specs: Sequence[Any], fast_math: bool | None, device: str
    ) -> None:
        from numr.codegen.program import compile_graph

        self.traced = traced
        # Whether the function closes over what derivatives go through: then it is part of their graph.
        self.historic = any(n.origin is not None for n in traced.captured)
        self.device = device
        self.fast: dict[Any, Any] = {}  # repeated calls by the form of their arguments
        self.specs = tuple(specs)
        inputs = [*traced.params, *traced.captured]
        bound = compile_graph(inputs, traced.outputs, fast_math, device)
        captured = [devices.to_device(n.value, device) for n in traced.captured]
        program = bound if not captured else (lambda *values: bound(*values, *captured))

        def first(*values: Any) -> Any:
            self.run, results = owning(program, values)
            return results

        self.run = first
        self.out_tree = traced.out_tree
        self.weak = traced.weak
        self.single = traced.out_tree == _LEAF_TREE

    def guard(self) -> Any:
        """The backend's native check that arguments are what this plan was made for."""
        from numr.codegen import target

        backend = target.get(self.device)
        return backend.guard([(dtype, shape) for dtype, shape, _ in self.specs])

    def call(self, values: Sequence[Any]) -> Any:
        results = self.run(*values)
        if self.single:
            return from_value(results[0])
        return self.out_tree.unflatten([from_value(v) for v in results])


class Jitted:
    """A compiled function; made by `jit`. Calls trace on a new signature and run otherwise."""

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: Iterable[int],
        static_argnames: Iterable[str],
        donate_argnums: Iterable[int],
        fast_math: bool | None,
        device: str | None,
    ) -> None:
        functools.update_wrapper(self, fun)
        self._fun = fun
        self._name = getattr(fun, "__name__", repr(fun))
        self._static_argnums = tuple(static_argnums)
        self._static_argnames = frozenset(static_argnames)
        self._donate = tuple(donate_argnums)
        self._options: dict[str, Any] = {"fast_math": fast_math, "device": device}
        self._takes_self = False
        self._complete_static_names()
        self._plans: dict[Any, Plan] = {}
        self._lock = threading.RLock()
        self._fast: Any = None
        _all_jitted.add(self)

    def _complete_static_names(self) -> None:
        """A static argument may be passed either way, so know it by number and by name."""
        try:
            parameters = list(inspect.signature(self._fun).parameters.values())
        except (TypeError, ValueError):
            return
        positional = [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        for name in self._static_argnames:
            if name not in names and not takes_any:
                raise ValueError(
                    f"jit({self._name}): static_argnames names {name!r}, which the function does not have"
                )
        numbers = {i % len(positional) if positional and i < 0 else i for i in self._static_argnums}
        by_name = {positional.index(n) for n in self._static_argnames if n in positional}
        self._static_argnames |= {positional[i] for i in numbers if i < len(positional)}
        self._static_argnums = tuple(sorted(numbers | by_name))
        self._takes_self = positional[:1] == ["self"] and 0 not in self._static_argnums

    # -- calling ---------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            fast = self._fast
            if fast is not None and not kwargs:
                result = fast(args)
                if result is not None:
                    return result
            return self._call(args, kwargs)
        except DeviceLostError:
            forget_all()  # plans hold the arrays their functions close over
            raise

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._takes_self and args and is_plain_object(args[0]):
            # A method called on its class, or by a property: what `__get__` would have made.
            return self.__get__(args[0])(*args[1:], **kwargs)
        leaves, key, rebuild = self._signature(args, kwargs)
        specs, values = [], []
        for leaf in leaves:
            found = leaf_spec(self._name, leaf)
            if found is None:
                # An argument under an outer trace, or one with a history: become part of that graph.
                inner_args, inner_kwargs = rebuild(leaves)
                return self._fun(*inner_args, **inner_kwargs)
            specs.append(found[0])
            values.append(found[1])
        device = self._device(leaves, values)
        settings = config.fingerprint("trace"), config.fingerprint("program")
        full_key = (key, tuple(specs), device, *settings)
        plan = self._plans.get(full_key)
        if plan is None:
            with self._lock:
                plan = self._plans.get(full_key)
                if plan is None:
                    trace_statistics.misses += 1
                    plan = self._plans[full_key] = self._compile(rebuild, specs, device)
        else:
            trace_statistics.hits += 1
        if plan.historic and not scope.paused:
            inner_args, inner_kwargs = rebuild(leaves)
            return self._fun(*inner_args, **inner_kwargs)
        if device != devices.HOST:
            values = [devices.to_device(v, device) for v in values]
        result = plan.call(values)
        if not kwargs and not self._static_argnums and not self._donate and not plan.historic:
            self._make_fast(args, plan)
        for i in self._donate:
            if i < len(args):
                donate(args[i])
        return result

    def _make_fast(self, args: tuple[Any, ...], plan: Plan) -> None:
        """Remember how to repeat this very call, if its arguments are plain arrays."""
        from numr.fastcall import fast_call

        self._fast = fast_call(args, plan)

    def _device(self, leaves: Sequence[Any], values: Sequence[Any]) -> str:
        """Where a call with these arguments runs; NumPy's arrays and numbers go where others are.

        Raises:
            DeviceError: if they are not all there.
        """
        device: str | None = self._options["device"]
        if device is not None:
            devices.require(device)
        where = None if device is None else devices.memory_of(device)
        buffers = [
            v
            for x, v in zip(leaves, values, strict=True)
            if isinstance(x, Array) or type(v) is not _ndarray
        ]
        for buffer in buffers:
            here = devices.device_of(buffer)
            if where is not None and here != where:
                given = [(b.shape, as_dtype(b.dtype), devices.device_of(b)) for b in buffers]
                raise messages.arguments_elsewhere(self._name, device, given)
            where = here
        return device or where or config.get().default_device

    def _compile(
        self, rebuild: Callable[[list[Any]], Any], specs: Sequence[Any], device: str
    ) -> Plan:
        traced = Traced(self._name, self._fun, rebuild, specs, devices.memory_of(device))
        return Plan(traced, specs, self._options["fast_math"], device)

    def _signature(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[Any], Any, Any]:
        """Array leaves, the key of everything else, and how to put arguments together again."""
        static: list[Any] = []
        if self._static_argnums or (kwargs and self._static_argnames):
            dynamic = [a for i, a in enumerate(args) if i not in self._static_argnums]
            fixed = {i: args[i] for i in self._static_argnums if i < len(args)}
            named = {k: v for k, v in kwargs.items() if k in self._static_argnames}
            rest = {k: v for k, v in kwargs.items() if k not in named}
            static = [(i, self._hashable(i, v)) for i, v in fixed.items()]
            static += [(k, self._hashable(k, v)) for k, v in sorted(named.items())]
            leaves, structure = tree.flatten((tuple(dynamic), rest))

            def rebuild(arrays: list[Any]) -> Any:
                positional, keywords = structure.unflatten(arrays)
                queue = iter(positional)
                merged = [fixed[i] if i in fixed else next(queue) for i in range(len(args))]
                return merged, {**keywords, **named}

        else:
            leaves, structure = tree.flatten((args, kwargs))
            return leaves, (structure, ()), structure.unflatten
        # A static 1 and True and 1.0 are equal but not the same program.
        return leaves, (structure, tuple((k, type(v), v) for k, v in static)), rebuild

    def _hashable(self, name: Any, value: Any) -> Any:
        try:
            hash(value)
        except TypeError:
            raise messages.unhashable_static(self._name, str(name), value) from None
        return value

    # -- looking inside --------------------------------------------------------------------------

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The graph of the function on such arguments, without compiling it."""
        leaves, _, rebuild = self._signature(args, kwargs)
        with without_histories():
            found = [leaf_spec(self._name, leaf) for leaf in leaves]
        if any(f is None for f in found):
            raise LeakedValueError(f"jit({self._name}).trace needs concrete arguments")
        specs, values = [f[0] for f in found if f], [f[1] for f in found if f]
        device = devices.memory_of(self._device(leaves, values))
        return Traced(self._name, self._fun, rebuild, specs, device)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Every stage of compiling the function for such arguments, to read.

        Returns:
            An object with `.graph`, `.rewritten`, `.regions`, `.program`, `.kernels[i].ir`,
            `.kernels[i].source`, `.kernels[i].asm` and `.cost`.
        """
        from numr.debug import Lowered

        traced = self.trace(*args, **kwargs)
        device = self._options["device"] or next((p.device for p in traced.params), None)
        return Lowered(traced, self._name, {**self._options, "device": device})

    def clear_cache(self) -> None:
        """Forget every trace of this function."""
        self._plans.clear()
        self._fast = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        from numr.methods import BoundJitted

        return BoundJitted(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        options = (self._static_argnums, tuple(self._static_argnames), self._donate)
        return (
            _rebuild,
            (self._fun, *options, self._options["fast_math"], self._options["device"]),
        )

    def __repr__(self) -> str:
        return f"<numr.jit {self._name}>"


def _rebuild(
    fun: Any, argnums: Any, argnames: Any, donate: Any, fast_math: Any, device: Any
) -> Jitted:
    return Jitted(fun, argnums, argnames, donate, fast_math, device)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (tuple, list, set, frozenset)) else (value,)


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    fast_math: bool | None = None,
    device: str | None = None,
    control_flow: bool = False,
) -> Any:
    """Compile a function of arrays.

    The function runs once in Python for each new combination of structure, shapes and dtypes of its
    arguments, to record its graph; after that only compiled code runs. A new shape of the same
    rank compiles nothing new.

    Args:
        fun: a function of arrays, numbers and containers of them (pytrees). It must not depend on the
            values of arrays in Python (`if`, `range`), but for `control_flow`; arrays it closes over are
            read when it is traced.
        static_argnums: positions of arguments that are not arrays: the function is traced anew for each
            value. They must be hashable.
        static_argnames: the same by name.
        donate_argnums: positions of arguments whose memory may be reused; they cannot be read after.
        fast_math: allow rewrites and arithmetic that ignore NaN, infinities and the sign of zero.
        device: where to run, such as "cpu" or "webgpu"; NumPy arrays and numbers are sent there. By
            default where the arrays are that it is given, or else on the default device.
        control_flow: let `if`, `while`, `for` and conditional expressions of the function decide by values
            of arrays: see `numr.control_flow`, which this applies first.

    Returns:
        A callable with the same arguments, returning computed Arrays. It also has `trace(*args)` and
        `lower(*args)`.

    Raises:
        TracedValueError: when called, if the function needs the value of an array in Python.
        StaticArgumentError: when called with an unhashable static argument.

    Examples:
        >>> import numr as nr
        >>> @nr.jit
        ... def f(x, y):
        ...     return nr.sum(x * y)
        >>> f(nr.asarray([1.0, 2.0]), 3.0).item()
        9.0
    """
    if fun is None:
        return functools.partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            fast_math=fast_math,
            device=device,
            control_flow=control_flow,
        )
    if not callable(fun):
        raise TypeError(f"jit takes a function, not {type(fun).__name__}")
    if control_flow:
        fun = python_control.control_flow(fun)
    return Jitted(
        fun,
        _as_tuple(static_argnums),
        _as_tuple(static_argnames),
        _as_tuple(donate_argnums),
        fast_math,
        device,
    )
