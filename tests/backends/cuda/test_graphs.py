"""Programs that are repeated become CUDA graphs, launched in one call, with the results of single launches."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.cuda import graphs
from numr.codegen.backends.cuda.device import open_device
from tests.backends.cuda.conftest import FakeCupy
from tests.backends.cuda.fake_driver import FakeDriver


def several(x: Any, w: Any) -> Any:
    """Kernels in a row, and some that do not wait for each other."""
    y = x @ w
    total = nr.sum(y, axis=0)
    other = nr.cumsum(x, axis=0)
    return nr.sin(y) @ w.T, total, other * nr.sum(total), nr.sort(x, axis=1)


def arrays(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(5, 4)), rng.normal(size=(4, 3))


def there(*values: Any) -> list[Any]:
    return [nr.asarray(v, device="cuda") for v in values]


def agree(got: Any, want: Any) -> None:
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-12, atol=1e-12)


@pytest.fixture
def repeated(fake_cuda: FakeDriver) -> Any:
    """A function that has become a graph."""
    f = nr.jit(several)
    x, w = there(*arrays(0))
    for _ in range(2):
        f(x, w)
    assert len(fake_cuda.executables) == 1 and not fake_cuda.graphs
    return f


def test_one_call_of_the_driver(fake_cuda: FakeDriver, repeated: Any) -> None:
    on_host = nr.jit(several, device="cpu")
    for seed in range(4):
        x, w = there(*arrays(seed))
        fake_cuda.log.clear()
        got = repeated(x, w)
        assert fake_cuda.count("cuGraphLaunch") == 1 and fake_cuda.count("cuLaunchKernel") == 0
        agree(got, on_host(*arrays(seed)))
        fake_cuda.log.clear()
        again = repeated(x, w)
        agree(again, got)
        agree(got, on_host(*arrays(seed)))  # results of before are still theirs


def test_nothing_is_told_anew_where_nothing_moved(
    fake_cuda: FakeDriver, fake_cupy: FakeCupy
) -> None:
    f = nr.jit(lambda x, w: nr.sum(several(x, w)[0]))
    x, w = there(*arrays(0))
    for _ in range(3):
        kept = f(x, w)
    place = kept._value.storage.pointer
    graph = f._plans.popitem()[1].run.graph
    words = [list(step.words) for step in graph.steps]
    f(x, w)
    moved = [a != list(b.words) for a, b in zip(words, graph.steps, strict=True)]
    assert sum(moved) == 1  # the kernel that writes the result
    fake_cuda.log.clear()
    graph.steps[moved.index(True)].moved = lambda storages: False
    f(x, w)
    assert fake_cuda.count("cuGraphExecKernelNodeSetParams_v2") == 0
    assert place == kept._value.storage.pointer


def test_arguments_that_are_alike_or_elsewhere(fake_cuda: FakeDriver) -> None:
    f = nr.jit(lambda x, y: several(x, y.T @ y[:, :3]))
    x, other = arrays(0)[0], arrays(1)[0]
    (a, b) = there(x, other)
    want = nr.jit(lambda x, y: several(x, y.T @ y[:, :3]), device="cpu")
    for first, second in ((a, a), (a, a), (a, b), (a, b), (b, a), (b, b)):
        on_host = [v.to_device("cpu") for v in (first, second)]
        agree(f(first, second), want(*on_host))
    assert len(fake_cuda.executables) == 1
    (c, d) = (v.to_device("cuda:1") for v in (a, b))
    for _ in range(3):
        agree(f(c, d), want(x, other))
    assert len(fake_cuda.executables) == 2


def test_results_that_are_arguments_or_views(fake_cuda: FakeDriver) -> None:
    def f(x: Any, w: Any) -> Any:
        return (x, *several(x, w), nr.reshape(several(x, w)[0], (20,)))

    g, want = nr.jit(f), nr.jit(f, device="cpu")
    for seed in range(4):
        agree(g(*there(*arrays(seed))), want(*arrays(seed)))
    assert len(fake_cuda.executables) == 1


def test_other_sizes_have_graphs_of_their_own(fake_cuda: FakeDriver, repeated: Any) -> None:
    x, w = arrays(3)
    want = nr.jit(several, device="cpu")
    for n in (3, 5, 4, 3, 3, 4):
        agree(repeated(*there(x[:n], w)), want(x[:n], w))
    assert len(fake_cuda.executables) == 3
    agree(repeated(*there(x[:4], w)), want(x[:4], w))


def test_few_kernels_are_launched_as_they_are(fake_cuda: FakeDriver) -> None:
    f = nr.jit(lambda x: nr.sin(x) * 2)
    x = there(arrays(0)[0])[0]
    for _ in range(4):
        f(x)
    assert not fake_cuda.count("cuGraphCreate") and fake_cuda.count("cuLaunchKernel") == 4


def test_numbers_and_host_arrays_as_arguments(fake_cuda: FakeDriver) -> None:
    f = nr.jit(lambda x, w, c: several(x * c, w), device="cuda")
    want = nr.jit(lambda x, w, c: several(x * c, w), device="cpu")
    for k in range(5):
        agree(f(*arrays(k), 0.5 * k), want(*arrays(k), 0.5 * k))
    assert len(fake_cuda.executables) == 1


def test_memory(fake_cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    device, f = open_device(0), nr.jit(several)
    x, w = there(*arrays(0))
    f(x, w)
    before = device.allocated
    for _ in range(5):
        f(x, w)
    own = device.graphs.nbytes  # type: ignore[attr-defined]
    assert own > 0 and device.allocated == before + own
    f.clear_cache()
    nr.codegen.program.PROGRAMS = type(nr.codegen.program.PROGRAMS)(2**24)
    gc.collect()
    assert device.allocated == before and not fake_cuda.executables
    assert device.graphs.nbytes == 0  # type: ignore[attr-defined]
    monkeypatch.setattr(graphs, "KEPT", own - 1)
    for _ in range(4):
        f(x, w)
    assert device.allocated == before and not fake_cuda.executables


def test_streams(fake_cuda: FakeDriver, fake_cupy: FakeCupy, repeated: Any) -> None:
    x, w = there(*arrays(0))
    want = nr.jit(several, device="cpu")(*arrays(0))
    fake_cuda.wait_for(0)
    results = []
    streams = [fake_cupy.stream(blocking=False) for _ in range(2)]
    for k in (0, 1, 1, 0):
        fake_cupy.current = streams[k]
        results.append((streams[k], repeated(x, w)))
    for stream, got in reversed(results):
        fake_cupy.current = stream
        agree(got, want)
    fake_cupy.current = streams[1]
    del repeated, results, got
    gc.collect()


def test_threads(fake_cuda: FakeDriver) -> None:
    f, want = nr.jit(several), nr.jit(several, device="cpu")
    wrong: list[Any] = []

    def work(k: int) -> None:
        try:
            for i in range(8):
                x, w = arrays(10 * k + i)
                agree(f(*there(x, w)), want(x, w))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and len(fake_cuda.executables) == 1


def test_what_the_driver_does_not_take_is_launched_as_it_is(fake_cuda: FakeDriver) -> None:
    for function in ("cuGraphCreate", "cuGraphAddKernelNode_v2", "cuGraphInstantiateWithFlags"):
        fake_cuda.failing = {function: 1}
        f = nr.jit(lambda x, w: several(x + 1, w))
        want = nr.jit(lambda x, w: several(x + 1, w), device="cpu")
        for k in range(4):
            agree(f(*there(*arrays(k))), want(*arrays(k)))
        assert not fake_cuda.executables and not fake_cuda.graphs
        nr.codegen.program.PROGRAMS = type(nr.codegen.program.PROGRAMS)(2**24)


def test_a_fault_within(fake_cuda: FakeDriver, repeated: Any) -> None:
    x, w = there(*arrays(0))
    fake_cuda.devices[0].fault()
    got = repeated(x, w)
    with pytest.raises(
        nr.errors.DeviceLostError, match="a kernel that was started before has failed"
    ):
        got[0].numpy()
    np.testing.assert_allclose(nr.jit(several, device="cpu")(*arrays(0))[1].shape, (3,))


def test_no_memory_for_results(fake_cuda: FakeDriver, repeated: Any) -> None:
    x, w = there(*arrays(0))
    fake_cuda.devices[0].memory = fake_cuda.devices[0].used
    with pytest.raises(nr.errors.OutOfMemoryError, match=r"shape \(5, 4\) and dtype float64"):
        repeated(x, w)
    fake_cuda.devices[0].memory = 1 << 30
    agree(repeated(x, w), nr.jit(several, device="cpu")(*arrays(0)))
