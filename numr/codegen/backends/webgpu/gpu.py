"""The device: opened once, pipelines by text, and dispatches recorded until somebody reads.

Recorded dispatches go to the device as one command buffer. Data written by the host takes effect when
the command buffer before it is submitted, so a buffer that recorded work still reads is written only
after that has gone.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numr import messages
from numr.codegen.backends.webgpu.buffers import Pool

# What shaders can use, where the adapter has it.
FEATURES = ("shader-f64", "shader-int64", "shader-f16", "subgroup", "timestamp-query")
MAX_GROUPS = 65535
# Submitted at the latest after so many dispatches, so that the device does not wait for the host.
MAX_RECORDED = 256
# Bind groups a launcher keeps: one for each set of buffers it is called with again and again.
MAX_BIND_GROUPS = 32
PARAMETERS_ALIGNED = 16


@dataclass(slots=True)
class Statistics:
    """Counts since the device was opened."""

    pipelines: int = 0
    buffers: int = 0
    bind_groups: int = 0
    dispatches: int = 0
    submits: int = 0
    uploaded: int = 0
    downloaded: int = 0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A compiled shader and the layout of its bindings."""

    pipeline: Any
    layout: Any


class _Watched:
    # A class, because a generator's frames in the standard library would be taken for the user's.
    def __init__(self, device: Gpu) -> None:
        self.device = device

    def __enter__(self) -> None: ...

    def __exit__(self, _: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, self.device.wgpu.GPUError):
            self.device.check_loss(error)


