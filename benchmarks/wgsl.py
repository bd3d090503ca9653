"""The WebGPU workloads as an engineer writes them by hand: WGSL, and wgpu to drive it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

ADD_ONE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < arrayLength(&y)) { y[id.x] = x[id.x] + 1.0; }
}
"""

# One workgroup a row; the row stays in registers between its two reductions in shared memory.
SOFTMAX = """
const LANES: u32 = 64;
const COLUMNS: u32 = 512;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
var<workgroup> part: array<f32, LANES>;
@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let start = row.x * COLUMNS;
  var mine: array<f32, 8>;
  var top = -3.4e38;
  for (var k = 0u; k < 8u; k++) {
    mine[k] = x[start + lane + k * LANES];
    top = max(top, mine[k]);
  }
  part[lane] = top;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { part[lane] = max(part[lane], part[lane + half]); }
    workgroupBarrier();
  }
  top = part[0];
  workgroupBarrier();
  var total = 0.0;
  for (var k = 0u; k < 8u; k++) {
    mine[k] = exp(mine[k] - top);
    total += mine[k];
  }
  part[lane] = total;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { part[lane] += part[lane + half]; }
    workgroupBarrier();
  }
  let scale = 1.0 / part[0];
  for (var k = 0u; k < 8u; k++) { y[start + lane + k * LANES] = mine[k] * scale; }
}
"""

# The closed forms of the price and its four derivatives; erf by Abramowitz and Stegun 7.1.26.
BLACK_SCHOLES = """
@group(0) @binding(0) var<storage, read> spot: array<f32>;
@group(0) @binding(1) var<storage, read> strike: array<f32>;
@group(0) @binding(2) var<storage, read> time: array<f32>;
@group(0) @binding(3) var<storage, read> volatility: array<f32>;
@group(0) @binding(4) var<storage, read_write> price: array<f32>;
@group(0) @binding(5) var<storage, read_write> by_spot: array<f32>;
@group(0) @binding(6) var<storage, read_write> by_strike: array<f32>;
@group(0) @binding(7) var<storage, read_write> by_time: array<f32>;
@group(0) @binding(8) var<storage, read_write> by_volatility: array<f32>;
const RATE: f32 = 0.03;
fn cumulative(x: f32, density: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.2316419 * abs(x));
  let p = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937
          + t * (-1.821255978 + t * 1.330274429))));
  let tail = density * p;
  return select(tail, 1.0 - tail, x > 0.0);
}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= arrayLength(&price)) { return; }
  let s = spot[i]; let k = strike[i]; let t = time[i]; let v = volatility[i];
  let root = sqrt(t);
  let deviation = v * root;
  let d1 = (log(s / k) + (RATE + 0.5 * v * v) * t) / deviation;
  let d2 = d1 - deviation;
  let density1 = 0.3989422804 * exp(-0.5 * d1 * d1);
  let density2 = 0.3989422804 * exp(-0.5 * d2 * d2);
  let upper = cumulative(d1, density1);
  let discounted = exp(-RATE * t) * cumulative(d2, density2);
  price[i] = s * upper - k * discounted;
  by_spot[i] = upper;
  by_strike[i] = -discounted;
  by_time[i] = 0.5 * s * density1 * v / root + RATE * k * discounted;
  by_volatility[i] = s * density1 * root;
}
"""

# One body an invocation; tiles of bodies go through shared memory.
NBODY = """
const TILE: u32 = 64;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read_write> force: array<f32>;
var<workgroup> tile: array<vec4<f32>, TILE>;
@compute @workgroup_size(TILE)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let n = arrayLength(&m);
  let i = min(id.x, n - 1u);
  let here = vec3<f32>(x[3u * i], x[3u * i + 1u], x[3u * i + 2u]);
  var total = vec3<f32>(0.0);
  for (var start = 0u; start < n; start += TILE) {
    let j = start + lane;
    workgroupBarrier();
    if (j < n) { tile[lane] = vec4<f32>(x[3u * j], x[3u * j + 1u], x[3u * j + 2u], m[j]); }
    else { tile[lane] = vec4<f32>(0.0); }
    workgroupBarrier();
    for (var k = 0u; k < TILE; k++) {
      let apart = tile[k].xyz - here;
      let near = inverseSqrt(dot(apart, apart) + 1e-2);
      total += (tile[k].w * near * near * near) * apart;
    }
  }
  if (id.x < n) {
    let mine = m[i];
    force[3u * i] = mine * total.x; force[3u * i + 1u] = mine * total.y;
    force[3u * i + 2u] = mine * total.z;
  }
}
"""

