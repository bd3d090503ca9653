"""LLVM on this machine, or for another one: what the processor can do, one optimisation run, object code.

Uses ``llvmlite.binding`` only, so that a process whose kernels are all on disk imports no Numba.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from numr.codegen import store
from numr.codegen.backends.cpu import vectorforms
from numr.codegen.language import frontend

_lock = threading.RLock()  # LLVM contexts and target machines are not to be used by two threads


@dataclass(frozen=True, slots=True)
class Machine:
    """What generated code may depend on."""

    triple: str
    cpu: str
    features: str
    lanes: int  # float64 values in a vector register
    fma: bool
    libmvec: bool  # glibc's vector mathematics is there

    @property
    def fingerprint(self) -> str:
        """Everything besides a kernel's text that changes its code, as a key field."""
        version = ".".join(map(str, llvm.llvm_version_info))
        digest = hashlib.sha256(self.features.encode()).hexdigest()[:16]
        host = f"{self.triple} {self.cpu} {digest} libmvec={_libc() if self.libmvec else 0}"
        return (
            f"llvm{version} {host} {frontend.chosen()}={store.digest(__file__, frontend.__file__)}"
        )


def _libc() -> str:
    return "-".join(platform.libc_ver())


@functools.cache
def has_symbol(name: str) -> bool:
    """Whether a library that this process has loaded defines the name."""
    return llvm.address_of_symbol(name) is not None


@functools.cache
def host() -> Machine:
    """This machine, with LLVM's native target ready."""
    with _lock:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        flags = llvm.get_host_cpu_features()
        triple = llvm.get_process_triple()
    x86 = platform.machine() in ("x86_64", "AMD64")
    libmvec = False
    if x86 and triple.endswith("linux-gnu") and platform.libc_ver()[0] == "glibc":
        try:
            llvm.load_library_permanently("libmvec.so.1")
            libmvec = True
        except RuntimeError:
            libmvec = False
    lanes = lanes_of({name for name, there in flags.items() if there})
    return Machine(
        triple=triple,
        cpu=llvm.get_host_cpu_name(),
        features=",".join(filter(None, (flags.flatten(), tuning(lanes)))),
        lanes=lanes,
        fma=not x86 or bool(flags.get("fma")),
        libmvec=libmvec,
    )


def tuning(lanes: int) -> str:
    """What LLVM is told beside a processor's features.

    It takes some with AVX-512 to be better at half their vectors, and then finds no vector form of mathematics:
    vectorforms.py has them for whole ones.
    """
    return "-prefer-256-bit" if lanes == vectorforms.LANES else ""


def lanes_of(features: Collection[str]) -> int:
    """float64 values in a vector register, where 128 bits are what every processor has."""
    if "avx" not in features:
        return 2
    return 8 if "avx512f" in features and "avx512dq" in features else 4


@functools.cache
def target_machine(machine: Machine) -> Any:
    """Code generation for a machine (large distances to libm are possible)."""
    target = llvm.Target.from_triple(machine.triple)
    return target.create_target_machine(
        cpu=machine.cpu, features=machine.features, opt=2, reloc="pic", codemodel="default"
    )


def _passes(machine: Machine, level: int = 2) -> Any:
    # For single kernels level 3 is a fifth slower to compile and was no faster to run.
    tuning = llvm.create_pipeline_tuning_options(speed_level=level)
    tuning.loop_vectorization = True
    tuning.slp_vectorization = False
    tuning.loop_interleaving = True
    tuning.loop_unrolling = True
    builder = llvm.create_pass_builder(target_machine(machine), tuning)
    return builder, builder.getModulePassManager()


def optimise(text: str, machine: Machine | None = None) -> Any:
    """The optimised LLVM module of a module's text: one run of LLVM's -O2 pipeline.

    Args:
        text: the module.
        machine: what it is for; by default this one.
    """
    machine = machine or host()
    with _lock:
        module = llvm.parse_assembly(text)
        module.triple = machine.triple
        module.data_layout = str(target_machine(machine).target_data)
        module.verify()
        builder, passes = _passes(machine)
        passes.run(module, builder)
        if f"{vectorforms.SUFFIX}(" in text:
            _put_in_line(module, builder)
        return module


def _put_in_line(module: Any, builder: Any) -> None:
    """Put what the vectoriser called instead of scalar functions into its place."""
    # So far the vector forms were held for the vectoriser to find; under another name this holds none.
    kept = module.get_global_variable("llvm.compiler.used")
    kept.name, kept.linkage = "numr_kept", "private"
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_instruction_combine_pass()
    passes.run(module, builder)


def joined(
    modules: Sequence[Any], exported: Collection[str], in_line: Collection[str], machine: Machine
) -> Any:
    """One module of several optimised ones, which are used up.

    Args:
        modules: what calls the others first.
        exported: functions that others see; the rest is the module's own.
        in_line: functions that are put in line wherever they are called; of the rest some are.
        machine: what they are for.
    """
    with _lock:
        whole, *rest = modules
        for module in rest:
            whole.link_in(module)
        for held in whole.global_variables:
            # What names hold for the vectoriser, which has run.
            if held.name == "llvm.compiler.used":
                held.name, held.linkage = "numr_kept", "private"
        for function in whole.functions:
            if not function.is_declaration and function.name not in exported:
                function.linkage = "internal"
            if function.name in in_line:
                function.add_function_attribute("alwaysinline")
        whole.verify()
        # 5 % faster than level 2, where kernels that work on numbers one by one become one another's.
        builder, passes = _passes(machine, level=3)
        passes.run(whole, builder)
        return whole


def emit(module: Any, machine: Machine | None = None) -> bytes:
    """Relocatable object code of an optimised module."""
    with _lock:
        return bytes(target_machine(machine or host()).emit_object(module))


def assembly(module: Any, machine: Machine | None = None) -> str:
    """Assembly text of an optimised module."""
    with _lock:
        return str(target_machine(machine or host()).emit_assembly(module))
