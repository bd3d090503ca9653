"""What every host in C has: the context, errors, memory and launches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numr.codegen.backends.cuda.driver import BLOCKS_EACH
from numr.codegen.export.targets.ptx.code import grid
from numr.codegen.kernel import Kernel


def runtime(
    called: str, kernels: Mapping[str, Kernel], constants: Sequence[str], helpers: Sequence[str]
) -> list[str]:
    """The definitions, in pieces.

    Args:
        called: the bundle's name.
        kernels: those that functions launch, by name, in the order of their places.
        constants: the names of the arrays that the module holds.
        helpers: those of `HELPERS` that are called.
    """
    members, loading = [], []
    if kernels:
        members.append(f"    CUfunction kernels[{len(kernels)}];")
        loading += _each(
            "kernel", len(kernels),
            "cuModuleGetFunction(&context->kernels[k], context->module, numr_kernels[k].name)",
        )  # fmt: skip
    if constants:
        members.append(f"    CUdeviceptr constants[{len(constants)}];")
        loading += _each(
            "constant", len(constants),
            "cuModuleGetGlobal(&context->constants[k], NULL, context->module, numr_constants[k])",
        )  # fmt: skip
    pieces = [
        _kernels(kernels) if kernels else "",
        _constants(constants) if constants else "",
        _CONTEXT.replace("@members\n", "".join(f"{m}\n" for m in members)),
        _ERRORS,
        *(HELPERS[h] for h in helpers),
        _OPEN.replace("@loading\n", "".join(f"{line}\n" for line in loading)),
    ]
    return [p.replace("@called", called).replace("@each", str(BLOCKS_EACH)) for p in pieces if p]


def _each(what: str, count: int, call: str) -> list[str]:
    return [f"    for (int k = 0; k < {count}; ++k) {{", f"        NUMR_TRY({call});", "    }"]


def _kernels(kernels: Mapping[str, Kernel]) -> str:
    lines = [
        f'    {{"{name}", {grid(k).threads}, {grid(k).points}}},' for name, k in kernels.items()
    ]
    return "\n".join(
        [
            "static const struct {",
            "    const char *name;",
            "    unsigned threads; /* of a block */",
            "    int64_t points;   /* that a block runs at a time */",
            "} numr_kernels[] = {",
            *lines,
            "};",
            "",
        ]
    )


def _constants(names: Sequence[str]) -> str:
    lines = [f'    "{name}",' for name in names]
    return "\n".join(["static const char *const numr_constants[] = {", *lines, "};", ""])


_CONTEXT = """\
struct @called_context {
    CUdevice device;
    CUcontext context;
    CUmodule module;
@members
    CUdeviceptr memory; /* of the call that is running */
    int64_t bytes;      /* as many as there are */
    int64_t blocks;     /* of a grid, at most: they take further points in turn */
    char error[256];
};
"""

_ERRORS = """\
static int numr_failed(@called_context *context, const char *call, CUresult result)
{
    const char *text = NULL;
    cuGetErrorString(result, &text);
    snprintf(context->error, sizeof context->error, "%.*s: %s", (int)strcspn(call, "("), call,
             text ? text : "unknown error");
    return NUMR_DEVICE;
}

