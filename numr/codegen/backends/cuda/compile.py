"""Kernel text to PTX and machine code: the front end, the loop over a thread's points, NVVM, nvJitLink.

The compiler libraries come with numba-cuda and need no device. Of their Python side only NVIDIA's own
bindings are used: numba-cuda's import takes 0.6 s and its front end about as long for each kernel,
which is what a whole first call may take here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numr import messages
from numr.codegen.backends.cuda import functions, memory
from numr.codegen.backends.cuda.neighbours import points_of_thread
from numr.codegen.backends.cuda.print import CudaPrinter, shared_memory
from numr.codegen.kernel import Kernel
from numr.codegen.language import frontend

_LAYOUT = (
    "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-i128:128:128-f32:32:32-f64:64:64-"
    "v16:16:16-v32:32:32-v64:64:64-v128:128:128-n16:32:64"
)
_TYPES = {"f32": "float", "f64": "double", "bool": "i8"}
_TARGET = re.compile(r"^target [^\n]*\n", re.M)
_READ = ("tid.x", "ntid.x", "ctaid.x", "nctaid.x")
# The first of the numbers that no front end gives to metadata.
_METADATA = 1000


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The compiler libraries."""

    nvvm: Any
    nvjitlink: Any
    libdevice: bytes
    fingerprint: str


@functools.cache
def toolchain() -> Toolchain:
    """The compiler libraries, loaded on first use.

    Raises:
        DeviceError: if they are not installed, with what to install.
    """
    try:
        from cuda import pathfinder
        from cuda.bindings import nvjitlink, nvvm

        with open(pathfinder.find_bitcode_lib("device"), "rb") as file:
            libdevice = file.read()
        versions = (*nvvm.version(), *nvvm.ir_version(), *nvjitlink.version())
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise messages.no_device(
            "cuda",
            f'the CUDA compiler libraries are not there: pip install "numr[cuda]" ({reason[0]})',
            ["cpu"],
        ) from None
    return Toolchain(nvvm, nvjitlink, libdevice, ".".join(map(str, versions)))


def _type(code: str) -> str:
    kind = code[2:] if code[1:2] == ":" else code
    kind = _TYPES.get(kind) or f"i{kind[1:]}"
    return kind + "*" if code[1:2] == ":" else kind


def llvm_text(kernel: Kernel, fast_math: bool) -> str:
    """The LLVM text of a kernel, not yet optimised."""
    printer = CudaPrinter()
    params = printer.parameters(kernel)
    text = frontend.lower(printer.print(kernel), kernel.entry, tuple(code for _, code in params))
    inner = f"{kernel.entry}_points"
    text = _TARGET.sub("", text)
    text = re.sub(
        rf'^define void @"?{kernel.entry}"?\((.*)\)\s*$',
        rf"define internal void @{inner}(\1) alwaysinline",
        text,
        flags=re.M,
    )
    head = f'target triple = "nvptx64-nvidia-cuda"\ntarget datalayout = "{_LAYOUT}"\n'
    also = ["numr.barrier"] if kernel.lanes > 1 else []
    return head + functions.complete(text, fast_math, also) + _around(kernel, inner, params)


