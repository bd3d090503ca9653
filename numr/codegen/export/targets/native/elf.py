"""What an ELF object file asks of others: the names in its symbol table that it does not define."""

from __future__ import annotations

import struct

_SYMBOLS = 2  # the type of the section of symbols


def undefined(data: bytes) -> list[str] | None:
    """The undefined symbols of a 64-bit little-endian file in order; None for a file of another form."""
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    (sections_at,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    # type, offset, length, and for symbols the number of the section that has their names
    sections = [
        struct.unpack_from("<4xI16xQQI", data, sections_at + k * size) for k in range(count)
    ]
    found = []
    for kind, start, length, names in sections:
        if kind != _SYMBOLS:
            continue
        texts = sections[names][1]
        for at in range(start + 24, start + length, 24):
            name, _, _, section = struct.unpack_from("<IBBH", data, at)
            if section == 0 and name:
                begin = texts + name
                found.append(data[begin : data.index(b"\0", begin)].decode())
    return sorted(found)
