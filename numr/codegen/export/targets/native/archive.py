"""Static libraries: one object file in an archive of the System V form, with its index of symbols."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MAGIC = b"!<arch>\n"


def archive(name: str, data: bytes, symbols: Sequence[str]) -> bytes:
    """The archive of one object file, as `ar` would make it with no times and owners.

    Args:
        name: the object file's name.
        data: what is in it.
        symbols: what it defines for others, for linkers to find.
    """
    names = b"".join(s.encode() + b"\0" for s in symbols)
    index_size = 4 + 4 * len(symbols) + len(names)
    long = f"{name}/\n".encode() if len(name) > 15 else b""
    before = len(_MAGIC) + 60 + _even(index_size) + (60 + _even(len(long)) if long else 0)
    index = struct.pack(f">{1 + len(symbols)}I", len(symbols), *[before] * len(symbols)) + names
    parts = [_MAGIC, _member("/", index)]
    if long:
        parts.append(_member("//", long))
    parts.append(_member("/0" if long else f"{name}/", data))
    return b"".join(parts)


def _even(size: int) -> int:
    return size + size % 2


def _member(name: str, data: bytes) -> bytes:
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)
