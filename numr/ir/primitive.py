"""Primitive: every rule of one array operation on one object; kinds supply the defaults."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from numr.dtypes import DType
from numr.errors import caller_location
from numr.ir.dims import Shape
from numr.ir.node import Node, Trace, scope

REGISTRY: dict[str, Primitive] = {}

Tangents = Sequence[Node | None]
BatchAxes = Sequence[int | None]


class Sample:
    """One test case of a primitive: concrete operands, parameters, and what may be checked on it.

    `smooth` says the operands lie where the operation is differentiable, so derivatives are compared
    with finite differences there.
    """

    __slots__ = ("name", "operands", "params", "smooth")

    def __init__(self, *operands: Any, name: str = "", smooth: bool = True, **params: Any) -> None:
        self.operands = tuple(np.asarray(x) for x in operands)
        self.params = params
        self.smooth = smooth
        self.name = name


class Primitive:
    """One operation. Subclasses (kinds) or instances fill the slots.

    Slots:
        name, doc: identity and the text of the reference page.
        infer(*operands, **params) -> (shape, dtype): the type rule; mandatory.
        reference(*arrays, **params): the NumPy meaning; the oracle.
        jvp(out, operands, tangents, **params) -> Node | None: the tangent; None tangents are zero.
        transpose(ct, node, wanted) -> cotangents of the operands, for wanted ones, when the output
            is linear in exactly those; None where zero.
        batch(size, operands, axes, **params) -> (node, axis): vmap.
        lowering: how it becomes a kernel or a library call, see `lower`.
        flops(node) -> int: what a library call takes, for `lower(..).cost`.
        samples(rng) -> Sample iterator.
        no_jvp, no_transpose: the reason, where a slot is deliberately empty.
    """

    name: str = ""
    doc: str = ""
    lowering: str = ""
    no_jvp: str = ""
    no_transpose: str = ""
    # Whether a node is one of several results, `index` says which, that are computed together.
    has_siblings: ClassVar[bool] = False
    # Kinds whose whole purpose is to stand for a value (parameters, constants) register too.
    abstract: ClassVar[bool] = False

    def __init__(self, name: str, doc: str = "") -> None:
        self.name = name
        self.doc = doc or (type(self).__doc__ or "")
        if name in REGISTRY:
            raise ValueError(f"a primitive named {name!r} is already registered")
        REGISTRY[name] = self

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return (REGISTRY.__getitem__, (self.name,))

    # -- construction ----------------------------------------------------------------------------

    def __call__(self, *operands: Node, **params: Any) -> Node:
        """The (interned) node of this primitive applied to operands."""
        arena = scope.arena
        key = (self, operands, *params.values())
        node = arena.get(key)
        if node is None:
            shape, dtype = self.infer(*operands, **params)
            trace, device = deepest_trace(operands), common_device(operands)
            node = Node(self, operands, params, shape, dtype, trace, device=device)
            if node.location is None:
                node.location = caller_location()
            arena[key] = node
        return node

    def infer(self, *operands: Node, **params: Any) -> tuple[Shape, DType]:
        raise NotImplementedError(f"primitive {self.name} lacks its type rule `infer`")

    def reference(self, *arrays: Any, **params: Any) -> Any:
        raise NotImplementedError(f"primitive {self.name} lacks its meaning `reference`")

    # -- transformations -------------------------------------------------------------------------

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Tangents, **params: Any
    ) -> Node | None:
        raise missing(self, "jvp", self.no_jvp)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> Sequence[Node | None]:
        raise missing(self, "transpose", self.no_transpose)

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: BatchAxes, /, **params: Any
    ) -> tuple[Node, int]:
        raise missing(self, "batch", "")

    def flops(self, node: Node) -> int:
        """Arithmetic operations of a library call: one an element, unless the primitive says otherwise."""
        return math.prod(map(int, node.shape))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        return iter(())

    def has(self, slot: str) -> bool:
        """Whether a slot is filled (by this object or its kind)."""
        return getattr(type(self), slot) is not getattr(Primitive, slot)


def siblings_key(node: Node) -> Any:
    """What a node has in common with the other results of its operation."""
    rest = tuple(v for k, v in node.params.items() if k != "index")
    return node.prim, node.inputs, rest


def missing(prim: Primitive, slot: str, reason: str) -> Exception:
    """The error for an empty slot, naming the method to add or the reason it is empty."""
    from numr import messages
    from numr.errors import UnsupportedError

    if reason:
        return messages.not_differentiable(prim.name, reason)
    return UnsupportedError(
        f"primitive {prim.name} lacks its rule `{slot}`; add the method {type(prim).__name__}.{slot}"
    )


def common_device(operands: Sequence[Node]) -> str | None:
    """The device of the operands; None if none of them is on any.

    Raises:
        DeviceError: if they are on several.
    """
    found: str | None = None
    for operand in operands:
        device = operand.device
        if device is not None and device != found:
            if found is not None:
                from numr import messages

                given = [(x.shape, x.dtype, x.device) for x in operands if x.device]
                raise messages.mixed_devices(given, scope.location or caller_location())
            found = device
    return found


def deepest_trace(operands: Sequence[Node]) -> Trace | None:
    """The innermost trace among operands; it decides what the result depends on."""
    found: Trace | None = None
    for operand in operands:
        trace = operand.trace
        if (
            trace is not None
            and trace is not found
            and (found is None or trace.depth > found.depth)
        ):
            found = trace
    return found
