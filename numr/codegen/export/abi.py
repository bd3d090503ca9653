"""The calling convention that generated C and native code share: names, statuses, and what a library says of itself.

`int <name>(const inputs *.., outputs *.., int64_t sizes.., void *workspace)` returns a status, having written
nothing where it is not OK. `int64_t <name>_workspace(int64_t sizes..)` is how many bytes the workspace takes,
which may begin at any address; 0 where NULL will do, and -1 for sizes that the function does not take.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from numr.codegen.export import bundle, manifest
from numr.codegen.export.record import Recording

# Statuses: as it should be; sizes it does not take; a pointer that is null.
OK, SIZE, NULL = 0, 1, 2
# Arrays and workspaces of more bytes are refused; sums of a few such numbers do not overflow.
MOST_BYTES = 2**62


def function_name(called: str, function: str) -> str:
    """What a function of a bundle is called in C: once, where both are called the same."""
    return called if called == function else f"{called}_{function}"


def metadata_name(called: str) -> str:
    """What the function is called that returns `metadata`."""
    return f"{called}_metadata"


def metadata(recordings: Sequence[Recording]) -> str:
    """What a library says of itself, as JSON: names, shapes, dtypes and versions, as in the manifest."""
    import numr

    whole = {
        "format": bundle.FORMAT,
        "numr": numr.__version__,
        "functions": [manifest.function(r) for r in recordings],
    }
    return json.dumps(whole, separators=(",", ":"))
