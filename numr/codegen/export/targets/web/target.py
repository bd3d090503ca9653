"""The target "web": what "wgsl" writes, and a page on which its functions are run."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numr.codegen.export.manifest import function
from numr.codegen.export.record import Recording
from numr.codegen.export.target import Files
from numr.codegen.export.targets.wgsl import module
from numr.codegen.export.targets.wgsl.target import Wgsl

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Web(Wgsl):
    """See `numr.export`."""

    name: str = "web"

    def files(self, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Files:
        """The files of target "wgsl", and index.html."""
        # Without super(): a dataclass with slots is another class than the one written down.
        made = Wgsl.files(self, bundle, recordings, fast_math)
        page = (_HERE / "page.html").read_text()
        page = page.replace("{{bundle}}", html.escape(bundle))
        page = page.replace("{{functions}}", _script(_described(recordings)))
        made.contents["index.html"] = page.encode()
        return made


def _described(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """What the page says of each function."""
    found = []
    for recording in recordings:
        described = function(recording)
        for kind, given in (("inputs", recording.inputs), ("outputs", recording.outputs)):
            for one, a in zip(described[kind], given, strict=True):
                one["text"] = module.array_text(a)
        found.append(described)
    return found


def _script(value: Any) -> str:
    """A value as JSON that may be in a script of a page."""
    return json.dumps(value).replace("<", "\\u003c")


TARGET = Web()