/* A call of the driver's. */
#define NUMR_TRY(call)                                       \\
    do {                                                     \\
        const CUresult numr_result = call;                   \\
        if (numr_result != CUDA_SUCCESS) {                   \\
            return numr_failed(context, #call, numr_result); \\
        }                                                    \\
    } while (0)

/* A call of what follows. */
#define NUMR_DO(...)             \\
    do {                         \\
        if (__VA_ARGS__) {       \\
            return NUMR_DEVICE;  \\
        }                        \\
    } while (0)

/* The context of the driver's that was this thread's before is it again. */
static int numr_pop(@called_context *context, int status)
{
    CUcontext ours;
    if (status == NUMR_OK) {
        NUMR_TRY(cuCtxPopCurrent(&ours));
    } else {
        cuCtxPopCurrent(&ours);
    }
    return status;
}
"""

# Functions that the exported ones call, printed where one does.
HELPERS = {
    "numr_reserve": """\
static int numr_reserve(@called_context *context, int64_t bytes)
{
    if (bytes <= context->bytes) {
        return NUMR_OK;
    }
    if (context->memory) {
        const CUdeviceptr before = context->memory;
        context->memory = 0;
        context->bytes = 0;
        NUMR_TRY(cuMemFree(before));
    }
    NUMR_TRY(cuMemAlloc(&context->memory, (size_t)bytes));
    context->bytes = bytes;
    return NUMR_OK;
}
""",
    "numr_put": """\
static int numr_put(@called_context *context, CUdeviceptr into, const void *from, int64_t bytes)
{
    if (bytes > 0) {
        NUMR_TRY(cuMemcpyHtoD(into, from, (size_t)bytes));
    }
    return NUMR_OK;
}
""",
    "numr_get": """\
static int numr_get(@called_context *context, void *into, CUdeviceptr from, int64_t bytes)
{
    if (bytes > 0) {
        NUMR_TRY(cuMemcpyDtoH(into, from, (size_t)bytes));
    }
    return NUMR_OK;
}
""",
    "numr_clear": """\
static int numr_clear(@called_context *context, CUdeviceptr flag)
{
    NUMR_TRY(cuMemsetD32(flag, 0, 1));
    return NUMR_OK;
}
""",
    "numr_launch": """\
/* The words are what the kernel is given; the first is how many points it runs. */
static int numr_launch(@called_context *context, int kernel, size_t count, uint64_t *words)
{
    const int64_t points = (int64_t)words[0];
    const int64_t each = numr_kernels[kernel].points;
    const int64_t wanted = points / each + (points % each > 0);
    const int64_t blocks = wanted < context->blocks ? wanted : context->blocks;
    size_t bytes = count * sizeof *words;
    void *given[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, words, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                     CU_LAUNCH_PARAM_END};
    if (points > 0) {
        NUMR_TRY(cuLaunchKernel(context->kernels[kernel], (unsigned)blocks, 1, 1,
                                numr_kernels[kernel].threads, 1, 1, 0, NULL, NULL, given));
    }
    return NUMR_OK;
}
""",
}

_OPEN = """\
static int numr_load(@called_context *context, const void *image)
{
    NUMR_TRY(cuModuleLoadData(&context->module, image));
@loading
    return NUMR_OK;
}

static int numr_open(@called_context *context, int device, const void *image)
{
    int processors = 0;
    NUMR_TRY(cuInit(0));
    NUMR_TRY(cuDeviceGet(&context->device, device));
    NUMR_TRY(cuDeviceGetAttribute(&processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
                                  context->device));
    context->blocks = @each * (int64_t)processors;
    NUMR_TRY(cuDevicePrimaryCtxRetain(&context->context, context->device));
    NUMR_TRY(cuCtxPushCurrent(context->context));
    return numr_pop(context, numr_load(context, image));
}

int @called_context_open(@called_context **context, int device, const void *image)
{
    if (!context || !image) {
        return NUMR_NULL;
    }
    *context = calloc(1, sizeof **context);
    return *context ? numr_open(*context, device, image) : NUMR_DEVICE;
}

void @called_context_close(@called_context *context)
{
    if (!context) {
        return;
    }
    if (context->context) {
        CUcontext ours;
        if (cuCtxPushCurrent(context->context) == CUDA_SUCCESS) {
            if (context->memory) {
                cuMemFree(context->memory);
            }
            if (context->module) {
                cuModuleUnload(context->module);
            }
            cuCtxPopCurrent(&ours);
        }
        cuDevicePrimaryCtxRelease(context->device);
    }
    free(context);
}

const char *@called_context_error(const @called_context *context)
{
    return context ? context->error : "there is no memory";
}
"""
