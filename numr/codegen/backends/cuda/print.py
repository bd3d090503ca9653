"""How kernels are spelled for NVIDIA's devices: the shared Python syntax, and what lanes do together.

The text is a function of the points [lo, hi), as on the CPU. A kernel of one lane is given a few
points at a time by each thread (compile.py has the loop around it); one of several lanes one point, by
a block of so many threads, and after the range the number of the lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from numr.codegen.backends.cuda.neighbours import points_of_thread, side_by_side
from numr.codegen.kernel import Barrier, Combine, For, If, Kernel, Statement
from numr.codegen.language.printer import PythonPrinter
from numr.dtypes import DType

WARP = 32
# Points of a block where each is one thread's.
THREADS = 128


class CudaPrinter(PythonPrinter):
    """Python text of kernels: `def entry(lo, hi, [lane,] buffers..., sizes..., shared memory...)`."""

    def launched(self, kernel: Kernel) -> str:
        """The function with the kernel around it, in Numba's CUDA Python: what compile.py writes for
        NVVM, and what the simulator runs."""
        shared = shared_memory(kernel)
        inside = {"lo", "hi", "lane", *(name for name, _, _ in shared)}
        given = [name for name, _ in self.parameters(kernel) if name not in inside]
        passed = ["lane"] * (kernel.lanes > 1) + given + [name for name, _, _ in shared]
        lines = [
            f"    {n} = cuda.shared.array({count}, {'uint8' if d.kind == 'b' else d.name})"
            for n, d, count in shared
        ]
        index = kernel.index.short
        lines += [f"    {n} = {index}({n})" for n in kernel.sizes]
        if kernel.lanes > 1:
            lines += [
                f"    lane = {index}(cuda.threadIdx.x)",
                "    for point in range(cuda.blockIdx.x, points, cuda.gridDim.x):",
                f"        {kernel.entry}({index}(point), {index}(point + 1), {', '.join(passed)})",
                "        cuda.syncthreads()",
            ]
        else:
            count = points_of_thread(kernel)
            lines += [
                f"    first, step = {count} * cuda.grid(1), {count} * cuda.gridsize(1)",
                "    for point in range(first, points, step):",
                f"        end = min(point + {count}, points)",
                f"        {kernel.entry}({index}(point), {index}(end), {', '.join(passed)})",
            ]
        head = ["", "", "@cuda.jit", f"def kernel({', '.join(['points', *given])}):"]
        return self.print(kernel) + "\n".join([*head, *lines, ""])

    def block(self, body: list[Statement], depth: int) -> Iterator[str]:
        count = points_of_thread(self.kernel)
        if body is not self.kernel.body or count == 1:
            yield from super().block(body, depth)
            return
        (grid,) = body
        assert isinstance(grid, For)
        pad = "    " * depth
        yield f"{pad}if hi - lo == {self.kernel.index.short}({count}):"
        yield from super().block(list(side_by_side(grid, count)), depth + 1)
        yield f"{pad}else:"
        yield from super().block(body, depth + 1)

    def parameters(self, kernel: Kernel) -> list[tuple[str, str]]:
        if kernel.lanes == 1:
            return super().parameters(kernel)
        (lo, hi, *rest) = super().parameters(kernel)
        # What another lane stores must be read anew after a barrier.
        written = {b.name for b in kernel.buffers if b.written}
        rest = [(n, "s" + code[1:] if n in written else code) for n, code in rest]
        shared = [(name, f"s:{dtype.short}") for name, dtype, _ in shared_memory(kernel)]
        return [lo, hi, ("lane", kernel.index.short), *rest, *shared]

    def bounds(self, loop: For) -> str:
        if not loop.dealt:
            return super().bounds(loop)
        lanes = f"{self.kernel.index.short}({self.kernel.lanes})"
        return f"{self.value(loop.lo)} + lane, {self.value(loop.hi)}, {lanes}"

    def together(self, statement: Barrier | Combine) -> Iterator[str]:
        if isinstance(statement, Barrier):
            yield "unused = barrier()"
            return
        name, dtype = self.value(statement.var), statement.var.dtype

        def steps(count: int) -> Iterator[str]:
            while count > 1:
                count //= 2
                other = f"shuffle({name}, i32({count}))"
                yield f"{name} = {self.combine(statement.monoid, name, other, dtype, False)}"

        lanes = self.kernel.lanes
        yield from steps(min(lanes, WARP))
        if lanes > WARP:
            # Each warp's total to all, who add them up in one order.
            scratch = scratch_name(dtype)
            index, warps = self.kernel.index.short, lanes // WARP
            yield f"if urem(lane, {index}({WARP})) == {index}(0):"
            yield f"    {scratch}[udiv(lane, {index}({WARP}))] = {self.stored(name, dtype)}"
            yield "unused = barrier()"
            place = f"{scratch}[urem(lane, {index}({warps}))]"
            yield f"{name} = {f'({place} != u8(0))' if dtype.kind == 'b' else place}"
            yield from steps(warps)
            yield "unused = barrier()"


def scratch_name(dtype: DType) -> str:
    """The memory in which warps leave their totals of a dtype."""
    return f"totals_{dtype.short}"


def shared_memory(kernel: Kernel) -> list[tuple[str, DType, int]]:
    """Name, dtype and length of what a block shares."""
    found = [(m.name, m.dtype, m.length) for m in kernel.shared]
    if kernel.lanes > WARP:
        totals = {
            s.var.dtype.short: s.var.dtype
            for s in _statements(kernel.body)
            if isinstance(s, Combine)
        }
        found += [(scratch_name(d), d, kernel.lanes // WARP) for _, d in sorted(totals.items())]
    return found


def _statements(body: Sequence[Statement]) -> Iterator[Statement]:
    for s in body:
        yield s
        if isinstance(s, (For, If)):
            yield from _statements(s.body)
