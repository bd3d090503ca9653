"""Kernel text to object code: the front end, the mathematics it needs, one LLVM run."""

from __future__ import annotations

import re

from numr.codegen.backends.cpu import machine, vectorforms, vectormath
from numr.codegen.language import frontend

_LLVM_TYPES = {"f32": "float", "f64": "double"}
_FLOAT_ARITHMETIC = re.compile(r"= (fadd|fsub|fmul|fdiv|fneg) (?:reassoc |contract )*")
# Not nnan and ninf: masked code relies on infinities even when rounding may be loose.
_FAST = r"= \1 reassoc nsz arcp contract afn "

# Mathematics put in line is long chains of dependent operations: two vectors at a time hide their
# latency, where LLVM, which counts registers, would take one.
_LOOP_OF_MATHEMATICS = re.compile(r"; mathematics\n(  br label [^\n]*)")
_LOOP = 9000
_TWO_AT_A_TIME = f"""
!{_LOOP} = distinct !{{!{_LOOP}, !{_LOOP + 1}}}
!{_LOOP + 1} = !{{!"llvm.loop.interleave.count", i32 2}}
"""


def packed_name(entry: str) -> str:
    """The name of the form of a kernel that takes (lo, hi, words), which launcher.py calls."""
    return entry + "_packed"


def _packed(entry: str, params: tuple[str, ...]) -> str:
    """``void entry_packed(lo, hi, words)``: the kernel with its other arguments in 8-byte words."""
    lines, args = [], ["i64 %lo", "i64 %hi"]
    for number, param in enumerate(params[2:]):
        if param.startswith("p:"):
            kind = "ptr"
        else:
            kind = _LLVM_TYPES.get(param) or ("i8" if param == "bool" else "i" + param[1:])
        lines.append(f"  %a{number} = getelementptr i64, ptr %words, i64 {number}")
        lines.append(f"  %v{number} = load {kind}, ptr %a{number}, align 8")
        value = f"%v{number}"
        if param == "bool":
            lines.append(f"  %b{number} = icmp ne i8 {value}, 0")
            kind, value = "i1", f"%b{number}"
        args.append(f"{kind} {value}")
    return "\n".join(
        [
            f"define void @{packed_name(entry)}(i64 %lo, i64 %hi, ptr %words) {{",
            *lines,
            # A tail call, not a second copy of the kernel.
            f"  call void @{entry}({', '.join(args)}) noinline",
            "  ret void",
            "}",
            "",
        ]
    )


def llvm_text(text: str, entry: str, params: tuple[str, ...], fast_math: bool) -> str:
    """The LLVM text of one kernel with the mathematics it uses and its packed form, not yet optimised."""
    return kernel_text(text, entry, params, fast_math, machine.host()) + _packed(entry, params)


def kernel_text(
    text: str, entry: str, params: tuple[str, ...], fast_math: bool, on: machine.Machine
) -> str:
    """The LLVM text of one kernel with the mathematics it uses on some machine, not yet optimised."""
    body = frontend.lower(text, entry, params)
    if fast_math:
        body = _FLOAT_ARITHMETIC.sub(_FAST, body)
    if on.lanes == vectorforms.LANES:
        body = _LOOP_OF_MATHEMATICS.sub(rf"\1, !llvm.loop !{_LOOP}", body) + _TWO_AT_A_TIME
    return vectormath.complete(body, on)


def compile_kernel(text: str, entry: str, params: tuple[str, ...], fast_math: bool) -> bytes:
    """Object code that defines ``void entry(params...)`` and its packed form.

    ``objects.load`` makes either callable. ``params`` starts with the range, ``"i64", "i64"``.
    """
    return machine.emit(machine.optimise(llvm_text(text, entry, params, fast_math)))


def assembly(text: str, entry: str, params: tuple[str, ...], fast_math: bool) -> str:
    """The machine code of a kernel as assembly text, to read."""
    return machine.assembly(machine.optimise(llvm_text(text, entry, params, fast_math)))


def optimised_llvm(text: str, entry: str, params: tuple[str, ...], fast_math: bool) -> str:
    """The optimised LLVM text of a kernel, to read and to test."""
    return str(machine.optimise(llvm_text(text, entry, params, fast_math)))
