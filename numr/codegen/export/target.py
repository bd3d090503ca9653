"""What an export target is: the protocol, and the registry of names."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numr import messages
from numr.codegen.export.record import Recording
from numr.codegen.target import Capabilities


class Target(Protocol):
    """A kind of files that recordings are printed to.

    Attributes:
        name: what users pass as `target`.
        capabilities: what the devices it is for can do.
        rounds: how many rounds of a loop kernel one launch may run.

    A target may have `library`, the keys of calls that a library makes for it, such as "matmul:f64".
    """

    name: str
    rounds: int

    @property
    def capabilities(self) -> Capabilities:
        """What the devices can do."""
        ...

    def options(self, **options: Any) -> Target:
        """The target with the options of its own that the user gave.

        Raises:
            ExportError: for one that it does not have, or a value that it does not take.
        """
        ...

    def files(self, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Files:
        """The files of a bundle of that name, by their paths in it, and what their manifest is to say.

        Raises:
            ExportError: if they cannot be made.
        """
        ...

    def load(self, folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """The functions of a bundle whose checksums are right, by name: callables of buffers.

        Raises:
            ExportError: if it cannot run here.
        """
        ...


class Files:
    """Files by their paths in a bundle, and further entries of its manifest."""

    def __init__(self, contents: Mapping[str, str | bytes], manifest: Mapping[str, Any]) -> None:
        self.contents = {
            name: text.encode() if isinstance(text, str) else text
            for name, text in contents.items()
        }
        self.manifest = dict(manifest)


# Name -> module with a `TARGET`; a new target is one folder and one line here.
_MODULES = {
    "c": "numr.codegen.export.targets.c.target",
    "native": "numr.codegen.export.targets.native.target",
    "ptx": "numr.codegen.export.targets.ptx.target",
    "wgsl": "numr.codegen.export.targets.wgsl.target",
    "web": "numr.codegen.export.targets.web.target",
}


def names() -> list[str]:
    """The names of all targets."""
    return list(_MODULES)


def get(name: str) -> Target:
    """The target of a name.

    Raises:
        ExportError: for a name nobody registered.
    """
    module = _MODULES.get(name)
    if module is None:
        raise messages.no_target(name, names())
    found: Target = importlib.import_module(module).TARGET
    return found