def _around(kernel: Kernel, inner: str, params: list[tuple[str, str]]) -> str:
    """The kernel: a loop over the points of a thread, or of a block, around the function of a few."""
    shared = shared_memory(kernel)
    names = {name for name, _, _ in shared}
    lines = []
    passed = []
    # The host gives every number in a word of 8 bytes.
    outer = ["i64 %points.given"]
    for name, dtype, length in shared:
        kind = _type(f"s:{dtype.short}")[:-1]
        lines.append(
            f"@{kernel.entry}_{name} = internal addrspace(3) global [{length} x {kind}] undef, align 16"
        )
        whole = f"[{length} x {kind}]"
        passed.append(
            f"{kind}* addrspacecast ({kind} addrspace(3)* getelementptr ({whole}, {whole} addrspace(3)* "
            f"@{kernel.entry}_{name}, i64 0, i64 0) to {kind}*)"
        )
    given = []
    for name, code in params[2:]:
        if name == "lane" or name in names:
            continue
        kind = _type(code)
        given.append(f"{kind} %{name}")
        if kind[-1] == "*":
            alone = "noalias " if code[0] == "p" else ""
            outer.append(f"{kind} {alone}align {memory.ALIGNED} %{name}")
        else:
            outer.append(f"i64 %{name}.given")
    lanes = kernel.lanes > 1
    count = points_of_thread(kernel)
    index = _type(kernel.index.short)

    def call(start: str, end: str) -> str:
        lane = [f"{index} %lane"] if lanes else []
        args = ", ".join([f"{index} {start}", f"{index} {end}", *lane, *given, *passed])
        return f"  call void @{inner}({args})"

    def as_index(name: str, width: str, signed: bool = True) -> str:
        """A line that makes %name from %name.given of a width."""
        op = (
            "add" if width == index else "trunc" if width == "i64" else "sext" if signed else "zext"
        )
        rest = f"{index} %{name}.given, 0" if op == "add" else f"{width} %{name}.given to {index}"
        return f"  %{name} = {op} {rest}"

    lines += [
        *(f"declare i32 @llvm.nvvm.read.ptx.sreg.{name}()" for name in _READ),
        f"define void @{kernel.entry}({', '.join(outer)}) {{",
        "start:",
    ]
    for name in _READ:
        short = name.removesuffix(".x")
        lines.append(f"  %{short}.given = call i32 @llvm.nvvm.read.ptx.sreg.{name}()")
        lines.append(as_index(short, "i32", signed=False))
    lines += [as_index(name, "i64") for name in ("points", *kernel.sizes)]
    if lanes:
        lines += [f"  %lane = add {index} %tid, 0", f"  %first = add {index} %ctaid, 0"]
        lines += [f"  %step = add {index} %nctaid, 0"]
    else:
        lines += [
            f"  %before = mul {index} %ctaid, %ntid",
            f"  %first = add {index} %before, %tid",
            f"  %step = mul {index} %ntid, %nctaid",
        ]
    lines += [
        "  br label %loop",
        "loop:",
        f"  %chunk = phi {index} [ %first, %start ], [ %next, %again ]",
        f"  %here = mul {index} %chunk, {count}",
        f"  %more = icmp slt {index} %here, %points",
        "  br i1 %more, label %body, label %done",
        "body:",
    ]
    if count == 1:
        lines.append(f"  %i = add {index} %here, 0")
    else:
        # Through an instruction that no pass sees into: a pointer that is counted on from one round to
        # the next would no longer be known to be aligned, and the loads not become one.
        width, letter = ("32", "r") if index == "i32" else ("64", "l")
        lines.append(
            f'  %hidden = call {index} asm "mov.u{width} $0, $1;", "={letter},{letter}"({index} %chunk)'
        )
        lines.append(f"  %i = shl nuw nsw {index} %hidden, {count.bit_length() - 1}")
    lines.append(f"  %end = add nuw nsw {index} %i, {count}")
    if count == 1:
        lines += [call("%i", "%end"), "  br label %again"]
    else:
        lines += [
            f"  %whole = icmp sle {index} %end, %points",
            "  br i1 %whole, label %all, label %some",
            "all:",
            call("%i", "%end"),
            "  br label %again",
            "some:",
            f"  %j = phi {index} [ %i, %body ], [ %after, %some ]",
            f"  %after = add nuw nsw {index} %j, 1",
            call("%j", "%after"),
            f"  %rest = icmp slt {index} %after, %points",
            f"  br i1 %rest, label %some, label %again, !llvm.loop !{_METADATA + 2}",
        ]
    lines.append("again:")
    if lanes:
        # No lane may begin the next point while another still reads what it would overwrite.
        lines.append('  call void @"numr.barrier"()')
    lines += [
        f"  %next = add {index} %chunk, %step",
        "  br label %loop",
        "done:",
        "  ret void",
        "}",
        f"!nvvm.annotations = !{{!{_METADATA}}}",
        f'!{_METADATA} = !{{void ({", ".join(o.split(" ")[0] for o in outer)})* @{kernel.entry}, !"kernel", i32 1}}',
        f"!nvvmir.version = !{{!{_METADATA + 1}}}",
        f"!{_METADATA + 1} = !{{{', '.join(f'i32 {n}' for n in toolchain().nvvm.ir_version())}}}",
        f"!{_METADATA + 2} = distinct !{{!{_METADATA + 2}, !{_METADATA + 3}}}",
        f'!{_METADATA + 3} = !{{!"llvm.loop.unroll.disable"}}',
        "",
    ]
    return "\n".join(lines)


def to_ptx(texts: Sequence[str], capability: tuple[int, int], fast_math: bool) -> str:
    """PTX for devices of a compute capability: one module, from the LLVM texts of kernels.

    Raises:
        RuntimeError: with NVVM's message, for text or a compute capability that it does not take.
    """
    tools = toolchain()
    nvvm = tools.nvvm
    # A product and a sum round twice, as everywhere, but in the sums that may be reordered.
    options = [f"-arch=compute_{capability[0]}{capability[1]}", "-opt=3", f"-fma={int(fast_math)}"]
    if fast_math:
        options += ["-ftz=1", "-prec-div=0", "-prec-sqrt=0"]
    program = nvvm.create_program()
    try:
        try:
            for k, text in enumerate(texts):
                data = text.encode()
                nvvm.add_module_to_program(program, data, len(data), f"kernel {k}")
            nvvm.lazy_add_module_to_program(
                program, tools.libdevice, len(tools.libdevice), "libdevice"
            )
            nvvm.compile_program(program, len(options), options)
        except Exception as error:
            log = bytearray(nvvm.get_program_log_size(program))
            nvvm.get_program_log(program, log)
            message = log.decode(errors="replace").rstrip("\0 \n")
            raise RuntimeError(f"NVVM rejects a kernel: {error}\n{message}") from None
        result = bytearray(nvvm.get_compiled_result_size(program))
        nvvm.get_compiled_result(program, result)
    finally:
        nvvm.destroy_program(program)
    return result.decode().rstrip("\0")


def to_cubin(ptx: str, capability: tuple[int, int]) -> bytes:
    """Machine code for a compute capability, from PTX.

    Raises:
        RuntimeError: with the assembler's message, for PTX it does not take.
    """
    link = toolchain().nvjitlink
    handle = link.create(1, [f"-arch=sm_{capability[0]}{capability[1]}"])
    try:
        data = ptx.encode() + b"\0"
        try:
            link.add_data(handle, link.InputType.PTX, data, len(data), "kernel.ptx")
            link.complete(handle)
        except Exception as error:
            log = bytearray(link.get_error_log_size(handle))
            link.get_error_log(handle, log)
            message = log.decode(errors="replace").rstrip("\0 \n")
            raise RuntimeError(f"the assembler rejects a kernel: {error}\n{message}") from None
        result = bytearray(link.get_linked_cubin_size(handle))
        link.get_linked_cubin(handle, result)
    finally:
        link.destroy(handle)
    return bytes(result)


def compile_kernel(kernel: Kernel, capability: tuple[int, int], fast_math: bool) -> str:
    """A kernel's PTX."""
    return to_ptx([llvm_text(kernel, fast_math)], capability, fast_math)