class Gpu:
    """An open device."""

    def __init__(self) -> None:
        try:
            import wgpu
        except ImportError:
            raise messages.no_device(
                "webgpu", 'wgpu is not installed: pip install "numr[webgpu]"', ["cpu"]
            ) from None
        self.wgpu = wgpu
        try:
            adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
        except Exception as error:
            reason = (
                f"no graphics driver was found ({str(error).strip().splitlines()[0]}); install one "
                "with Vulkan, Metal or Direct3D 12 (on Debian and Ubuntu also: mesa-vulkan-drivers)"
            )
            raise messages.no_device("webgpu", reason, ["cpu"]) from None
        self.features = frozenset(f for f in FEATURES if f in adapter.features)
        self.limits = dict(adapter.limits)
        self.adapter_info = dict(adapter.info)
        self.device = adapter.request_device_sync(
            required_features=sorted(self.features), required_limits=self.limits
        )
        info = " ".join(str(v) for v in self.adapter_info.values())
        text = f"{wgpu.__version__} {info} {sorted(self.features)}"
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.statistics = Statistics()
        self.lock = threading.RLock()
        self.lost = False
        self.pool = Pool(self)
        self.batch = 1  # the number of the command buffer that is being recorded
        self._pipelines: dict[tuple[str, tuple[bool, ...]], Pipeline] = {}
        self._layouts: dict[tuple[bool, ...], Any] = {}
        self._encoder: Any = None
        self._pass: Any = None
        self._current: Any = None
        self._recorded = 0

    # -- loss ------------------------------------------------------------------------------------

    def check_loss(self, error: Exception) -> None:
        """Whether an error of wgpu's means that the device is gone: then the next use opens another.

        Raises:
            DeviceLostError: if it is.
        """
        global _open
        if not self.lost and "lost" not in str(error).lower():
            return
        self.lost = True
        self._encoder = self._pass = None
        if _open is self:
            _open = None
        raise messages.device_lost("webgpu") from None

    def watched(self) -> _Watched:
        """A context: errors within become the one that says the device is lost, where that is why."""
        return _Watched(self)

    # -- pipelines -------------------------------------------------------------------------------

    def _layout(self, written: tuple[bool, ...]) -> Any:
        """Binding 0 is the block of parameters, the buffers follow."""
        found = self._layouts.get(written)
        if found is None:
            kinds = ["uniform", *("storage" if w else "read-only-storage" for w in written)]
            found = self._layouts[written] = self.device.create_bind_group_layout(
                entries=[
                    {
                        "binding": k,
                        "visibility": self.wgpu.ShaderStage.COMPUTE,
                        "buffer": {"type": kind},
                    }
                    for k, kind in enumerate(kinds)
                ]
            )
        return found

    def pipeline(self, wgsl: str, written: tuple[bool, ...]) -> Pipeline:
        """A shader with entry point `main`, compiled once; `written` says which bindings it stores to.

        Raises:
            RuntimeError: with the compiler's message and the text, for text it does not take.
        """
        key = wgsl, written
        with self.lock:
            found = self._pipelines.get(key)
            if found is None:
                layout = self._layout(written)
                try:
                    made = self.device.create_compute_pipeline(
                        layout=self.device.create_pipeline_layout(bind_group_layouts=[layout]),
                        compute={
                            "module": self.device.create_shader_module(code=wgsl),
                            "entry_point": "main",
                        },
                    )
                except self.wgpu.GPUError as error:
                    self.check_loss(error)
                    raise RuntimeError(f"the device rejects a kernel: {error}\n{wgsl}") from None
                self.statistics.pipelines += 1
                found = self._pipelines[key] = Pipeline(made, layout)
            return found

    # -- running ---------------------------------------------------------------------------------

    @property
    def binding_limit(self) -> int:
        """Most bytes one binding shows, as a multiple of what its offset must be one of."""
        return int(self.limits["max-storage-buffer-binding-size"]) // 256 * 256

    def record(self, bound: tuple[Any, Any], across: int, down: int) -> None:
        """Record one dispatch of a pipeline and its bind group."""
        pipeline, group = bound
        if self._pass is None:
            if self._encoder is None:
                self._encoder = self.device.create_command_encoder()
            self._pass = self._encoder.begin_compute_pass()
            self._current = None
        if pipeline is not self._current:
            self._pass.set_pipeline(pipeline)
            self._current = pipeline
        self._pass.set_bind_group(0, group)
        self._pass.dispatch_workgroups(across, down, 1)
        self.statistics.dispatches += 1
        self._recorded += 1
        if self._recorded >= MAX_RECORDED:
            self.flush()

    def encoder(self) -> Any:
        """The encoder of what is recorded, for a copy at this place."""
        if self._pass is not None:
            self._pass.end()
            self._pass = None
        if self._encoder is None:
            self._encoder = self.device.create_command_encoder()
        return self._encoder

    def flush(self) -> None:
        """Hand what is recorded to the device."""
        with self.lock:
            if self._encoder is None:
                return
            encoder = self.encoder()
            self._encoder = None
            self._recorded = 0
            with self.watched():
                self.device.queue.submit([encoder.finish()])
            # Only now: arrays may end meanwhile, and what this batch uses must not be destroyed yet.
            self.batch += 1
            self.statistics.submits += 1
            self.pool.destroy_dropped()

    def wait(self) -> None:
        """Return when everything recorded so far is done."""
        with self.lock, self.watched():
            # wgpu 0.32 cannot be told when the queue is done; a buffer is mapped when it is.
            staging = self.pool.take_staging(4)
            self.encoder().clear_buffer(staging, 0, 4)
            self.flush()
            staging.map_async("READ_NOSYNC", 0, 4).sync_wait()
            staging.unmap()
            self.pool.give_staging(staging)

    def describe(self) -> dict[str, str]:
        """The adapter, what of it is used, and its driver."""
        about = self.adapter_info
        limits = {
            "buffer": _mebibytes(self.limits["max-buffer-size"]),
            "binding": _mebibytes(self.limits["max-storage-buffer-binding-size"]),
            "buffers of a kernel": self.limits["max-storage-buffers-per-shader-stage"],
            "shared memory": f"{self.limits['max-compute-workgroup-storage-size']} bytes",
        }
        return {
            "adapter": f"{about.get('device')} ({about.get('adapter_type')}, {about.get('backend_type')})",
            "driver": str(about.get("description") or about.get("vendor")),
            "features": ", ".join(sorted(self.features)) or "none",
            "limits": ", ".join(f"{name} {value}" for name, value in limits.items()),
            "other adapters": ", ".join(self._others()) or "none",
            "wgpu": str(self.wgpu.__version__),
        }

    def _others(self) -> list[str]:
        found = [dict(a.info) for a in self.wgpu.gpu.enumerate_adapters_sync()]
        mine = self.adapter_info
        return [
            f"{a.get('device')} ({a.get('adapter_type')}, {a.get('backend_type')})"
            for a in found
            if a != mine
        ]


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


