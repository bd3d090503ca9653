"""A program in C that times what it is linked with, by turns, and writes what each computed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_NAME = re.compile(r"\b(?:in|out|turned)\d+\b|\bwork\b")
LINES = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of a call, from as many in a row as take a tenth of a millisecond. */
static double timed(void (*call)(void), long calls)
{
    const double start = now();
    for (long k = 0; k < calls; k++) call();
    return (now() - start) / (double)calls;
}

static double given(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* Numbers from `low` to `low` + 1. */
static void fill(double *x, long n, double low, uint64_t seed)
{
    for (long k = 0; k < n; k++) x[k] = low + given(&seed);
}

/* A matrix as it is by columns. */
static void turned(const double *x, double *y, long rows, long columns)
{
    for (long i = 0; i < rows; i++)
        for (long j = 0; j < columns; j++) y[j * rows + i] = x[i * columns + j];
}

static void told(FILE *file, const double *x, long n)
{
    if (fwrite(x, sizeof *x, (size_t)n, file) != (size_t)n) exit(1);
}
"""


@dataclass
class Variant:
    """One implementation of a case: what is declared for it, and how it is called.

    `call` may name `in<k>`, `out<k>` and `work`, or `turned<k>` for a matrix by columns.
    """

    who: str
    declared: str
    call: str


@dataclass
class Timing:
    """A case: shapes of its inputs and outputs, the least of the inputs' numbers, and its implementations."""

    name: str
    inputs: Sequence[tuple[int, ...]]
    outputs: Sequence[tuple[int, ...]]
    low: float = 0.1
    variants: list[Variant] = field(default_factory=list)


def count(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def source(timings: Sequence[Timing], rounds: int, work: int) -> str:
    """The program: it prints `case who seconds` for each turn, and writes results to the file it is given."""
    parts, calls = [LINES], []
    for number, timing in enumerate(timings):
        names: dict[str, str] = {"work": f"work{number}"}
        parts.append(f"static double work{number}[{work}];")
        calls.append(f"    /* {timing.name} */")
        for k, shape in enumerate(timing.inputs):
            names |= {f"in{k}": f"c{number}in{k}", f"turned{k}": f"c{number}turned{k}"}
            parts.append(f"static double c{number}in{k}[{count(shape)}];")
            calls.append(f"    fill(c{number}in{k}, {count(shape)}, {timing.low}, {k + 1});")
            if len(shape) == 2:
                parts.append(f"static double c{number}turned{k}[{count(shape)}];")
                calls.append(
                    f"    turned(c{number}in{k}, c{number}turned{k}, {shape[0]}, {shape[1]});"
                )
        for k, shape in enumerate(timing.outputs):
            names[f"out{k}"] = f"c{number}out{k}"
            parts.append(f"static double c{number}out{k}[{count(shape)}];")
        made = []
        for v, variant in enumerate(timing.variants):
            call = _NAME.sub(lambda m, names=names: names[m.group()], variant.call)
            parts.append(variant.declared)
            parts.append(f"static void c{number}v{v}(void) {{ {call} }}")
            made.append(f"c{number}v{v}")
            calls.append(f"    c{number}v{v}();")
            calls += [
                f"    told(file, c{number}out{k}, {count(shape)});"
                for k, shape in enumerate(timing.outputs)
            ]
        who = ", ".join(f'"{v.who}"' for v in timing.variants)
        calls += [
            "    {",
            f"        void (*const each[])(void) = {{{', '.join(made)}}};",
            f"        const char *const who[] = {{{who}}};",
            "        long calls = 1;",
            "        while (timed(each[0], calls) * (double)calls < 1e-4) calls *= 2;",
            f"        for (int turn = 0; turn < {rounds}; turn++)",
            f"            for (int k = 0; k < {len(made)}; k++)",
            f'                printf("{timing.name} %s %.4e\\n", who[k], timed(each[k], calls));',
            "    }",
        ]
    return "\n".join(
        [
            *parts,
            "int main(int count, char **arguments)",
            "{",
            '    FILE *file = count == 2 ? fopen(arguments[1], "wb") : NULL;',
            "    if (!file) return 1;",
            *calls,
            "    return fclose(file);",
            "}",
            "",
        ]
    )
