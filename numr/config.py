"""The settings: one frozen object whose fields say what they change, and how users set them.

A cache key has to contain every setting that changes what is cached. Each field therefore carries
its tags, and `fingerprint` builds the key from them; no second list exists that could be forgotten.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from numr.errors import ConfigError

Tag = Literal["trace", "program", "kernel", "runtime"]
TAGS: tuple[Tag, ...] = ("trace", "program", "kernel", "runtime")
STAGES: tuple[str, ...] = ("graph", "rewrite", "fuse", "kernel", "source", "launch", "cache")


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        words = {"1": True, "true": True, "on": True, "yes": True}
        words |= {"0": False, "false": False, "off": False, "no": False, "": False}
        value = words.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise ValueError("0 or 1")
    return value


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = str(value).strip().lower()
        if text not in allowed:
            raise ValueError(" or ".join(allowed))
        return text

    return read


def _at_least(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise ValueError(f"a whole number, {least} or more")
        return number

    return read


def _stages(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        value = [word.strip().lower() for word in value.replace("|", ",").split(",")]
    try:
        names = frozenset(name for name in value if name)
    except TypeError:
        names = frozenset("?")
    if "all" in names:
        return frozenset(STAGES)
    if not names <= frozenset(STAGES):
        raise ValueError(f"any of {', '.join(STAGES)}, separated by commas, or all")
    return names


def _folder(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError("the path of a folder")
    return os.path.abspath(os.path.expanduser(os.fspath(value)))


def _default_folder() -> str:
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
        return os.path.join(local, "numr", "cache")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "numr")
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "numr")


def _default_threads() -> int:
    if hasattr(os, "sched_getaffinity"):  # the cores this process may use, in a container too
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _setting(
    read: Callable[[Any], Any], *tags: Tag, default: Any = None, factory: Any = None
) -> Any:
    metadata = {"read": read, "tags": tags}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """Every setting. Read it with `get`, change it with `update` or `override`.

    Each is also read from an environment variable when numr is imported: `NUMR_` and the name in
    capitals, such as `NUMR_NUM_THREADS=1`.

    Attributes:
        default_float: the dtype of Python floats and of functions that create floats, "float64" or
            "float32".
        default_device: where arrays are and computations run for which nothing else decides.
        fast_math: allow changes that ignore NaN, infinities and the sign of zero.
        deterministic: add floating-point numbers in one order, so that equal calls give equal bits.
            Without it a device that can adds the updates of a scatter as they come.
        node_limit: operations a lazy array may gather before it is computed without being read.
        cache: the disk cache: "on", "off", or "read" (nothing is written).
        cache_dir: its folder.
        cache_limit: bytes it may hold; what was not used for longest is removed.
        num_threads: threads a CPU kernel may use.
        debug: stages that are printed to stderr as they happen: graph, rewrite, fuse, kernel, source,
            launch, cache.
        check: compute every step with NumPy too, and raise CheckError where the results differ.

    Raises:
        ConfigError: for a value a setting cannot have.

    Examples:
        >>> from numr import config
        >>> config.Config(default_float="float32").default_float
        'float32'
    """

    default_float: str = _setting(_one_of("float64", "float32"), "trace", default="float64")
    default_device: str = _setting(str, "runtime", default="cpu")
    fast_math: bool = _setting(_boolean, "program", "kernel", default=False)
    deterministic: bool = _setting(_boolean, "program", default=True)
    node_limit: int = _setting(_at_least(1), "runtime", default=5000)
    cache: str = _setting(_one_of("on", "off", "read"), "runtime", default="on")
    cache_dir: str = _setting(_folder, "runtime", factory=_default_folder)
    cache_limit: int = _setting(_at_least(0), "runtime", default=512 * 2**20)
    # A program is bound to its number of threads, so that a launch has nothing to ask.
    num_threads: int = _setting(_at_least(1), "program", factory=_default_threads)
    # What prints or checks itself is another program: those that do neither have nothing to ask.
    debug: frozenset[str] = _setting(_stages, "program", default=frozenset())
    check: bool = _setting(_boolean, "program", default=False)

    def __post_init__(self) -> None:
        for name, field in FIELDS.items():
            object.__setattr__(self, name, _read(field, getattr(self, name), name))
        prints = {
            tag: ";".join(
                f"{name}={getattr(self, name)}"
                for name, field in FIELDS.items()
                if tag in field.metadata["tags"]
            )
            for tag in ("trace", "program", "kernel")
        }
        object.__setattr__(self, "_fingerprints", prints)

    def fingerprint(self, tag: Tag) -> str:
        """The settings of one tag as text, to be part of a cache key: see `fingerprint`."""
        try:
            found: str = self._fingerprints[tag]  # type: ignore[attr-defined]
        except KeyError:
            raise ValueError(f"no cache depends on settings tagged {tag!r}") from None
        return found


FIELDS: dict[str, dataclasses.Field[Any]] = {f.name: f for f in dataclasses.fields(Config)}


def _read(field: dataclasses.Field[Any], value: Any, name: str) -> Any:
    try:
        return field.metadata["read"](value)
    except ValueError as error:
        raise ConfigError(f"{name} is {value!r}; it must be {error}") from None


def from_environment(environ: Mapping[str, str]) -> Config:
    """The settings that environment variables ask for.

    Args:
        environ: the variables, such as `os.environ`. Empty ones count as not set.

    Returns:
        The configuration.

    Raises:
        ConfigError: naming the variable whose value is wrong.

    Examples:
        >>> from numr import config
        >>> config.from_environment({"NUMR_NUM_THREADS": "3"}).num_threads
        3
        >>> config.from_environment({"NUMR_CACHE": "maybe"})
        Traceback (most recent call last):
            ...
        numr.errors.ConfigError: NUMR_CACHE is 'maybe'; it must be on or off or read
    """
    values = {}
    for name, field in FIELDS.items():
        variable = f"NUMR_{name.upper()}"
        text = environ.get(variable)
        if text:
            values[name] = _read(field, text, variable)
    return Config(**values)


class _Local(threading.local):
    """The override in force in this thread, if there is one."""

    config: Config | None = None


_local = _Local()
_shared = from_environment(os.environ)
_lock = threading.Lock()


def get() -> Config:
    """The settings in force in this thread.

    Examples:
        >>> from numr import config
        >>> config.get().node_limit >= 1
        True
    """
    found = _local.config
    return _shared if found is None else found


def overridden() -> Config | None:
    """The settings of this thread's innermost `override`, or None outside of one.

    Examples:
        >>> from numr import config
        >>> config.overridden() is None
        True
    """
    return _local.config


def _replaced(config: Config, changes: dict[str, Any]) -> Config:
    for name in changes:
        if name not in FIELDS:
            raise ConfigError(f"there is no setting {name!r}; there are {', '.join(FIELDS)}")
    return dataclasses.replace(config, **changes)


def update(**changes: Any) -> None:
    """Change settings for the whole process.

    Inside `override`, the override of this thread changes with them.

    Args:
        **changes: settings by name.

    Raises:
        ConfigError: for a setting that does not exist or a value it cannot have; nothing changes.

    Examples:
        >>> from numr import config
        >>> before = config.get().node_limit
        >>> config.update(node_limit=100)
        >>> config.get().node_limit
        100
        >>> config.update(node_limit=before)
    """
    global _shared
    with _lock:
        shared = _replaced(_shared, changes)
        if _local.config is not None:
            _local.config = _replaced(_local.config, changes)
        _shared = shared
    # The disk store, and processes started from here, read these where they are needed.
    for name in ("cache", "cache_dir", "cache_limit"):
        if name in changes:
            os.environ[f"NUMR_{name.upper()}"] = str(getattr(_shared, name))


@contextmanager
def override(**changes: Any) -> Iterator[Config]:
    """Change settings for a block of code, in this thread only.

    Args:
        **changes: settings by name.

    Returns:
        A context manager, which gives the settings in force inside.

    Raises:
        ConfigError: for a setting that does not exist or a value it cannot have.

    Examples:
        >>> from numr import config
        >>> with config.override(num_threads=1) as inside:
        ...     inside.num_threads, config.get().num_threads
        (1, 1)
    """
    outer = _local.config
    inside = _replaced(get(), changes)
    _local.config = inside
    try:
        yield inside
    finally:
        _local.config = outer


def fingerprint(tag: Tag) -> str:
    """The settings in force that change what a cache of one level holds, as text.

    Args:
        tag: "trace", "program" or "kernel". No cache depends on "runtime" settings.

    Returns:
        Text that differs when such a setting does.

    Raises:
        ValueError: for another tag.

    Examples:
        >>> from numr import config
        >>> with config.override(fast_math=True):
        ...     config.fingerprint("kernel")
        'fast_math=True'
    """
    return get().fingerprint(tag)
