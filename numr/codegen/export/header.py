"""The C header of a bundle: what each function takes and returns, and how to call it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from numr import messages
from numr.codegen.export import abi
from numr.codegen.export.record import Argument, Recording
from numr.dtypes import DType

_WIDTH = 96
# Words of C and C++ that Python has not, so that an argument may be called so.
WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        alignas alignof asm atomic_cancel auto bitand bitor bool case catch char char8_t
        char16_t char32_t compl concept const consteval constexpr constinit const_cast
        co_await co_return co_yield decltype default delete do double dynamic_cast enum
        explicit export extern float friend goto inline int int8_t int16_t int32_t int64_t
        long mutable namespace new noexcept not_eq nullptr operator or_eq private protected
        public register reinterpret_cast requires restrict short signed sizeof static
        static_assert static_cast struct switch template this thread_local throw typedef
        typeid typename uint8_t uint16_t uint32_t uint64_t union unsigned using virtual void
        volatile wchar_t xor xor_eq and_eq true false
        """,
    )
)
# Functions that programs have from C's library, whatever they include.
_LIBRARY = frozenset(
    re.findall(
        r"\w+",
        """
        abort abs access acos acosh asin asinh atan atan2 atanh cbrt ceil close connect copysign
        cos cosh div erf erfc errno exit exp exp2 expm1 fabs fdim floor fma fmax fmin fmod fprintf
        free frexp gamma hypot index j0 j1 jn kill labs ldexp lgamma link listen log log10 log1p
        log2 main malloc memcmp memcpy memmove memset modf nan nearbyint nextafter nice open pause
        pipe pow printf puts qsort raise rand random read realloc remove rename rint round scalb
        select send signal signgam sin sinh sleep sqrt strlen sync system tan tanh tgamma time
        trunc wait write y0 y1 yn
        """,
    )
)


def check_names(called: str, recordings: Sequence[Recording]) -> None:
    """That functions are called neither as one of C's own nor as another one in the bundle.

    Raises:
        ExportError: if one is.
    """
    taken = {abi.metadata_name(called)}
    for recording in recordings:
        name = abi.function_name(called, recording.name)
        if name in WORDS or name in _LIBRARY:
            raise messages.cannot_export(
                f"the function would be called {name!r}, which C has already",
                "give the folder or the function another name: together they make the function's",
            )
        for made in (name, f"{name}_workspace"):
            if made in taken:
                raise messages.cannot_export(
                    f"two functions of the bundle {called} would be called {made!r}",
                    f"name {recording.name} otherwise",
                )
            taken.add(made)


def stored(dtype: DType) -> str:
    """The C type of an array's elements: parts of complex numbers, a byte a boolean, the bits of a 16-bit float."""
    if dtype.kind == "b":
        return "uint8_t"
    if dtype.kind in "iu":
        return f"{'u' if dtype.kind == 'u' else ''}int{dtype.bits}_t"
    if dtype.is_half:
        return "uint16_t"
    real = dtype.bits // 2 if dtype.kind == "c" else dtype.bits
    return "float" if real == 32 else "double"


