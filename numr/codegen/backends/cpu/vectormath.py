"""Mathematics for kernels: what each ``numr.`` function called by a kernel is bound to.

* glibc on x86-64: the scalar call of libm carries ``memory(none)`` and
  ``vector-function-abi-variant``, so LLVM's loop vectoriser calls libmvec. Measured within 4 ulp
  (docs/accuracy.md) and as fast as inline polynomials: it keeps its tables in vector registers.
* Elsewhere: scalar libm.
* float32 functions that libmvec has not, or has above 4 ulp: through float64, rounded once.
* With AVX-512, functions in vectorforms.py: vector code that is put in line.
* digamma and polygamma: special.py.
"""

from __future__ import annotations

import functools
import re

from numr.codegen.backends.cpu import special, vectorforms
from numr.codegen.backends.cpu.machine import Machine, has_symbol
from numr.codegen.language import frontend, operations

_CALLED = re.compile(r'@"?numr\.([a-z0-9]+)\.(f32|f64)"?')
_DECLARED = re.compile(r'^declare [^\n]*@"?numr\.[^\n]*\n?', re.M)

_LIBMVEC = (frozenset(operations.MATH_1) | {"pow", "atan2", "hypot"}) - {
    "lgamma",
    "digamma",
    "rsqrt",
}
_THROUGH_F64 = frozenset({"erf", "lgamma", "digamma", "polygamma"})
_ARITY_2 = frozenset(operations.MATH_2)
_ROOT = "  %s = call {kind} @llvm.sqrt.{code}({kind} %x0)\n  %r = fdiv {kind} 1.0, %s"


def _params(kind: str, arity: int) -> str:
    return ", ".join(f"{kind} %x{i}" for i in range(arity))


def _library(name: str, code: str, machine: Machine) -> tuple[str, list[str]]:
    """A function of libm, with its vector form where there is one."""
    kind, width = ("double", 64) if code == "f64" else ("float", 32)
    arity = 2 if name in _ARITY_2 else 1
    symbol = name if code == "f64" else name + "f"
    params, kinds = _params(kind, arity), ", ".join([kind] * arity)
    lines, kept, variant_of = [], [], ""
    if machine.libmvec and name in _LIBMVEC:
        lanes = machine.lanes * 64 // width
        suffix = f"N{lanes}{'v' * arity}_{symbol}"
        isa = {2: "b", 4: "d", 8: "e"}[machine.lanes]
        variant = f"_ZGV{isa}{suffix}"
        if has_symbol(variant):  # glibc 2.22 has six of them, 2.35 all
            vector = f"<{lanes} x {kind}>"
            lines.append(f"declare {vector} @{variant}({', '.join([vector] * arity)})")
            variant_of = f' "vector-function-abi-variant"="_ZGV_LLVM_{suffix}({variant})"'
            kept.append(variant)
    body = f'define internal {kind} @"numr.{name}.{code}"({params}) alwaysinline {{'
    if name == "fmod":
        lines += [body, f"  %r = frem {kind} %x0, %x1", f"  ret {kind} %r", "}"]
        return "\n".join(lines), kept
    if name == "lgamma":  # SciPy's value at minus infinity is not C's
        infinity = "0xFFF0000000000000"
        lines += [
            f"declare {kind} @{symbol}({kinds})",
            body,
            f"  %r = call {kind} @{symbol}({params}) nounwind willreturn memory(none)",
            f"  %c = fcmp oeq {kind} %x0, {infinity}",
            f"  %s = select i1 %c, {kind} {infinity}, {kind} %r",
            f"  ret {kind} %s",
            "}",
        ]
        return "\n".join(lines), kept
    attributes = f"nounwind willreturn memory(none){variant_of}"
    lines += [
        f"declare {kind} @{symbol}({kinds})",
        body,
        f"  %r = call {kind} @{symbol}({params}) {attributes}",
        f"  ret {kind} %r",
        "}",
    ]
    return "\n".join(lines), kept


def _through_f64(name: str) -> str:
    arity = 2 if name in _ARITY_2 else 1
    wide = [f"  %w{i} = fpext float %x{i} to double" for i in range(arity)]
    args = ", ".join(f"double %w{i}" for i in range(arity))
    return "\n".join(
        [
            f'define internal float @"numr.{name}.f32"({_params("float", arity)}) alwaysinline {{',
            *wide,
            f'  %r = call double @"numr.{name}.f64"({args})',
            "  %s = fptrunc double %r to float",
            "  ret float %s",
            "}",
        ]
    )


def _rsqrt(code: str) -> str:
    kind = "double" if code == "f64" else "float"
    return "\n".join(
        [
            f'define internal {kind} @"numr.rsqrt.{code}"({kind} %x0) alwaysinline {{',
            _ROOT.format(kind=kind, code=code),
            f"  ret {kind} %r",
            "}",
            f"declare {kind} @llvm.sqrt.{code}({kind})",
        ]
    )


def _in_line(name: str) -> tuple[str, list[str]]:
    """A function with a vector form of our own."""
    if name == "rsqrt":
        scalar, needed = _ROOT.format(kind="double", code="f64"), "llvm.sqrt.f64"
    else:
        scalar, needed = f"  %r = call double @{name}(double %x0)", name
    lines, vector = vectorforms.in_line(name, scalar)
    return "\n".join([f"declare double @{needed}(double)", *lines]), [vector]


@functools.cache
def _special(name: str, chosen: str) -> str:
    source, params = special.SOURCES[name]
    text = frontend.lower(source, "special", params, "f64")
    text = "\n".join(t for t in text.splitlines() if not t.startswith(("target", "source", ";")))
    return re.sub(
        r'define double @"?special"?\(', f'define internal double @"numr.{name}.f64"(', text
    )


def complete(text: str, machine: Machine) -> str:
    """A module's text with definitions in place of its declarations of ``numr.`` functions."""
    pending = sorted(set(_CALLED.findall(text)))
    if not pending:
        return text
    parts, kept, done = [_DECLARED.sub("", text)], [], set()
    while pending:
        item = pending.pop()
        if item in done:
            continue
        done.add(item)
        name, code = item
        if code == "f32" and name in _THROUGH_F64:
            part = _through_f64(name)
        elif code == "f64" and name in vectorforms.FORMS and machine.lanes == vectorforms.LANES:
            part, variants = _in_line(name)
            kept += variants
        elif name == "rsqrt":
            part = _rsqrt(code)
        elif name in special.SOURCES:
            part = _DECLARED.sub("", _special(name, frontend.chosen()))
        else:
            part, variants = _library(name, code, machine)
            kept += variants
        parts.append(part)
        pending += _CALLED.findall(part)
    if kept:  # the vectoriser finds only variants that the module declares and keeps
        items = ", ".join(f"ptr @{v}" for v in kept)
        parts.append(
            f"@llvm.compiler.used = appending global [{len(kept)} x ptr] [{items}], "
            'section "llvm.metadata"'
        )
    return _merge_declarations("\n".join(parts) + "\n")


def _merge_declarations(text: str) -> str:
    """One declaration of each function, however many parts declared it."""
    seen: set[str] = set()
    lines = []
    for line in text.splitlines():
        if line.startswith("declare"):
            name = line.partition("@")[2].partition("(")[0].strip('"')
            if name in seen:
                continue
            seen.add(name)
        lines.append(line)
    return "\n".join(lines) + "\n"
