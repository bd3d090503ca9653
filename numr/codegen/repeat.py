"""A kernel whose loop ends by a condition: launched for stretches of rounds until no point goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numr.codegen.lowered import Stage
from numr.codegen.target import Backend
from numr.devices import to_host
from numr.dtypes import int32

# A launch after another that did not end it is for so many times the rounds, up to so many.
FEWEST_ROUNDS = 64
GROWTH = 4
MOST_ROUNDS = 1 << 30


def repeat(
    stage: Stage, n_buffers: int, built: Any, sizes: Sequence[int], backend: Backend
) -> Callable[..., None]:
    """A function of a loop kernel's buffers, but for the flag, that runs all its rounds.

    Between launches Python has its turn, and with it the keyboard.
    """
    points, most = stage.points(sizes), stage.piece or MOST_ROUNDS
    first = min(max(stage.stretch(sizes), FEWEST_ROUNDS), most)
    clear = backend.filled((1,), int32, 0)
    launchers: dict[tuple[int, int], Callable[..., object]] = {}

    def launch(begin: int, rounds: int, buffers: tuple[Any, ...]) -> bool:
        """Whether some point goes on after so many rounds."""
        run = launchers.get((begin, rounds))
        if run is None:
            values = stage.launch(sizes, begin, begin + rounds)
            run = backend.launcher(built, n_buffers + 1, values, points, stage.work(sizes))
            launchers[begin, rounds] = run
        flag = clear()
        run(*buffers, flag)
        return bool(to_host(flag)[0])

    def call(*buffers: Any) -> None:
        rounds = first
        going = points > 0 and launch(0, rounds, buffers)
        while going:
            rounds = min(GROWTH * rounds, most)
            going = launch(1, rounds, buffers)

    return call