# The product of 64 x 64 matrices in tiles of 16 x 16.
MATMUL = """
const N: u32 = 64;
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
var<workgroup> left: array<array<f32, 16>, 16>;
var<workgroup> right: array<array<f32, 16>, 16>;
@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>) {
  var total = 0.0;
  for (var start = 0u; start < N; start += 16u) {
    left[at.y][at.x] = a[id.y * N + start + at.x];
    right[at.y][at.x] = b[(start + at.y) * N + id.x];
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) { total += left[at.y][k] * right[k][at.x]; }
    workgroupBarrier();
  }
  c[id.y * N + id.x] = total;
}
"""


class Device:
    """A device of its own, with every feature and limit of the adapter."""

    def __init__(self) -> None:
        import wgpu

        adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
        self.wgpu = wgpu
        self.device = adapter.request_device_sync(required_limits=adapter.limits)
        usage = wgpu.BufferUsage
        self.signal = self.device.create_buffer(size=4, usage=usage.COPY_DST | usage.MAP_READ)

    def array(self, values: np.ndarray) -> Any:
        usage = self.wgpu.BufferUsage
        flags = usage.STORAGE | usage.COPY_SRC | usage.COPY_DST
        return self.device.create_buffer_with_data(data=np.ascontiguousarray(values), usage=flags)

    def empty(self, count: int) -> Any:
        return self.array(np.zeros(count, np.float32))

    def dispatch(
        self, wgsl: str, buffers: Sequence[Any], groups: tuple[int, int]
    ) -> Callable[[Any], None]:
        """A prepared dispatch, to be put into a compute pass."""
        pipeline = self.device.create_compute_pipeline(
            layout="auto",
            compute={"module": self.device.create_shader_module(code=wgsl), "entry_point": "main"},
        )
        group = self.device.create_bind_group(
            layout=pipeline.get_bind_group_layout(0),
            entries=[
                {"binding": k, "resource": {"buffer": b, "offset": 0, "size": b.size}}
                for k, b in enumerate(buffers)
            ],
        )

        def put(compute_pass: Any) -> None:
            compute_pass.set_pipeline(pipeline)
            compute_pass.set_bind_group(0, group)
            compute_pass.dispatch_workgroups(*groups, 1)

        return put

    def submit(self, dispatches: Sequence[Callable[[Any], None]], last: bool = False) -> None:
        """Submit a pass; the last is waited for."""
        encoder = self.device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        for put in dispatches:
            put(compute_pass)
        compute_pass.end()
        if last:
            encoder.clear_buffer(self.signal)
        self.device.queue.submit([encoder.finish()])
        if last:
            self.signal.map_async("READ_NOSYNC").sync_wait()
            self.signal.unmap()

    def reader(self, buffer: Any) -> Callable[[Sequence[Callable[[Any], None]]], np.ndarray]:
        """A function that runs dispatches and reads a buffer, through one that is kept mapped."""
        usage = self.wgpu.BufferUsage
        staging = self.device.create_buffer(size=buffer.size, usage=usage.COPY_DST | usage.MAP_READ)

        def read(dispatches: Sequence[Callable[[Any], None]]) -> np.ndarray:
            encoder = self.device.create_command_encoder()
            compute_pass = encoder.begin_compute_pass()
            for put in dispatches:
                put(compute_pass)
            compute_pass.end()
            encoder.copy_buffer_to_buffer(buffer, 0, staging, 0, buffer.size)
            self.device.queue.submit([encoder.finish()])
            staging.map_async("READ_NOSYNC").sync_wait()
            values = np.frombuffer(staging.read_mapped(), np.float32).copy()
            staging.unmap()
            return values

        return read
