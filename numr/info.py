"""What numr finds on this machine: `python -m numr.info`."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

PACKAGES = ("numpy", "scipy", "llvmlite", "numba", "numba-cuda", "cupy", "wgpu", "ml_dtypes")


def collect() -> dict[str, dict[str, str]]:
    """Devices with their features and limits, versions, and the cache on disk.

    Returns:
        Sections of names and values. A device that cannot be used says why under "not usable".

    Examples:
        >>> from numr import info
        >>> facts = info.collect()
        >>> list(facts)[0], "processor" in facts["device cpu"]
        ('numr', True)
    """
    import numr
    from numr import config
    from numr.codegen import store, target

    sections = {
        "numr": {
            "version": numr.__version__,
            "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
            "default device": config.get().default_device,
        }
    }
    for name in target.names():
        backend: Any = target.get(name)
        if getattr(backend, "interprets", False):
            continue
        sections[f"device {name}"] = _device(backend)
    sections["versions"] = {name: _version(name) for name in PACKAGES}
    sections["cache on disk"] = {
        "folder": str(store.root()),
        "mode": store.mode(),
        "size": f"{store.size() / 2**20:.1f} MiB",
    }
    return sections


def _device(backend: Any) -> dict[str, str]:
    try:
        facts = dict(backend.describe())
        dtypes = backend.capabilities.dtypes
    except Exception as error:  # whatever is wrong with it, the others are to be shown
        lines = str(getattr(error, "args", [error])[0]).splitlines()
        return {"not usable": lines[0] if lines else type(error).__name__}
    return facts | {"dtypes": ", ".join(sorted(d.name for d in dtypes))}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def text() -> str:
    """`collect()` as lines to read."""
    lines = []
    for section, facts in collect().items():
        width = max(map(len, facts))
        lines += [section, *(f"  {name:{width}}  {value}" for name, value in facts.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    print(text())