_open: Gpu | None = None
_opening = threading.Lock()


def gpu() -> Gpu:
    """The device, opened on first use.

    Raises:
        DeviceError: if wgpu is not installed, or there is no adapter.
    """
    global _open
    if _open is None:
        with _opening:
            if _open is None:
                _open = Gpu()
    return _open


# -- running -------------------------------------------------------------------------------------


def launcher(
    pipeline_for: Callable[[tuple[int, ...], bool], Pipeline], parameters: bytes, groups: int
) -> Callable[..., None]:
    """A function of device arrays that records one dispatch.

    Args:
        pipeline_for: the pipeline, on the device that is open, for buffers that are spread over so
            many bindings each, more than one where a buffer is larger than a binding may be, and
            whether there are more workgroups than asked for.
        parameters: the contents of binding 0.
        groups: how many workgroups.
    """
    parameters += bytes(-len(parameters) % PARAMETERS_ALIGNED)
    across = min(groups, MAX_GROUPS)
    down = -(-groups // MAX_GROUPS)
    spare = across * down > groups
    # What belongs to one device, set at once: another thread may be here in its first call.
    state: tuple[Gpu, Any, dict[tuple[int, ...], tuple[Any, Any]]] | None = None

    def run(*arrays: Any) -> None:
        nonlocal state
        current = state
        if current is None or current[0] is not _open:
            opened = gpu()  # the first, or another one was lost
            with opened.watched():
                block = opened.device.create_buffer_with_data(
                    data=parameters, usage=opened.wgpu.BufferUsage.UNIFORM
                )
            current = state = opened, block, {}
        device, uniform, known = current
        blocks = [a.storage.block for a in arrays]
        key = tuple([b.serial for b in blocks])
        with device.lock:
            found = known.get(key)
            if found is None:
                if len(known) >= MAX_BIND_GROUPS:
                    del known[next(iter(known))]
                with device.watched():
                    found = known[key] = _bound(device, pipeline_for, spare, uniform, blocks)
            batch = device.batch
            for b in blocks:
                b.last_use = batch
            device.record(found, across, down)

    return run


def _bound(
    device: Gpu,
    pipeline_for: Callable[[tuple[int, ...], bool], Pipeline],
    spare: bool,
    uniform: Any,
    blocks: Sequence[Any],
) -> tuple[Any, Any]:
    """A pipeline and its bind group for some buffers."""
    for b in blocks:
        if b.pool.device is not device:
            raise messages.device_lost("webgpu")
    most = device.binding_limit
    counts = tuple(-(-b.size // most) for b in blocks)
    pipeline = pipeline_for(counts, spare)
    resources = [{"buffer": uniform, "offset": 0, "size": uniform.size}]
    for b, count in zip(blocks, counts, strict=True):
        for w in range(count):
            size = min(most, b.size - w * most)
            resources.append({"buffer": b.buffer, "offset": w * most, "size": size})
    group = device.device.create_bind_group(
        layout=pipeline.layout,
        entries=[{"binding": k, "resource": r} for k, r in enumerate(resources)],
    )
    device.statistics.bind_groups += 1
    return pipeline.pipeline, group
