"""The disk store: content-addressed, shared by processes, never trusted and never in the way.

An entry is one file, ``<root>/<format>/<backend>/<ab>/<hash>``, where the hash is that of the key's
text. It holds the key's text, the payload and a checksum; what is read back is compared with the
key and the checksum, so that a collision, a corrupt, truncated or foreign file is a miss. Files
appear by an atomic rename, so that processes may fill one store at once. ``NUMR_CACHE_DIR`` names
the root; ``NUMR_CACHE=off`` neither reads nor writes, ``read`` only reads.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import struct
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from numr import config
from numr.errors import CacheWarning

FORMAT = "1"
DEFAULT_LIMIT = 512 * 2**20  # bytes, see NUMR_CACHE_LIMIT
_MAGIC = b"numr\x01"
_HEAD = struct.Struct("<5sQQ32s")  # magic, length of key, length of payload, sha256 of both
# Writes of a process after which it looks at the size, which takes as long as there are files: after so
# many, after twice as many and so on, and then after each of the larger number (some 20 MB of kernels).
_FIRST_LOOK, _LOOK_EVERY = 64, 4096
_FRESH = 3600.0  # seconds within which the time of use is not renewed


@dataclass(slots=True)
class Counters:
    """What this process asked of the store."""

    hits: int = 0
    misses: int = 0
    writes: int = 0
    rejected: int = 0  # files that were there and could not be used


counters = Counters()
_lock = threading.Lock()
_warned = False


def root() -> Path:
    """The folder of the store; it may not exist yet."""
    inside = config.overridden()
    named = inside.cache_dir if inside else os.environ.get("NUMR_CACHE_DIR")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(base) / "numr" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "numr"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numr"


def mode() -> str:
    """``on``, ``read`` or ``off``."""
    inside = config.overridden()
    named = inside.cache if inside else os.environ.get("NUMR_CACHE", "on").lower()
    return named if named in ("read", "off") else "on"


def _path(backend: str, key_text: str) -> str:
    digest = hashlib.sha256(key_text.encode()).hexdigest()
    return os.path.join(root(), FORMAT, backend, digest[:2], digest)


def _decode(raw: bytes, key: bytes) -> bytes | None:
    if len(raw) < _HEAD.size:
        return None
    magic, key_length, payload_length, checksum = _HEAD.unpack_from(raw)
    body = raw[_HEAD.size :]
    if magic != _MAGIC or len(body) != key_length + payload_length:
        return None
    if body[:key_length] != key or hashlib.sha256(body).digest() != checksum:
        return None
    return body[key_length:]


@functools.cache
def digest(*files: str) -> str:
    """The text of all Python files in the folders of these: whoever changes what makes kernels must not
    be served what the old text made."""
    made = hashlib.sha256()
    for folder in sorted({os.path.dirname(f) for f in files}):
        for name in sorted(n for n in os.listdir(folder) if n.endswith(".py")):
            with open(os.path.join(folder, name), "rb") as file:
                made.update(file.read())
    return made.hexdigest()[:16]


def get(backend: str, key_text: str) -> bytes | None:
    """The payload kept under a key, or None."""
    if mode() == "off":
        return None
    payload = None
    try:
        path = _path(backend, key_text)
        with open(path, "rb") as file:
            raw = file.read()
            modified = os.fstat(file.fileno()).st_mtime
        payload = _decode(raw, key_text.encode())
        if payload is None:
            counters.rejected += 1
        elif time.time() - modified > _FRESH:
            _touch(path)
    except (OSError, RuntimeError, ValueError):
        payload = None
    if payload is None:
        counters.misses += 1
    else:
        counters.hits += 1
    return payload


def _touch(path: str) -> None:
    """Mark as used (many file systems do not keep access times of their own)."""
    if mode() == "on":
        with contextlib.suppress(OSError):
            os.utime(path)


def put(backend: str, key_text: str, payload: bytes) -> None:
    """Keep a payload under a key; failing to is not an error, only said once."""
    if mode() != "on":
        return
    key = key_text.encode()
    body = key + payload
    head = _HEAD.pack(_MAGIC, len(key), len(payload), hashlib.sha256(body).digest())
    try:
        path = _path(backend, key_text)
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(head + body)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except (OSError, RuntimeError) as error:
        _warn_once(error)
        return
    counters.writes += 1
    done = counters.writes
    if done % _LOOK_EVERY == 0 or (done >= _FIRST_LOOK and done & (done - 1) == 0):
        trim()


def _warn_once(error: Exception) -> None:
    global _warned
    with _lock:
        if _warned:
            return
        _warned = True
    warnings.warn(
        f"numr cannot write its cache folder ({error}); it works without one, compiling in every "
        "process. Set NUMR_CACHE_DIR to a writable folder, or NUMR_CACHE=off to silence this.",
        CacheWarning,
        stacklevel=3,
    )


def _files() -> Iterator[tuple[float, int, str]]:
    """(last use, size, path) of each file of this format."""
    for folder, _, names in os.walk(os.path.join(root(), FORMAT)):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                state = os.stat(path)
                yield max(state.st_mtime, state.st_atime), state.st_size, path


def size() -> int:
    """Bytes on disk."""
    return sum(length for _, length, _ in _files())


def trim(limit: int | None = None) -> int:
    """Delete least recently used files until the store fits; the number deleted."""
    if limit is None:
        limit = int(os.environ.get("NUMR_CACHE_LIMIT", DEFAULT_LIMIT))
    files = sorted(_files())
    total = sum(length for _, length, _ in files)
    deleted = 0
    for _, length, path in files:
        if total <= limit:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            total -= length
            deleted += 1
    return deleted


def clear() -> int:
    """Delete every file of the store; the number deleted."""
    deleted = 0
    for _, _, path in list(_files()):
        with contextlib.suppress(OSError):
            os.unlink(path)
            deleted += 1
    return deleted
