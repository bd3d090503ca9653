"""Mathematics for kernels: which library function or inline code a function name becomes."""

from __future__ import annotations

import re

from numr.codegen.backends.cpu.machine import Machine

_CALLED = re.compile(r'@"?numr\.([a-z0-9]+)\.(f32|f64)"?')
_DECLARED = re.compile(r'^declare [^\n]*@"?numr\.[^\n]*\n?', re.M)
_MVEC = {
    "exp",
    "log",
    "sin",
    "cos",
    "pow",
    "tanh",
    "erf",
    "log1p",
    "expm1",
    "erfc",
    "tan",
    "asin",
    "acos",
    "atan",
    "atan2",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
    "exp2",
    "log2",
    "log10",
    "cbrt",
    "hypot",
}
_TWO = {"atan2", "pow", "hypot", "fmod", "polygamma"}


def complete(text: str, machine: Machine) -> str:
    """A module's text with definitions in place of its declarations of ``numr.`` functions."""
    wanted = sorted(set(_CALLED.findall(text)))
    if not wanted:
        return text
    text = _DECLARED.sub("", text)
    parts = [text]
    kept: list[str] = []
    for number, (name, code) in enumerate(wanted):
        kind, width = ("double", 64) if code == "f64" else ("float", 32)
        arity = 2 if name in _TWO else 1
        symbol = name if code == "f64" else name + "f"
        params = ", ".join(f"{kind} %x{i}" for i in range(arity))
        kinds = ", ".join([kind] * arity)
        abi = ""
        if machine.libmvec and name in _MVEC:
            lanes = machine.lanes * 64 // width
            isa = {2: "b", 4: "d", 8: "e"}[machine.lanes]
            variant = f"_ZGV{isa}N{lanes}{'v' * arity}_{symbol}"
            abi = (
                f' "vector-function-abi-variant"="_ZGV_LLVM_N{lanes}{"v" * arity}_{symbol}'
                f'({variant})"'
            )
            vector = f"<{lanes} x {kind}>"
            parts.append(f"declare {vector} @{variant}({', '.join([vector] * arity)})")
            kept.append(variant)
        parts.append(
            f"declare {kind} @{symbol}({kinds})\n"
            f'define internal {kind} @"numr.{name}.{code}"({params}) alwaysinline {{\n'
            f"  %r = call {kind} @{symbol}({params}) #{100 + number}\n  ret {kind} %r\n}}\n"
            f"attributes #{100 + number} = {{ nounwind willreturn memory(none){abi} }}"
        )
    if kept:
        items = ", ".join(f"ptr @{v}" for v in kept)
        parts.append(
            f"@llvm.compiler.used = appending global [{len(kept)} x ptr] [{items}], "
            'section "llvm.metadata"'
        )
    return "\n".join(parts) + "\n"
