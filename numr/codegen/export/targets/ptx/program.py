"""A program in C that runs every function of a bundle once on a device: how its host is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from numr.codegen.export import abi
from numr.codegen.export import header as c_header
from numr.codegen.export.record import Argument, Recording
from numr.codegen.export.targets.c.driver import joined
from numr.codegen.export.targets.c.prelude import Prelude
from numr.codegen.export.targets.c.printer import wrapped
from numr.codegen.export.targets.c.spelling import Use, position
from numr.ir.formulas import Formula

# So many elements of each result are printed.
_SHOWN = 8


def source(called: str, recordings: Sequence[Recording]) -> str:
    """The text of `<called>_main.c`."""
    prelude = Prelude()
    functions = [line for r in recordings for line in _function(called, r, prelude.use)]
    symbols = list(dict.fromkeys(s for r in recordings for s in r.symbols))
    usage = " ".join([f"{called}.ptx", *symbols])
    return "\n".join(
        [
            f"/* {called}: every function once, on numbers that are made up. Made by numr.export.",
            " *",
            f" *     cc {called}_main.c {called}_host.c -I$CUDA_HOME/include -lcuda -o {called}",
            f" *     ./{called} {usage}",
            " */",
            f'#include "{called}.h"',
            "",
            "#include <stdio.h>",
            "#include <stdlib.h>",
            "",
            *prelude.texts(),
            _READ_FILE,
            _ALLOCATE,
            *functions,
            *_main(called, recordings, symbols, usage),
        ]
    )


_READ_FILE = """\
/* What is in a file, with a 0 after it; NULL if it cannot be read. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *data = NULL;
    long size = -1;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
    }
    if (size >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        data = calloc((size_t)size + 1, 1);
    }
    if (data && fread(data, 1, (size_t)size, file) != (size_t)size) {
        free(data);
        data = NULL;
    }
    if (file) {
        fclose(file);
    }
    return data;
}
"""
_ALLOCATE = """\
/* Zeros. */
static void *allocate(int64_t count, size_t size)
{
    void *made = calloc(count > 0 ? (size_t)count : 1, size);
    if (!made) {
        fprintf(stderr, "there is no memory for %lld elements\\n", (long long)count);
        exit(1);
    }
    return made;
}
"""


def _function(called: str, recording: Recording, use: Use) -> Iterator[str]:
    """A function that calls another one and prints what comes of it."""
    names = c_header.names(recording)
    symbols = dict(zip(recording.symbols, names.sizes, strict=True))
    name = abi.function_name(called, recording.name)
    sizes = [f"int64_t {n}" for n in names.sizes]
    yield from wrapped(f"static int run_{recording.name}(", [f"{called}_context *context", *sizes])
    yield "{"
    yield f"    if ({name}_workspace({', '.join(names.sizes)}) < 0) {{"
    yield f'        printf("{recording.name} does not take these sizes\\n");'
    yield "        return NUMR_SIZE;"
    yield "    }"
    arrays = [
        *zip(recording.inputs, names.inputs, strict=True),
        *zip(recording.outputs, names.outputs, strict=True),
    ]
    for a, n in arrays:
        yield f"    const int64_t numr_count_{n} = {position(_parts(a), use, symbols)};"
        yield f"    {c_header.stored(a.dtype)} *{n} = allocate(numr_count_{n}, sizeof *{n});"
    for a, n in arrays[: len(recording.inputs)]:
        if a.dtype.kind in "fc" and not a.dtype.is_half:
            kind = c_header.stored(a.dtype)
            yield f"    for (int64_t numr_at = 0; numr_at < numr_count_{n}; ++numr_at) {{"
            yield f"        {n}[numr_at] = ({kind})(0.5 + 0.25 * (double)(numr_at % 8));"
            yield "    }"
    given = [*(n for _, n in arrays), *names.sizes, "context"]
    yield from joined(f"    const int numr_status = {name}(", given, ", ", ");")
    yield f'    printf("{recording.name}: status %d\\n", numr_status);'
    for _, n in arrays[len(recording.inputs) :]:
        yield f'    printf("  {n}, %lld numbers:", (long long)numr_count_{n});'
        yield f"    for (int64_t numr_at = 0; numr_at < numr_count_{n} && numr_at < {_SHOWN}; ++numr_at) {{"
        yield f'        printf(" %.9g", (double){n}[numr_at]);'
        yield "    }"
        yield f'    printf("%s\\n", numr_count_{n} > {_SHOWN} ? " ..." : "");'
    yield from (f"    free({n});" for _, n in arrays)
    yield "    return numr_status;"
    yield "}"
    yield ""


def _parts(a: Argument) -> Formula:
    """How many numbers an array has; a complex one is two."""
    total = Formula.of(2 if a.dtype.kind == "c" else 1)
    for n in a.shape:
        total = total * n
    return total


def _main(
    called: str, recordings: Sequence[Recording], symbols: Sequence[str], usage: str
) -> Iterator[str]:
    count = 2 + len(symbols)
    yield "int main(int count, char **arguments)"
    yield "{"
    yield f"    {called}_context *context = NULL;"
    yield "    char *image = NULL;"
    yield "    int status;"
    yield f"    if (count != {count} || !(image = read_file(arguments[1]))) {{"
    yield f'        fprintf(stderr, "usage: %s {usage}\\n", arguments[0]);'
    yield "        return 2;"
    yield "    }"
    yield f"    status = {called}_context_open(&context, 0, image);"
    yield "    free(image);"
    for recording in recordings:
        places = [f"atoll(arguments[{2 + symbols.index(s)}])" for s in recording.symbols]
        yield "    if (status == NUMR_OK) {"
        yield from joined(
            f"        status = run_{recording.name}(", ["context", *places], ", ", ");"
        )
        yield "    }"
    yield "    if (status == NUMR_DEVICE) {"
    yield f'        fprintf(stderr, "%s\\n", {called}_context_error(context));'
    yield "    }"
    yield f"    {called}_context_close(context);"
    yield "    return status;"
    yield "}"
    yield ""
