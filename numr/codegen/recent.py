"""A dict of bounded weight that forgets what was used least recently."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that holds at most `limit` of weight, one per entry unless given.

    Reading makes an entry the newest. Safe to read and write from several threads.

    Examples:
        >>> from numr.codegen.recent import Recent
        >>> cache = Recent(2)
        >>> cache["a"], cache["b"] = 1, 2
        >>> cache.get("a")
        1
        >>> cache["c"] = 3
        >>> cache.get("b") is None, len(cache)
        (True, 2)
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: dict[K, tuple[V, int]] = {}
        self._weight = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value of a key, or None."""
        with self._lock:
            found = self._entries.pop(key, None)
            if found is None:
                return None
            self._entries[key] = found
            return found[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Keep a value; the oldest entries go until the weight fits. The newest always stays."""
        with self._lock:
            old = self._entries.pop(key, None)
            self._weight += weight - (0 if old is None else old[1])
            self._entries[key] = (value, weight)
            while self._weight > self.limit and len(self._entries) > 1:
                _, gone = self._entries.pop(next(iter(self._entries)))
                self._weight -= gone

    __setitem__ = put

    def values(self) -> Iterator[V]:
        """The values, oldest first."""
        with self._lock:
            return iter([value for value, _ in self._entries.values()])

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries
