"""The steps of a manifest's program, gone through one by one: what loaders that launch kernels share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numr.codegen.export.manifest import value


class Launcher(Protocol):
    """A device that runs the kernels of a bundle."""

    def launch(
        self, kernel: str, buffers: Sequence[Any], sizes: tuple[int, ...], points: int
    ) -> None:
        """Run a kernel over [0, points), points > 0."""
        ...

    def clear(self, flag: Any) -> None:
        """Make a buffer's int32 zero."""
        ...

    def number(self, buffer: Any, dtype: str) -> int:
        """The number in a buffer, after all that was launched."""
        ...


def run(
    steps: Sequence[Mapping[str, Any]],
    sizes: Mapping[str, int],
    memory: Mapping[str, Sequence[Any]],
    device: Launcher,
) -> None:
    """Run steps.

    Args:
        steps: as `manifest.program` has them.
        sizes: the values of size symbols.
        memory: the buffers of each kind, by number.
        device: what launches.
    """

    def buffers(step: Mapping[str, Any]) -> list[Any]:
        return [memory[kind][number] for kind, number in step["buffers"]]

    def launch(step: Mapping[str, Any], kernel: str, given: str) -> None:
        points = value(step["points"], sizes)
        if points > 0:
            found = tuple(value(n, sizes) for n in step[given])
            device.launch(step[kernel], buffers(step), found, points)

    for step in steps:
        if "kernel" in step:
            launch(step, "kernel", "sizes")
        elif "repeat" in step:
            flag = buffers(step)[-1]
            given = "first"
            while True:
                device.clear(flag)
                launch(step, "repeat", given)
                if not device.number(flag, "int32"):
                    break
                given = "again"
        elif "loop" in step:
            for k in range(1, value(step["count"], sizes) + 1):
                run(step["steps"], {**sizes, step["loop"]: k}, memory, device)
        elif "while" in step:
            kind, number = step["while"]
            while True:
                run(step["test"], sizes, memory, device)
                if not device.number(memory[kind][number], "bool"):
                    break
                run(step["steps"], sizes, memory, device)
        else:
            kind, number = step["switch"]
            chosen = device.number(memory[kind][number], step["dtype"])
            run(step["cases"][chosen], sizes, memory, device)
