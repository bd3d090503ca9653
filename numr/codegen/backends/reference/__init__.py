"""The reference backend: whole graphs through the NumPy interpreter. Slow, simple, the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numr.codegen.target import Capabilities, Interpreter
from numr.ir.interpret import interpret
from numr.ir.node import Node


class Reference:
    """Runs graphs, not kernels: `interprets` tells the compiler to hand them over whole."""

    name = "reference"
    capabilities = Capabilities()
    interprets = True

    def bind(
        self, inputs: Sequence[Node], outputs: Sequence[Node]
    ) -> Callable[..., tuple[Any, ...]]:
        def run(*values: Any) -> tuple[Any, ...]:
            found = interpret(outputs, dict(zip(inputs, values, strict=True)))
            # Results must not share memory with arguments or each other: arrays are values.
            return tuple(np.array(v) for v in found)

        return run

    def guard(self, specs: Any) -> None:
        return None


BACKEND: Interpreter = Reference()
