"""Lines of random programs that reduce, move, join, index, update and contract arrays."""

from __future__ import annotations

from tests.programs.builder import Builder
from tests.programs.values import FLOATS, Value, positive, times


class Structural(Builder):
    """What is not element by element."""

    def reduce(self) -> None:
        v = self.pick(lambda v: v.rank > 0)
        kind = self.choose(("sum", "sum", "sum", "mean", "max", "min", "prod", "var", "logic"))
        if kind == "logic" or v.dtype == "bool":
            if not v.exact:
                raise LookupError
            kind = self.choose(("any", "all", "count_nonzero", "sum"))
        ordered = kind in ("max", "min", "mean", "var")
        axes = self.axes(v, positive if ordered else lambda n: True)
        kept = self.choose((False, True))
        lengths = tuple(
            "1" if i in axes else n for i, n in enumerate(v.lengths) if kept or i not in axes
        )
        dtype, bits, smooth = v.dtype, v.bits, v.smooth
        if kind in ("sum", "prod"):
            if kind == "prod" and v.floating:
                v = (
                    self.small(v)
                    if not v.exact
                    else self.write(f"xp.sin({v.name})", v.lengths, v.dtype, None, v.smooth)
                )
            dtype, bits, smooth = self.summed(v)
            bits = 64 if dtype not in FLOATS else None if kind == "prod" else bits
        elif kind in ("mean", "var"):
            if not v.floating:
                raise LookupError
            bits = None
        elif kind in ("any", "all"):
            dtype, bits, smooth = "bool", 1, False
        elif kind == "count_nonzero":
            dtype, bits, smooth = "int64", 13, False
        axis = axes if len(axes) > 1 or self.choose((False, True)) else axes[0]
        if len(axes) == v.rank and self.choose((False, True)):
            axis = None
        self.write(
            f"xp.{kind}({v.name}, axis={axis}, keepdims={kept})", lengths, dtype, bits, smooth
        )

    def locate(self) -> None:
        v = self.pick(lambda v: v.exact and v.rank > 0)
        axis = self.axis(v, positive)
        kept = self.choose((False, True))
        lengths = tuple(
            "1" if i == axis else n for i, n in enumerate(v.lengths) if kept or i != axis
        )
        name = self.choose(("argmax", "argmin"))
        self.write(f"xp.{name}({v.name}, axis={axis}, keepdims={kept})", lengths, "int64", 6, False)

    def line_by_line(self) -> None:
        """Softmax and its kin, cumulative sums, sorts."""
        v = self.pick(lambda v: v.rank > 0 and v.dtype != "bool")
        axis = self.axis(v, positive)
        forms = ["cumulative_sum", "sort"]
        forms += ["softmax", "logsumexp", "cumulative_prod"] if v.floating else []
        forms += ["argsort"] if v.exact else []
        form = self.choose(forms)
        lengths, dtype, bits, smooth = v.lengths, v.dtype, v.bits, v.smooth
        if form in ("softmax", "logsumexp", "cumulative_prod"):
            v = self.write(f"xp.tanh({v.name})", v.lengths, v.dtype, None, v.smooth)
            bits = None
            if form == "logsumexp":
                lengths = tuple(n for i, n in enumerate(lengths) if i != axis)
        elif form == "cumulative_sum":
            dtype, bits, smooth = self.summed(v)
            bits = 64 if dtype not in FLOATS else bits
        elif form == "argsort":
            dtype, bits, smooth = "int64", 6, False
        self.write(f"xp.{form}({v.name}, axis={axis})", lengths, dtype, bits, smooth)

    def move(self) -> None:
        """Views: axes permuted, flipped, sliced, added, taken away, joined and split."""
        v = self.pick(lambda v: v.rank > 0)
        lengths = list(v.lengths)
        axis = self.axis(v)
        kind = self.choose(
            ("permute", "flip", "slice", "slice", "new", "squeeze", "merge", "split", "broadcast")
        )
        if kind == "permute":
            order = list(range(v.rank))
            for i in range(v.rank - 1, 0, -1):
                j = self.choose(tuple(range(i + 1)))
                order[i], order[j] = order[j], order[i]
            text = f"xp.permute_dims({v.name}, {tuple(order)})"
            lengths = [v.lengths[i] for i in order]
        elif kind == "flip":
            text = f"xp.flip({v.name}, axis={axis})"
        elif kind == "slice":
            n = lengths[axis]
            if not positive(n) or n == "1":
                raise LookupError
            item, length = self.choose(
                (
                    ("1:", f"{n}-1"),
                    (":-1", f"{n}-1"),
                    ("::2", f"({n}+1)//2"),
                    ("1::2", f"({n})//2"),
                    ("::-1", n),
                    ("::-2", f"({n}+1)//2"),
                    (":1", "1"),
                    ("-1:", "1"),
                    ("0", ""),
                    ("-1", ""),
                )
            )
            text = f"{v.name}[{':, ' * axis}{item}]"
            if self.choose((0, 0, 0, 1)):
                text = f"{v.name}[..., {', '.join([item] + [':'] * (v.rank - axis - 1))}]"
            lengths[axis : axis + 1] = [length] if length else []
        elif kind == "new":
            place = self.choose(tuple(range(v.rank + 1)))
            text = f"xp.expand_dims({v.name}, axis={place})"
            lengths.insert(place, "1")
        elif kind == "squeeze":
            axis = self.axis(v, lambda n: n == "1")
            text = f"xp.squeeze({v.name}, axis={axis})"
            del lengths[axis]
        elif kind == "merge":
            if axis + 1 >= v.rank:
                raise LookupError
            a, b = lengths[axis : axis + 2]
            if any(c in a + b for c in "+-/("):
                raise LookupError
            sizes = [f"{v.name}.shape[{i}]" for i in range(v.rank)]
            sizes[axis : axis + 2] = [f"{sizes[axis]} * {sizes[axis + 1]}"]
            text = f"xp.reshape({v.name}, ({', '.join(sizes)},))"
            lengths[axis : axis + 2] = [times(a, b)]
            self.products[times(a, b)] = (a, b, v.name, axis)
        elif kind == "split":
            axis = self.axis(v, lambda n: n in self.products)
            a, b, name, place = self.products[lengths[axis]]
            sizes = [f"{v.name}.shape[{i}]" for i in range(v.rank)]
            sizes[axis : axis + 1] = [f"{name}.shape[{place + i}]" for i in (0, 1)]
            text = f"xp.reshape({v.name}, ({', '.join(sizes)},))"
            lengths[axis : axis + 1] = [a, b]
        else:
            w = self.pick(lambda w: w.lengths[w.rank - v.rank :] == v.lengths)
            text = f"xp.broadcast_to({v.name}, {w.name}.shape)"
            lengths = list(w.lengths)
        self.write(text, tuple(lengths), v.dtype, v.bits, v.smooth)

    def join(self) -> None:
        v = self.pick(lambda v: v.rank > 0)
        axis = self.axis(v)
        lengths = list(v.lengths)
        n = lengths[axis]
        kind = self.choose(
            ("concat", "concat", "stack", "pad", "roll", "tile", "repeat", "tril", "diff")
        )
        bits, smooth = v.bits, v.smooth

        def beside(w: Value) -> bool:
            if w.rank != v.rank or w.dtype != v.dtype:
                return False
            return all(
                i == axis or p == q
                for i, (p, q) in enumerate(zip(v.lengths, w.lengths, strict=True))
            )

        if kind in ("concat", "stack"):
            w = self.pick(
                beside
                if kind == "concat"
                else lambda w: (w.lengths, w.dtype) == (v.lengths, v.dtype)
            )
            names = [v.name, w.name, *([v.name] if self.choose((0, 0, 1)) else [])]
            if kind == "concat":
                lengths[axis] = "+".join(sorted([n, w.lengths[axis]] + [n] * (len(names) - 2)))
                if any(c in lengths[axis] for c in "-/("):
                    lengths[axis] = f"({n})+({w.lengths[axis]})+{len(names)}*0"
                    raise LookupError
            else:
                axis = self.choose(tuple(range(v.rank + 1)))
                lengths.insert(axis, f"{len(names)}*1")
            text = f"xp.{kind}([{', '.join(names)}], axis={axis})"
            bits = None if v.bits is None or w.bits is None else max(v.bits, w.bits)
            smooth = v.smooth and w.smooth
        elif kind == "pad":
            before, after = self.choose(((1, 0), (0, 2), (1, 1), (2, 3)))
            widths = [(0, 0)] * v.rank
            widths[axis] = (before, after)
            value = (
                ", constant_values=1" if self.choose((False, True)) and v.dtype != "bool" else ""
            )
            text = f"xp.pad({v.name}, {tuple(widths)}{value})"
            lengths[axis] = f"({n})+{before + after}"
            bits = None if bits is None else max(bits, 5)
        elif kind == "roll":
            text = f"xp.roll({v.name}, {self.choose((1, -1, 2, 7))}, axis={axis})"
        elif kind == "tile":
            repeats = [1] * v.rank
            repeats[axis] = 2
            text = f"xp.tile({v.name}, {tuple(repeats)})"
            lengths[axis] = f"2*({n})"
        elif kind == "repeat":
            text = f"xp.repeat({v.name}, 2, axis={axis})"
            lengths[axis] = f"2*({n})"
        elif kind == "tril":
            if v.rank < 2:
                raise LookupError
            text = f"xp.{self.choose(('tril', 'triu'))}({v.name}, k={self.choose((0, 1, -1))})"
        else:
            if n == "1" or not positive(n) or v.dtype == "bool":
                raise LookupError
            text = f"xp.diff({v.name}, axis={axis})"
            lengths[axis] = f"{n}-1"
            bits = None if bits is None else bits + 1 if v.floating else 64
        self.write(text, tuple(lengths), v.dtype, bits, smooth)

    def index(self) -> Value:
        """A computed array of whole numbers, of any sign and size."""
        v = self.pick(lambda v: v.exact and v.rank > 0 and v.dtype != "bool" and v.rank < 3)
        return v if v.dtype in ("int64", "int32") else self.cast(v, "int64")

    def gather(self) -> None:
        v = self.pick(lambda v: v.rank > 0)
        axis = self.axis(v, positive)
        n = f"{v.name}.shape[{axis}]"
        lengths = list(v.lengths)
        lead = ":, " * axis
        kind = self.choose(("list", "computed", "computed", "along", "negative", "pair"))
        if kind == "list":
            text = f"{v.name}[{lead}[0, -1, 0]]"
            lengths[axis] = "3*1"
        elif kind in ("computed", "negative"):
            index = self.index()
            place = f"{index.name} % {n}" + (f" - {n}" if kind == "negative" else "")
            form = self.choose(("[]", "take"))
            text = (
                f"{v.name}[{lead}{place}]"
                if form == "[]"
                else f"xp.take({v.name}, {place}, axis={axis})"
            )
            lengths[axis : axis + 1] = index.lengths
        elif kind == "along":
            index = self.pick(
                lambda w: (
                    w.integer
                    and w.rank == v.rank
                    and w.dtype[0] == "i"
                    and all(
                        i == axis or p == q
                        for i, (p, q) in enumerate(zip(v.lengths, w.lengths, strict=True))
                    )
                )
            )
            text = f"xp.take_along_axis({v.name}, {index.name} % {n}, axis={axis})"
            lengths[axis] = index.lengths[axis]
        else:
            if v.rank < 2 or not all(positive(n) for n in v.lengths):
                raise LookupError
            index = self.index()
            last = f"{v.name}.shape[{v.rank - 1}]"
            first = f"{v.name}.shape[0]"
            text = f"{v.name}[{index.name} % {first}, ..., {index.name} % {last}]"
            lengths = [*index.lengths, *lengths[1:-1]]
        self.write(text, tuple(lengths), v.dtype, v.bits, v.smooth)

    def update(self) -> None:
        v = self.pick(lambda v: v.rank > 0 and v.dtype != "bool")
        axis = self.axis(v, positive)
        lead = f"(slice(None),) * {axis}"
        mode = self.choose(("set", "add", "max", "min", "mul"))
        rest = v.lengths[:axis], v.lengths[axis + 1 :]
        kind = self.choose(("slice", "slice", "integer", "computed", "mask"))
        n = f"{v.name}.shape[{axis}]"
        if mode == "mul" and not v.exact:
            mode = "add"
        if kind == "computed":
            index = self.pick(lambda w: w.rank == 1 and w.exact and w.dtype in ("int64", "int32"))
            if mode == "mul":
                mode = "set"
            place, taken = f"{index.name} % {n}", (*rest[0], *index.lengths, *rest[1])
        elif kind == "integer":
            place, taken = self.choose(("0", "-1", "[0]")), (*rest[0], *rest[1])
            taken = (*rest[0], "1", *rest[1]) if place == "[0]" else taken
        elif kind == "mask":
            mask = self.pick(
                lambda w: w.dtype == "bool" and w.rank and w.lengths == v.lengths[: w.rank]
            )
            lead, place, taken = "()", mask.name, ()
        else:
            place, length = self.choose(
                (
                    ("slice(1, None)", f"{v.lengths[axis]}-1"),
                    ("slice(None, None, 2)", f"({v.lengths[axis]}+1)//2"),
                    ("slice(None, None, -1)", v.lengths[axis]),
                    ("slice(0, 1)", "1"),
                )
            )
            taken = (*rest[0], length, *rest[1])
        scalars = self.choose((True, False)) or kind == "mask"
        if scalars:
            new, bits, smooth = self.choose(("2", "1", "0")), v.bits, v.smooth
        else:
            w = self.pick(
                lambda w: (
                    w.dtype == v.dtype
                    and w.rank <= len(taken)
                    and all(
                        p in (q, "1") for p, q in zip(w.lengths[::-1], taken[::-1], strict=False)
                    )
                )
            )
            if mode == "mul" and not w.exact:
                mode = "add"
            new, smooth = w.name, v.smooth and w.smooth
            bits = None if v.bits is None or w.bits is None else max(v.bits, w.bits)
        if mode == "add" and bits is not None:
            bits += 6
        if mode == "mul" and bits is not None:
            bits = bits * 2 + 3
        bits = bits if v.floating else 64
        text = f"xp.updated({v.name}, {lead} + ({place},), '{mode}', {new})"
        self.write(text, v.lengths, v.dtype, bits, smooth)

    def contract(self) -> None:
        v = self.small(self.pick(lambda v: v.rank > 0 and v.dtype != "bool"))
        w = self.pick(
            lambda w: w.rank > 0 and w.dtype == v.dtype and set(w.lengths) & set(v.lengths) - {"1"}
        )
        w = self.small(w)
        bits = None if v.bits is None or w.bits is None else v.bits + w.bits + 12
        bits = bits if v.floating else 64
        if (
            self.choose((True, False))
            and v.rank > 1
            and w.rank > 1
            and v.lengths[:-2] == w.lengths[:-2]
        ):
            right = {
                (-1, -2): "{0} @ {1}",
                (-1, -1): "{0} @ xp.matrix_transpose({1})",
                (-2, -2): "xp.matrix_transpose({0}) @ {1}",
            }
            for (i, j), form in right.items():
                if v.lengths[i] == w.lengths[j]:
                    last = (v.lengths[-1 if i == -2 else -2], w.lengths[-1 if j == -2 else -2])
                    self.write(
                        form.format(v.name, w.name),
                        (*v.lengths[:-2], *last),
                        v.dtype,
                        bits,
                        v.smooth and w.smooth,
                    )
                    return
        # Infinities would show in which order einsum multiplies and sums, which is its own affair.
        v, w = (self.finite(x) for x in (v, w))
        letters: list[str] = []
        lengths: dict[str, str] = {}
        for x in (v, w):
            word = ""
            for n in x.lengths:
                known = [c for c, m in lengths.items() if m == n and n != "1" and c not in word]
                if known and self.choose((True, True, False)):
                    word += self.choose(known)
                else:
                    c = "ijklpqrs"[len(lengths)]
                    lengths[c] = n
                    word += c
            letters.append(word)
        kept = [c for c in lengths if self.choose((True, False))]
        text = f"xp.einsum('{','.join(letters)}->{''.join(kept)}', {v.name}, {w.name})"
        self.write(text, tuple(lengths[c] for c in kept), v.dtype, bits, v.smooth and w.smooth)
