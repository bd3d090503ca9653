"""A kernel's text is its identity: it differs wherever the kernel does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Barrier,
    Break,
    Buffer,
    Combine,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Literal,
    Shared,
    Store,
    Var,
)
from numr.dtypes import DType, bool_, float32, float64, int32, int64

I, X, Y, FLAG = Var("i", int64), Var("x", float64), Var("y", float64), Var("flag", bool_)
KERNEL = Kernel(
    (Buffer("a0", float64, False), Buffer("a1", float64, True)),
    ("s0",),
    [
        For(
            I,
            Var("lo", int64),
            Var("hi", int64),
            [
                Let(X, "load", (I,), "a0"),
                Let(Y, "guarded_load", (FLAG, I), "a0"),
                Let(Y, "add", (X, Literal(1.5, float64))),
                Declare(X, Y),
                Accumulate(X, "add", Y, True),
                Assign(X, Y),
                Combine(X, "add"),
                Barrier(),
                If(FLAG, [Break()]),
                Store("a1", I, X, "set"),
                For(Var("j", int64), Literal(0, int64), Var("s0", int64), [Barrier()], False),
            ],
        )
    ],
    4,
    (Shared("m", float64, 8),),
)
OTHERS: dict[type, Any] = {str: "other", bool: None, int: 77, float: 2.5}


def changed(value: Any) -> Iterator[Any]:
    """The value with one thing in it changed, in every way."""
    if isinstance(value, DType):
        yield next(d for d in (float32, int32) if d is not value)
    elif isinstance(value, Var):
        yield Var("other", value.dtype)  # its dtype is that of its definition
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, (Let, Declare)):
            yield dataclasses.replace(value, var=Var(value.var.name, int32))
        for field in dataclasses.fields(value):
            for new in changed(getattr(value, field.name)):
                if not (isinstance(value, Let) and field.name == "buffer" and not value.buffer):
                    yield dataclasses.replace(value, **{field.name: new})
    elif isinstance(value, (tuple, list)):
        for k, item in enumerate(value):
            for new in changed(item):
                yield type(value)([*value[:k], new, *value[k + 1 :]])
            yield type(value)([*value[:k], *value[k + 1 :]])
    elif isinstance(value, bool):
        yield not value
    else:
        yield OTHERS[type(value)]


def test_another_kernel_has_another_text() -> None:
    others = list(changed(KERNEL))
    assert len(others) > 70
    for kernel in others:
        if kernel.text() == KERNEL.text():
            pytest.fail(f"the same text as {kernel}")