@dataclass(frozen=True, slots=True)
class Names:
    """What a function's parameters are called in C: each otherwise than the others and than C's own words."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sizes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Convention:
    """How functions are called.

    Attributes:
        words: what callers have to know.
        declared: what is declared before the functions.
        last: their last parameter.
    """

    words: str
    declared: tuple[str, ...] = ()
    last: str = "void *workspace"


HOST = Convention(
    "Arrays are row-major and do not overlap. A workspace is memory of at least as many bytes as the "
    "function's _workspace tells for the same sizes, or NULL where it tells 0; it tells -1 for sizes "
    "that the function does not take. Functions allocate nothing and have no state: threads may call "
    "them at once, each with a workspace of its own. What is not NUMR_OK has written nothing."
)


def names(recording: Recording) -> Names:
    """The names of a function's parameters; sizes and inputs keep theirs before outputs do."""
    taken = {"workspace", "context", *WORDS}

    def free(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    sizes = tuple(free(s) for s in recording.symbols)
    inputs = tuple(free(a.name) for a in recording.inputs)
    return Names(inputs, tuple(free(a.name) for a in recording.outputs), sizes)


def parameters(recording: Recording, last: str = HOST.last) -> list[str]:
    """The parameters of a function, as C declares them."""
    called = names(recording)
    return [
        *(
            f"const {stored(a.dtype)} *{n}"
            for a, n in zip(recording.inputs, called.inputs, strict=True)
        ),
        *(
            f"{stored(a.dtype)} *{n}"
            for a, n in zip(recording.outputs, called.outputs, strict=True)
        ),
        *(f"int64_t {n}" for n in called.sizes),
        last,
    ]


def sizes(recording: Recording) -> str:
    """The parameters of a function's workspace query."""
    return ", ".join(f"int64_t {n}" for n in names(recording).sizes) or "void"


def header(
    called: str, recordings: Sequence[Recording], build: str, convention: Convention = HOST
) -> str:
    """The text of `<called>.h`.

    Args:
        called: the bundle's name.
        recordings: its functions.
        build: the command that builds a program with it.
        convention: how its functions are called.
    """
    guard = f"{called.upper()}_H"
    return "\n".join(
        [
            f"/* {called}: made by numr.export.",
            " *",
            f" *     {build}",
            " *",
            *_comment(convention.words),
            " */",
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "#include <stdint.h>",
            "",
            "#ifndef NUMR_STATUS",
            "#define NUMR_STATUS",
            "enum {",
            f"    NUMR_OK = {abi.OK},",
            f"    NUMR_SIZE = {abi.SIZE}, /* a size below 1, or one that the function does not take */",
            f"    NUMR_NULL = {abi.NULL}  /* a pointer is null */",
            "};",
            "#endif",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            *convention.declared,
            *(line for r in recordings for line in _function(called, r, convention.last)),
            "/* Names, shapes, dtypes and versions, as JSON. */",
            f"const char *{abi.metadata_name(called)}(void);",
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            f"#endif /* {guard} */",
            "",
        ]
    )


def _function(called: str, recording: Recording, last: str) -> list[str]:
    name = abi.function_name(called, recording.name)
    about = [line for part in recording.doc.splitlines() for line in _comment(part) or [" *"]]
    if about:
        about.append(" *")
    known = names(recording)
    for kind, arguments, own in (
        ("in", recording.inputs, known.inputs),
        ("out", recording.outputs, known.outputs),
    ):
        for a, n in zip(arguments, own, strict=True):
            about += _comment(f"{kind}  {n}: {_described(a)}", "     ")
    for symbol in known.sizes:
        about += _comment(f"size  {symbol}, at least 1", "     ")
    for condition in recording.conditions:
        about += _comment(f"requires  {condition}", "     ")
    return [
        "/*",
        *about,
        " */",
        f"int {name}({', '.join(parameters(recording, last))});",
        f"int64_t {name}_workspace({sizes(recording)});",
        "",
    ]


def _described(a: Argument) -> str:
    shape = f" of shape ({', '.join(map(str, a.shape))}{',' * (len(a.shape) == 1)})"
    text = f"{a.dtype}{shape if a.shape else ''}"
    if a.dtype.kind == "c":
        text += ", real and imaginary part by turns"
    elif a.dtype.is_half:
        text += ", as bits"
    if a.unit:
        text += f", in {a.unit}"
    if a.path and a.path != a.name:
        text += f" ({a.path})"
    return text + (f": {a.doc}" if a.doc else "")


def _comment(text: str, hang: str = "") -> list[str]:
    """Lines of a comment; what would end it does not."""
    lines = textwrap.wrap(text.replace("*/", "* /"), _WIDTH, subsequent_indent=hang)
    return [f" * {line}" for line in lines]
