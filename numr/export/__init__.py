"""numr.export and numr.load: functions as files that run without numr, and such files as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numr.export.specs import Spec, spec

if TYPE_CHECKING:
    from numr.export.loaded import Loaded

__all__ = ["Bundle", "Spec", "export", "load", "spec"]


@dataclass(frozen=True)
class Bundle:
    """What `export` wrote.

    Attributes:
        path: the folder.
        target: what it is for.
        functions: the names of its functions.
        files: its files, relative to the folder.
        steps: what each function does, to read: its arrays, conditions on sizes, and steps.
    """

    path: Path
    target: str
    functions: tuple[str, ...]
    files: tuple[str, ...]
    steps: Mapping[str, str]


def export(
    fun: Callable[..., Any] | Mapping[str, Any],
    specs: Any = None,
    *,
    target: str = "c",
    path: str | Path,
    typical: Mapping[str, int] | None = None,
    fast_math: bool = False,
    **options: Any,
) -> Bundle:
    """Write a function, or several, as files that run without numr and without Python.

    Args:
        fun: any function that `jit` takes: gradients, Hessians, vmapped ones alike. Or a mapping from names to
            functions, or to pairs of a function and its specs, for a bundle of several.
        specs: a `spec` for each array argument, in the places of the arguments: one spec, or a tuple with one
            entry an argument, which may be a nesting of specs. Other values are fixed. Arrays that the function
            closes over become part of the bundle.
        target: what to write. "c": C source and header. "native": object file, static and shared library for
            this machine or another processor. "ptx": for CUDA's driver. "wgsl": for WebGPU, with a module for
            JavaScript. "web": the same with a page.
        path: the folder to write; a bundle that is there is replaced.
        typical: a typical value of each named size, for which loops are arranged; any other works, too.
        fast_math: whether generated code may ignore NaN, infinities and the sign of zero.
        **options: of the target: see docs/guide/export.md.

    Returns:
        What was written.

    Raises:
        SymbolicSizeError: if the function's Python code decides by a size that has a name.
        ExportError: for anything else that cannot be exported as asked. Nothing is written then.

    Examples:
        >>> import numr as nr, tempfile
        >>> def energy(x, k):
        ...     return nr.sum(0.5 * k * nr.diff(x) ** 2)
        >>> specs = nr.spec("n", unit="m"), nr.spec("n - 1", unit="N/m")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     bundle = nr.export(
        ...         {"energy": energy, "force": nr.grad(energy)}, specs, path=f"{folder}/spring"
        ...     )
        ...     bundle.functions, bundle.files
        (('energy', 'force'), ('spring.c', 'spring.h'))
    """
    from numr.export.write import write

    return write(fun, specs, target, Path(path), typical or {}, fast_math, options)


def load(path: str | Path) -> Loaded:
    """The functions of a bundle, ready to call: nothing is traced, and nothing unpickled.

    Args:
        path: the folder that `export` wrote.

    Returns:
        An object with the functions as attributes; if there is one only, it can be called itself. Each takes and
        returns arrays nested as the exported function's.

    Raises:
        ExportError: if the bundle is damaged, of another version, or for another machine.

    Examples:
        >>> import numr as nr, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = nr.export(nr.sin, nr.spec("n"), target="native", path=f"{folder}/sine")
        ...     sine = nr.load(f"{folder}/sine")
        ...     sine([0.0, nr.pi / 2])
        array([0., 1.])
    """
    from numr.export.loaded import loaded

    return loaded(Path(path))
