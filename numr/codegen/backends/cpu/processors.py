"""Processors by name: what each can do, for code that is to run on another machine than this one."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import llvmlite.binding as llvm

from numr.codegen.backends.cpu import machine
from numr.codegen.backends.cpu.machine import Machine

# LLVM ends the process when it is given a name that it does not know, so the names are here.
X86 = (
    *("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"),
    *("core2", "penryn", "nehalem", "westmere", "sandybridge", "ivybridge", "haswell", "broadwell"),
    *("skylake", "skylake-avx512", "cascadelake", "cooperlake", "cannonlake", "icelake-client"),
    *("icelake-server", "tigerlake", "rocketlake", "alderlake", "raptorlake", "meteorlake"),
    *("arrowlake", "lunarlake", "sapphirerapids", "emeraldrapids", "graniterapids"),
    *("goldmont", "goldmont-plus", "tremont", "gracemont", "sierraforest", "grandridge"),
    *("btver2", "bdver1", "bdver2", "bdver3", "bdver4"),
    *("znver1", "znver2", "znver3", "znver4", "znver5"),
)
_BASE = X86[0]
# What compilers use for ordinary code; the rest is for systems, cryptography and the like.
_ORDINARY = re.compile(
    r"sse|ssse|avx|fma|f16c|bmi|lzcnt|popcnt|movbe|tbm|xop|adx|gfni|ndd|nf|egpr|ccmp|ppx|zu|cf$"
)


@functools.cache
def named(name: str) -> Machine:
    """A processor of this machine's kind, with the system of this one.

    Raises:
        ValueError: for a name that is none of `X86`, or where this machine's processor is of another kind.
    """
    here = machine.host()
    if name not in X86 or not is_x86(here):
        raise ValueError(name)
    found = features(name)
    lanes = machine.lanes_of(found)
    tuning = machine.tuning(lanes)
    return replace(here, cpu=name, features=tuning, lanes=lanes, fma="fma" in found)


def is_x86(made: Machine) -> bool:
    """Whether a machine's processor is an x86-64."""
    return made.triple.startswith("x86_64")


def needed(made: Machine) -> list[str]:
    """The features that a processor needs to run code that was made for a machine, beyond the least."""
    if "+" not in made.features:
        return sorted(features(made.cpu))
    there = {word[1:] for word in made.features.split(",") if word.startswith("+")}
    if is_x86(made):
        there = {f for f in there if _ORDINARY.match(f)} - {"sse", "sse2"}
    return sorted(there)


@functools.cache
def features(name: str) -> frozenset[str]:
    """What LLVM takes a processor of this name to have beyond the least x86-64."""
    return _asked(name) - _asked(_BASE)


def _asked(name: str) -> frozenset[str]:
    """LLVM is not asked for a processor's features directly: it puts a function in line into another
    only where the other's processor has all that the function may use."""
    known = [f for f in llvm.get_host_cpu_features() if _ORDINARY.match(f)]
    made = replace(machine.host(), cpu=_BASE, features="", lanes=2)
    parts = [
        f'define internal void @f{k}() "target-features"="+{f}" {{\n  call void @g{k}()\n  ret void\n}}\n'
        f"declare void @g{k}()\n"
        for k, f in enumerate(known)
    ]
    calls = "\n".join(f"  call void @f{k}()" for k in range(len(known)))
    parts.append(f'define void @all() "target-cpu"="{name}" {{\n{calls}\n  ret void\n}}\n')
    module = machine.optimise("".join(parts), made)
    kept = {f.name for f in module.functions if not f.is_declaration}
    return frozenset(f for k, f in enumerate(known) if f"f{k}" not in kept)
