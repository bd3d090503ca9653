"""Whether an adapter's own float16 can be trusted: WGSL leaves it free how to round and to drop subnormals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numr.codegen.backends.webgpu.gpu import Gpu

_WGSL = """enable f16;
@group(0) @binding(0) var<uniform> parameters: vec4<u32>;
@group(0) @binding(1) var<storage, read> wide: array<f32>;
@group(0) @binding(2) var<storage, read> halves: array<f16>;
@group(0) @binding(3) var<storage, read_write> narrowed: array<f16>;
@group(0) @binding(4) var<storage, read_write> widened: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i < parameters.x) { narrowed[i] = f16(wide[i]); widened[i] = f32(halves[i]); }
}
"""


Array = np.ndarray[Any, Any]


def _cases() -> tuple[Array, Array]:
    """Numbers at, between and beside those of float16, and every number of float16."""
    with np.errstate(all="ignore"):
        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        wide = halves.astype(np.float32)
        next_one = np.nextafter(halves, np.float16(np.inf)).astype(np.float32)
        between = (wide.astype(np.float64) + next_one).astype(np.float32) / 2
        wide = np.concatenate([wide, between, np.nextafter(between, np.float32(0)), -between])
    wide = np.concatenate(
        [wide, np.array([65519.99, 65520, 65536, 1e30, -1e30, 2**-26, -0.0, 0], np.float32)]
    )
    return wide, np.resize(halves, wide.size)


def converts_exactly(device: Gpu) -> bool:
    """Whether numbers go to float16 and back as IEEE arithmetic has it: to the nearest, ties to even,
    with subnormal numbers, infinities and NaN."""
    if "shader-f16" not in device.features:
        return False
    wide, halves = _cases()
    usage = device.wgpu.BufferUsage
    gpu, n = device.device, wide.size

    def buffer(data: Array, kind: int) -> Any:
        return gpu.create_buffer_with_data(data=data, usage=kind)

    out = usage.STORAGE | usage.COPY_SRC
    buffers = [
        buffer(np.array([n, 0, 0, 0], np.uint32), usage.UNIFORM),
        buffer(wide, usage.STORAGE),
        buffer(halves, usage.STORAGE),
        gpu.create_buffer(size=2 * n, usage=out),
        gpu.create_buffer(size=4 * n, usage=out),
    ]
    pipeline = device.pipeline(_WGSL, (False, False, True, True))
    group = gpu.create_bind_group(
        layout=pipeline.layout,
        entries=[{"binding": k, "resource": {"buffer": b}} for k, b in enumerate(buffers)],
    )
    encoder = gpu.create_command_encoder()
    work = encoder.begin_compute_pass()
    work.set_pipeline(pipeline.pipeline)
    work.set_bind_group(0, group)
    work.dispatch_workgroups(-(-n // 64), 1, 1)
    work.end()
    gpu.queue.submit([encoder.finish()])
    narrowed = np.frombuffer(gpu.queue.read_buffer(buffers[3]), np.float16)
    widened = np.frombuffer(gpu.queue.read_buffer(buffers[4]), np.float32)
    with np.errstate(all="ignore"):
        return _same(narrowed, wide.astype(np.float16)) and _same(
            widened, halves.astype(np.float32)
        )


def _same(got: Array, want: Array) -> bool:
    word = np.dtype(f"u{want.itemsize}")
    return bool(((got.view(word) == want.view(word)) | (np.isnan(got) & np.isnan(want))).all())
