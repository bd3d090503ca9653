"""Kernel text to object code: the front end, the mathematics it needs, one LLVM run.

The kernel language (what a printer may write) is a subset of Python that Numba compiles::

    def entry(lo, hi, a0, a1, ..., n0, n1, ...):
        for i in range(lo, hi):
            x0 = a0[i]
            a1[i] = x0 * f64(0.5) + exp(x0)

* A parameter has a type code: ``p:f64`` (pointer; also f32, i8..i64, u8..u64, and ``p:bool``, bytes
  of 0 or 1 that read as u8), ``i64`` for sizes, any scalar code for scalars. Pointers do not alias.
* Statements: assignment, ``+=`` and the like, ``for _ in range(lo, hi[, step])``, ``while``,
  ``if``/``else``, ``a[i] = v``. A variable keeps one type. No closures, no calls but those below.
* Both operands of an operator have one type, which is the result's (so i32 + i32 is i32, wrapping).
  ``/`` is for floats; ``//`` and ``%`` are for integers, floor as NumPy has it, and never trap
  (division by zero gives 0). ``& | ^ ~ << >>`` on integers, ``& | ^ ~ not`` on booleans;
  comparisons give booleans. Untyped literals are f64 and i64: write ``f32(0.5)``, ``u8(1)``.
* ``f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 boolean``: conversions, from any type. Float to integer
  saturates and NaN gives 0. ``bitcast_f64(x)`` and so on: the same bits as another type.
* In f32 and f64: exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh
  asinh acosh atanh erf erfc lgamma digamma cbrt sqrt floor ceil rint trunc, atan2 pow hypot
  copysign, polygamma(n, x), fma(a, b, c); isnan isinf isfinite signbit give booleans.
* ``fabs``, ``fmod``, ``fmin_nan``, ``fmax_nan`` on any numbers; the last two propagate NaN.
* ``select(c, a, b)``: a choice without a branch; both sides are evaluated.
* ``add_reassoc(acc, x)``, ``mul_reassoc``, ``min_reassoc``, ``max_reassoc``: a step of a reduction
  that LLVM may reorder, and so vectorise. All other arithmetic keeps its exact IEEE meaning.
* ``udiv(a, b)``, ``urem(a, b)``: index arithmetic, a >= 0 and b > 0 known; else undefined.
* ``inf``, ``nan``: f64 constants.
"""

from __future__ import annotations

import re

from numr.codegen.backends.cpu import frontend, machine, vectorforms, vectormath

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
    """The LLVM text of one kernel with the mathematics it uses, not yet optimised."""
    body = frontend.lower(text, entry, params)
    if fast_math:
        body = _FLOAT_ARITHMETIC.sub(_FAST, body)
    if machine.host().lanes == vectorforms.LANES:
        body = _LOOP_OF_MATHEMATICS.sub(rf"\1, !llvm.loop !{_LOOP}", body) + _TWO_AT_A_TIME
    return vectormath.complete(body, machine.host()) + _packed(entry, params)


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
