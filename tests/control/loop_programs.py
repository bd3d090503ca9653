"""Random programs of loops: nests of scans, conditions and branches over small states, as Python's source."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

# A kind of number (float, int, bool, complex, or a narrow float) and a shape, in which "n" is an axis as
# long as the arguments make it.
Type = tuple[str, tuple[int | str, ...]]
DTYPES = {"f": "float64", "i": "int64", "b": "bool", "c": "complex128", "g": "float32"}
SHAPES: tuple[tuple[int | str, ...], ...] = ((), (), (), (3,), (2,), (2, 2), ("n",), ("n", 2))


class LoopProgram:
    """Writes one program.

    Args:
        seed: which.
        kinds: of numbers there are.
        whiles: whether loops may be of no known length.
        loops: how deep they are nested.
        most: about how many lines there are.
        integer: the dtype of integers.
    """

    def __init__(
        self,
        seed: int,
        kinds: str = "ffffibcg",
        whiles: bool = True,
        loops: int = 3,
        most: int = 40,
        dtypes: dict[str, str] | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.kinds, self.whiles, self.loops, self.most = kinds, whiles, loops, most
        self.dtypes = dtypes or DTYPES
        self.lines: list[str] = []
        self.count = 0
        self.size = self.random.choice((5, 7))
        self.length = self.random.choice((0, 1, 2, 5, 6, 6))
        self.arguments: list[Type] = [("f", ())]
        for _ in range(self.random.randint(1, 3)):
            self.arguments.append(self.type())
        self.arguments.append(("f", ("m", *self.random.choice(SHAPES))))
        self.source = self.write()

    # -- pieces ----------------------------------------------------------------------------------

    def type(self) -> Type:
        return self.random.choice(self.kinds), self.random.choice(SHAPES)

    def name(self, letter: str = "v") -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def add(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def shape(self, shape: Sequence[int | str]) -> str:
        return "(" + "".join(f"{n}, " for n in shape) + ")"

    def constant(self, t: Type) -> str:
        kind, shape = t
        value = {
            "f": lambda: round(self.random.uniform(-1, 1), 2),
            "g": lambda: round(self.random.uniform(-1, 1), 2),
            "i": lambda: self.random.randint(-3, 4),
            "b": lambda: self.random.random() < 0.5,
            "c": lambda: complex(round(self.random.uniform(-1, 1), 2), 0.3),
        }[kind]()
        return f"nr.full({self.shape(shape)}, {value!r}, dtype='{self.dtypes[kind]}')"

    def pick(self, scope: dict[str, Type], t: Type) -> str:
        """Something of a type: a variable, or made of others."""
        found = [v for v, have in scope.items() if have == t]
        if found and self.random.random() < 0.85:
            return self.random.choice(found)
        kind, shape = t
        # Something of its kind that can be brought to the shape.
        near = [
            v
            for v, (k, s) in scope.items()
            if k == kind and len(s) <= len(shape) and shape[len(shape) - len(s) :] == s
        ]
        if near and self.random.random() < 0.8:
            return f"nr.broadcast_to({self.random.choice(near)}, {self.shape(shape)})"
        if kind != "f" and self.random.random() < 0.7:
            return self.made(kind, shape, scope)
        return self.constant(t)

    def made(self, kind: str, shape: tuple[int | str, ...], scope: dict[str, Type]) -> str:
        """Another kind of numbers from floats."""
        x = self.pick(scope, ("f", shape))
        if kind == "b":
            return f"({x} > {round(self.random.uniform(-0.6, 0.6), 3)})"
        if kind == "i":
            return f"nr.floor(2.5 * {x}).astype('{self.dtypes['i']}')"
        if kind == "c":
            return f"({x} + 1j * {self.pick(scope, ('f', shape))})"
        return f"{x}.astype('{self.dtypes[kind]}')"

    def expression(self, scope: dict[str, Type], t: Type) -> str:
        kind, shape = t
        r = self.random
        x = self.pick(scope, t)
        if r.random() < 0.15:
            which = self.pick(scope, ("b", shape if r.random() < 0.6 else ()))
            return f"nr.where({which}, {x}, {self.pick(scope, t)})"
        if shape and r.random() < 0.12 and shape[0] in (2, 3):
            return f"{x}[::-1]"
        if len(shape) == 2 and shape[0] == shape[1] and r.random() < 0.15:
            return f"{x}.T"
        if shape and shape[-1] in (2, 3) and r.random() < 0.1:
            y = self.pick(scope, t)
            return f"nr.concat([{x}[..., 1:], {y}[..., :1]], axis=-1)"
        if len(shape) < 2 and r.random() < 0.2 and kind in "fgic":
            # A smaller array of a larger one: a sum, an element.
            width = r.choice((2, 3)) if not shape else 2
            if (kind, (*shape, width)) in [(k, s) for k, s in scope.values()]:
                wide = self.pick(scope, (kind, (*shape, width)))
                if kind != "c" and r.random() < 0.3:
                    return f"nr.{r.choice(('max', 'min'))}({wide}, axis=-1)"
                if r.random() < 0.5:
                    scale = "" if kind == "i" else " * 0.5"
                    return f"nr.sum({wide}, axis=-1){scale}" + (" % 5" if kind == "i" else "")
                return f"{wide}[..., {self.pick(scope, ('i', ()))} % {width}]"
        if shape == () and kind == "f" and r.random() < 0.06:
            return f"0.2 * nr.mean({self.pick(scope, ('f', ('n',)))})"
        if shape in ((2,), (2, 2)) and kind in "fgc" and r.random() < 0.25:
            y = self.pick(scope, (kind, (2, 2)))
            return f"0.4 * ({y} @ {x})"
        if shape and kind in "fi" and r.random() < 0.07:
            value = self.pick(scope, (kind, shape[1:]))
            place = self.pick(scope, ("i", ()))
            return f"{x}.at[{place} % {shape[0]}].set({value})"
        y = self.pick(scope, t)
        if kind == "f":
            return r.choice(
                (
                    f"0.6 * {x} + 0.3 * {y}",
                    f"{x} * {y} * 0.5 - 0.2",
                    f"nr.sin({x})",
                    f"nr.tanh({x} - {y})",
                    f"{x} / (1.0 + {y} * {y})",
                    f"nr.exp(-{x} * {x}) - {y} * 0.1",
                    f"nr.abs({x}) * 0.3",
                    f"nr.maximum({x}, {y})",
                    f"{x} + 0.1 * {self.pick(scope, ('i', shape))}",
                    f"0.5 * nr.sqrt(1.0 + {x} * {x})",
                    f"nr.real({self.pick(scope, ('c', shape))})" if "c" in self.kinds else x,
                    f"0.5 * {self.pick(scope, ('g', shape))} + {x}" if "g" in self.kinds else x,
                )
            )
        if kind == "g":
            return r.choice((f"0.5 * {x} - {y}", f"{x} * {y}", f"nr.tanh({x} + {y})"))
        if kind == "i":
            return r.choice(
                (
                    f"({x} + {y}) % 7",
                    f"({x} * 3 - {y}) % 5",
                    f"{x} // 2 + 1",
                    f"nr.minimum({x}, {y})",
                    f"-{x} % 4",
                    f"({x} ^ {y}) % 8",
                    f"({x} + 1) % 6",
                )
            )
        if kind == "b":
            u, v = self.pick(scope, ("f", shape)), self.pick(scope, ("i", shape))
            return r.choice(
                (f"{x} ^ {y}", f"{x} & {y}", f"~{x} | {y}", f"{u} > 0.123", f"{v} % 2 == 0")
            )
        return r.choice(
            (
                f"{x} * {y} * 0.4",
                f"0.5 * {x} + 0.2j * {y}",
                f"nr.conj({x}) * 0.5 + 0.1j",
                f"{x} - {y}",
            )
        )

    def tame(self, x: str, kind: str) -> str:
        """What is carried, and stays small."""
        if kind in "fg":
            return self.random.choice((f"nr.tanh({x})", f"nr.sin({x})", f"0.7 * nr.tanh({x})", x))
        if kind == "c":
            return f"{x} / (1.0 + nr.real({x} * nr.conj({x})))"
        return f"{x} % 7" if kind == "i" else x

    # -- statements ------------------------------------------------------------------------------

    def block(self, depth: int, scope: dict[str, Type], loops: int, most: int) -> dict[str, Type]:
        scope = dict(scope)
        for _ in range(self.random.randint(1, most)):
            full = len(self.lines) > self.most and depth > 1
            chance = 1.0 if full else self.random.random()
            if loops < self.loops and chance < (0.3 if loops else 0.5):
                self.random.choice((self.scan, self.scan, self.loop, self.fori))(
                    depth, scope, loops
                )
            elif chance < 0.6 and depth < 7:
                self.branch(depth, scope, loops)
            else:
                t = self.random.choice([*scope.values(), self.type()])
                if t[1] and t[1][0] == "m":
                    continue
                v = self.name()
                self.add(depth, f"{v} = {self.expression(scope, t)}")
                scope[v] = t
        return scope

    def carried(self, scope: dict[str, Type]) -> list[tuple[str, Type]]:
        types = [self.type() for _ in range(self.random.randint(1, 3))]
        return [(self.pick(scope, t), t) for t in types]

    def usable(self, scope: dict[str, Type]) -> dict[str, Type]:
        """What a body sees of what is outside: some."""
        return {v: t for v, t in scope.items() if self.random.random() < 0.7}

    def body(
        self, depth: int, name: str, scope: dict[str, Type], carried: Sequence[tuple[str, Type]],
        rows: Sequence[tuple[str, Type]], loops: int, rows_out: int, parameters: str,
    ) -> list[Type]:  # fmt: skip
        names = [self.name("c") for _ in carried]
        self.add(depth, f"def {name}({parameters}):")
        if parameters.startswith("c"):
            self.add(depth + 1, f"{''.join(n + ', ' for n in names)} = c")
        inner = self.usable(scope)
        inner |= {n: t for n, (_, t) in zip(names, carried, strict=True)}
        inner |= dict(rows)
        inner = self.block(depth + 1, inner, loops + 1, 4)
        nexts = []
        for n, (_, (kind, shape)) in zip(names, carried, strict=True):
            if self.random.random() < 0.08:
                nexts.append(n)
            else:
                v = self.name()
                self.add(depth + 1, f"{v} = {self.expression(inner, (kind, shape))}")
                nexts.append(self.tame(v, kind))
        outs = [self.type() for _ in range(rows_out)]
        made = "".join(self.pick(inner, t) + ", " for t in outs)
        carry = "".join(x + ", " for x in nexts)
        self.add(depth + 1, f"return ({carry}), ({made})" if rows_out >= 0 else f"return {carry}")
        return outs

    def scan(self, depth: int, scope: dict[str, Type], loops: int) -> None:
        r, name, carried = self.random, self.name("step"), self.carried(scope)
        xs = [v for v, (_, s) in scope.items() if s and s[0] == "m" and r.random() < 0.8][:2]
        small = [v for v, (_, s) in scope.items() if s in ((3,), ("n",)) and r.random() < 0.3][:1]
        xs = small or xs
        rows = [(self.name("r"), (scope[v][0], scope[v][1][1:])) for v in xs]
        unpack = f"({''.join(n + ', ' for n, _ in rows)})" if rows else "_"
        self.add(depth, f"def un{name}(c, r):")
        if rows:
            self.add(depth + 1, f"{unpack} = r")
        names = "".join(", " + n for n, _ in rows)
        self.add(depth + 1, f"return {name}(c{names})")
        outs = self.body(depth, name, scope, carried, rows, loops, r.randint(0, 2), f"c{names}")
        first = "".join(x + ", " for x, _ in carried)
        given = f"({''.join(v + ', ' for v in xs)})" if xs else "None"
        extra = "" if xs else f", length={r.choice((0, 1, 3, 5, 6, 9))}"
        extra += ", reverse=True" if r.random() < 0.3 else ""
        extra += f", checkpoint={r.choice((1, 2, 3))}" if r.random() < 0.12 else ""
        ends, made = [self.name() for _ in carried], [self.name() for _ in outs]
        self.add(
            depth,
            f"({''.join(e + ', ' for e in ends)}), ({''.join(m + ', ' for m in made)}) = "
            f"nr.scan(un{name}, ({first}), {given}{extra})",
        )
        scope |= {e: t for e, (_, t) in zip(ends, carried, strict=True)}
        if xs and scope[xs[0]][1][0] == "m" and loops == 0:
            scope |= {m: (k, ("m", *s)) for m, (k, s) in zip(made, outs, strict=True)}
        else:
            for m, (kind, s) in zip(made, outs, strict=True):
                if kind in "fgci":
                    v = self.name()
                    self.add(depth, f"{v} = nr.sum({m}, axis=0)" + (" % 9" if kind == "i" else ""))
                    scope[v] = kind, s

    def loop(self, depth: int, scope: dict[str, Type], loops: int) -> None:
        r = self.random
        name = self.name("step")
        carried = [
            ("nr.full((), 0, dtype='" + self.dtypes["i"] + "')", ("i", ())),
            *self.carried(scope),
        ]
        self.body(depth, name + "b", scope, carried, [], loops, -1, "c")
        self.add(depth, f"def {name}(c):")
        self.add(depth + 1, f"return (c[0] + 1, *{name}b(c)[1:])")
        test = f"c[0] < {r.choice((0, 3, 6))}"
        floats = [k for k, (_, t) in enumerate(carried) if t == ("f", ())]
        if floats and r.random() < 0.7:
            test = f"({test}) & (c[{r.choice(floats)}] < {round(r.uniform(-0.2, 0.8), 3)})"
        elif r.random() < 0.5:
            seen = self.pick(scope, ("i", ()))
            test = f"({test}) & (c[0] < {seen} + 2)"
        self.add(depth, f"def go{name}(c):")
        self.add(depth + 1, f"return {test}")
        bounded = not self.whiles or r.random() < 0.4
        extra = f", max_steps={r.choice((2, 5, 8))}" if bounded else ""
        extra += f", checkpoint={r.choice((1, 2, 3))}" if bounded and r.random() < 0.2 else ""
        ends = [self.name() for _ in carried]
        first = "".join(x + ", " for x, _ in carried)
        self.add(
            depth,
            f"{''.join(e + ', ' for e in ends)} = nr.while_loop(go{name}, {name}, ({first}){extra})",
        )
        scope |= {e: t for e, (_, t) in zip(ends, carried, strict=True)}

    def fori(self, depth: int, scope: dict[str, Type], loops: int) -> None:
        r, name, carried = self.random, self.name("step"), self.carried(scope)
        i = self.name("i")
        rows: list[tuple[str, Type]] = [(i, ("i", ()))] if self.dtypes["i"] == "int64" else []
        self.add(depth, f"def un{name}({i}, c):")
        self.add(depth + 1, f"return {name}(c{''.join(', ' + n for n, _ in rows)})")
        self.body(
            depth, name, scope, carried, rows, loops, -1, "c" + "".join(", " + n for n, _ in rows)
        )
        upper = str(r.choice((0, 2, 5, 6)))
        if self.whiles and r.random() < 0.2:
            upper = f"1 + {self.pick(scope, ('i', ()))} % 6"
        ends = [self.name() for _ in carried]
        first = "".join(x + ", " for x, _ in carried)
        self.add(
            depth,
            f"{''.join(e + ', ' for e in ends)} = nr.fori_loop({r.choice((0, 0, 1))}, {upper}, "
            f"un{name}, ({first}))",
        )
        scope |= {e: t for e, (_, t) in zip(ends, carried, strict=True)}

    def branch(self, depth: int, scope: dict[str, Type], loops: int) -> None:
        r, name = self.random, self.name("side")
        types = [self.type() for _ in range(r.randint(1, 2))]
        sides = 2 if r.random() < 0.6 else 3
        for k in range(sides):
            self.add(depth, f"def {name}_{k}():")
            inner = self.block(depth + 1, self.usable(scope), loops + (r.random() < 0.7), 2)
            made = "".join(
                (self.expression(inner, t) if r.random() < 0.7 else self.pick(inner, t)) + ", "
                for t in types
            )
            self.add(depth + 1, f"return {made}")
        ends = [self.name() for _ in types]
        left = "".join(e + ", " for e in ends)
        if sides == 2:
            which = self.pick(scope, ("b", ()))
            self.add(depth, f"{left} = nr.cond({which}, {name}_0, {name}_1)")
        else:
            which = self.pick(scope, ("i", ()))
            names = ", ".join(f"{name}_{k}" for k in range(3))
            self.add(depth, f"{left} = nr.switch({which}, [{names}])")
        scope |= dict(zip(ends, types, strict=True))

    def write(self) -> str:
        names = [f"x{k}" for k in range(len(self.arguments))]
        self.add(0, f"def program({', '.join(names)}, n):")
        scope = self.block(1, dict(zip(names, self.arguments, strict=True)), 0, 4)
        if not any(v.startswith("v") for v in scope):
            self.scan(1, scope, 0)
        made = [v for v in scope if v.startswith("v")][-6:]
        self.add(1, f"return {''.join(v + ', ' for v in made)}")
        return "\n".join(self.lines) + "\n"

    # -- arguments -------------------------------------------------------------------------------

    def values(
        self, rng: np.random.Generator, n: int, m: int, batch: Sequence[Sequence[int | None]] = ()
    ) -> list[np.ndarray]:
        """Arguments, with a batch axis where there is one; batches (size, *axes) outermost last."""
        found = []
        for k, (kind, shape) in enumerate(self.arguments):
            full = [n if s == "n" else m if s == "m" else int(s) for s in shape]
            for size, *axes in batch:
                axis = axes[k]
                if axis is not None:
                    full.insert(axis, size)  # type: ignore[arg-type]
            found.append(self.numbers(rng, kind, full))
        return found

    def numbers(self, rng: np.random.Generator, kind: str, shape: Sequence[int]) -> np.ndarray:
        if kind == "i":
            x = rng.integers(-3, 6, shape)
        elif kind == "b":
            x = rng.random(shape) < 0.5
        elif kind == "c":
            x = rng.uniform(-1, 1, shape) + 1j * rng.uniform(-1, 1, shape)
        else:
            x = rng.uniform(-1.2, 1.2, shape)
        return np.asarray(x).astype(self.dtypes[kind])
