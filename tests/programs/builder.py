"""Writing a random program line by line: choosing operands that fit, and keeping books on results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.programs.values import FLOATS, Value

# Bits that a dtype holds exactly, with room for what is added on the way.
EXACT = {"float64": 44, "float32": 22}


class Builder:
    """Writes a program line by line; `draw` gives an element of a sequence."""

    def __init__(self, choose: Callable[[Any], Any], smooth: bool, dtypes: tuple[str, ...]) -> None:
        self.choose = choose
        self.only_smooth = smooth
        self.dtypes = dtypes
        self.lines: list[str] = []
        self.values: list[Value] = []
        self.products: dict[str, tuple[str, str, str, int]] = {}
        self.inputs = self._inputs()

    def _inputs(self) -> tuple[Value, ...]:
        choose = self.choose
        shapes = [("n",), ("n", "m"), ("m",), (), ("n", "m", "k"), ("k", "n"), ("n", "n")]
        shapes += [
            ("z", "m"),
            ("1", "m"),
            ("n", "1"),
            ("k", "z", "n"),
            ("m", "n"),
            ("m", "k", "n", "m"),
        ]
        for k in range(choose((2, 3, 3, 4))):
            dtype = choose(self.dtypes)
            bits = None if dtype == "bool" else 8
            self.values.append(Value("abcd"[k], choose(shapes), dtype, 1 if bits is None else bits))
        return tuple(self.values)

    # -- picking ---------------------------------------------------------------------------------

    def pick(self, want: Callable[[Value], bool] = lambda v: True) -> Value:
        """A value; recent ones more often. Raises LookupError where there is none."""
        found = [v for v in self.values if want(v)]
        if not found:
            raise LookupError
        return self.choose(found + found[-2:] * (len(found) // 2))

    def write(
        self,
        text: str,
        lengths: tuple[str, ...],
        dtype: str,
        bits: int | None,
        smooth: bool = True,
    ) -> Value:
        if len(lengths) > 4 or any(len(x) > 24 for x in lengths):
            raise LookupError
        if bits is not None and dtype in EXACT and bits > EXACT[dtype]:
            bits = None
        if self.only_smooth and not smooth:
            raise LookupError
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.values.append(Value(name, tuple(lengths), dtype, bits, smooth))
        return self.values[-1]

    def axis(self, v: Value, want: Callable[[str], bool] = lambda n: True) -> int:
        found = [i for i, n in enumerate(v.lengths) if want(n)]
        if not found:
            raise LookupError
        return self.choose(found)

    def axes(self, v: Value, want: Callable[[str], bool] = lambda n: True) -> tuple[int, ...]:
        found = [i for i, n in enumerate(v.lengths) if want(n)]
        if not found:
            raise LookupError
        return tuple(i for i in found if self.choose((True, False))) or (self.choose(found),)

    def like(self, v: Value, dtype: str | None = None) -> tuple[str, tuple[str, ...], Value]:
        """Another value that broadcasts with v, and the shape of both; adapted where none does."""

        def fits(w: Value) -> bool:
            pairs = zip(w.lengths[::-1], v.lengths[::-1], strict=False)
            return all(a == b or "1" in (a, b) for a, b in pairs)

        if self.choose((0, 0, 0, 1)):
            w = self.pick(lambda w: w.rank > v.rank and (w.floating or not v.floating))
            gone = tuple(range(w.rank))
            w = self.write(f"xp.sum({w.name}, axis={gone})", (), *self.summed(w))
        else:
            w = self.pick(
                lambda w: fits(w) and (dtype is None or (w.dtype == "bool") == (dtype == "bool"))
            )
        text = w.name
        if dtype is not None and w.dtype != dtype:
            w = self.cast(w, dtype)
            text = w.name
        rank = max(v.rank, w.rank)
        a, b = (("1",) * (rank - x.rank) + x.lengths for x in (v, w))
        return text, tuple(p if q == "1" else q for p, q in zip(a, b, strict=True)), w

    def cast(self, v: Value, dtype: str) -> Value:
        """v in another dtype, where that has one meaning."""
        bits = v.bits
        if dtype == v.dtype:
            return v
        if v.floating and dtype[:3] in ("int", "uin"):
            if not v.exact:
                raise LookupError
            low = 0 if dtype[0] == "u" else -100
            text = f"xp.clip(xp.nan_to_num({v.name}), {low}, 100).astype('{dtype}')"
            return self.write(text, v.lengths, dtype, 8, False)
        if v.integer and dtype in FLOATS and v.bits is not None and v.bits > 20:
            return self.write(f"({v.name} % 64).astype('{dtype}')", v.lengths, dtype, 9, False)
        if dtype == "bool" and not v.exact:
            raise LookupError
        bits = 1 if dtype == "bool" else None if bits is None else bits + 3
        smooth = v.smooth and v.floating and dtype in FLOATS
        return self.write(f"{v.name}.astype('{dtype}')", v.lengths, dtype, bits, smooth)

    def small(self, v: Value) -> Value:
        """v within -1 and 1, if it is rounded: products of such stay small."""
        if v.exact:
            return v
        return self.write(f"xp.tanh({v.name})", v.lengths, v.dtype, None, v.smooth)

    def finite(self, v: Value) -> Value:
        """v without infinities."""
        if not v.floating or not v.exact:
            return v
        return self.write(f"xp.clip({v.name}, -9, 9)", v.lengths, v.dtype, v.bits, v.smooth)

    def summed(self, v: Value, extra: int = 12) -> tuple[str, int | None, bool]:
        dtype = {"bool": "int64", "int32": "int64", "uint8": "uint64"}.get(v.dtype, v.dtype)
        return dtype, None if v.bits is None else v.bits + extra, v.smooth
