"""numr.autograd: variables, backward, stores, hooks, no_grad, checkpoint, beside numr.grad."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import config, errors
from numr.autograd import (
    GradStore,
    Var,
    VarGradStore,
    backward,
    backward_with_graph,
    checkpoint,
    no_grad,
)
from numr.ir.node import scope

HERE = "test_autograd.py:"
POINT = np.array([0.4, 0.9, 1.3])


def said(mistake: Callable[[], Any], error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        mistake()
    return str(caught.value)


# -- Var ------------------------------------------------------------------------------------------


def test_a_var_is_an_array() -> None:
    x = Var(POINT)
    assert isinstance(x, nr.Array)
    assert (x.shape, x.dtype, x.requires_grad, x.is_leaf) == ((3,), nr.float64, True, True)
    assert repr(x).startswith("numr.autograd.Var([0.4, 0.9, 1.3], id=")
    assert Var(1.0).id != Var(1.0).id
    for y in (x + 1, 2.0 * x, np.ones(3) * x, np.exp(x), x.sum(), x[1:], x @ x, -x):
        assert isinstance(y, nr.Array)
    np.testing.assert_array_equal(x.numpy(), POINT)
    np.testing.assert_array_equal(np.asarray(x), POINT)
    assert x.detach().shape == x.alias().shape == (3,)


def test_every_function_of_one_operand_takes_a_var() -> None:
    for name in (
        "sin",
        "exp",
        "sum",
        "cumsum",
        "sort",
        "softmax",
        "relu",
        "mean",
        "flip",
        "square",
    ):
        f = getattr(nr, name)
        np.testing.assert_array_equal(f(Var(POINT)).numpy(), f(POINT).numpy(), err_msg=name)


def test_alias_and_detach() -> None:
    x = Var(3.0)
    same = x.alias()
    assert same.id == x.id
    store = backward(x * same)
    assert len(store) == 1 and store[same].item() == store[x].item() == 6.0
    assert backward(x * x.detach())[x].item() == 3.0
    assert len(backward(nr.sin((x * x).detach()))) == 0


def test_copies() -> None:
    x = Var([1.0, 2.0])
    assert backward(nr.sum(copy.copy(x) * 2.0))[x].tolist() == [2.0, 2.0]
    deep = copy.deepcopy(x)
    assert deep.id != x.id and deep.requires_grad and deep.tolist() == [1.0, 2.0]
    again = pickle.loads(pickle.dumps(x))
    assert isinstance(again, Var) and again.requires_grad and again.tolist() == [1.0, 2.0]
    changed = x.copy()
    changed[0] = 5.0
    assert backward(nr.sum(changed**2))[x].tolist() == [0.0, 4.0]


def test_vars_in_containers() -> None:
    params = {"w": Var([1.0, 2.0]), "b": Var(0.5)}
    doubled = nr.tree.map(lambda p: 2.0 * p, params)
    store = backward(nr.sum(doubled["w"]) * doubled["b"])
    found = nr.tree.map(store.get, params)
    assert found["w"].tolist() == [2.0, 2.0] and found["b"].item() == 12.0


def test_a_var_of_integers() -> None:
    text = said(lambda: Var([1, 2]), errors.GradientError)
    assert "int64" in text and "requires_grad=False" in text and HERE in text
    n = Var([1, 2], requires_grad=False)
    x = Var(2.0)
    assert backward(nr.sum(x * n))[x].item() == 3.0
    assert "bool" in said(lambda: Var(True), errors.GradientError)


# -- backward -------------------------------------------------------------------------------------


def network(w: Any, b: Any, x: Any) -> Any:
    return nr.mean(nr.tanh(x @ w + b) ** 2)


def test_backward_is_grad() -> None:
    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=(5, 3))
    want = nr.grad(network, (0, 1))(w, b, x)
    vw, vb = Var(w), Var(b)
    store = backward(network(vw, vb, x))
    np.testing.assert_allclose(store[vw].numpy(), want[0].numpy(), rtol=1e-13)
    np.testing.assert_allclose(store[vb].numpy(), want[1].numpy(), rtol=1e-13)
    assert type(store[vw]) is nr.Array


def test_leaves_used_twice_and_not_at_all() -> None:
    x, unused = Var(3.0), Var(1.0)
    store = backward(x * x + nr.sin(x))
    assert store[x].item() == 6.0 + math.cos(3.0)
    assert unused not in store and store.get(unused) is None and len(store) == 1
    assert backward(x)[x].item() == 1.0


def test_constants_have_no_gradient_and_no_hook() -> None:
    x, c = Var(3.0), Var(4.0, requires_grad=False)
    calls = Calls()
    store = backward(x * c + c * 2.0, hooks=calls)
    assert len(store) == 1 and c not in store
    assert [var.id for var, _ in calls.seen] == [x.id]


def test_a_loss_that_depends_on_nothing() -> None:
    x, calls = Var(3.0), Calls()
    for loss in (nr.asarray(2.0), Var(2.0, requires_grad=False), x.detach() * 2.0):
        store = backward(loss, hooks=calls)
        assert len(store) == 0 and store.get(x) is None
    assert not calls.seen
    linear = backward_with_graph(3.0 * x).get_var(x)
    assert backward(linear * 2.0).get(x) is None


def test_losses_that_are_none() -> None:
    x = Var([1.0, 2.0])
    text = said(lambda: backward(x * 2.0), errors.GradientError)
    assert "(2,)" in text and "numr.sum" in text and HERE in text
    text = said(lambda: backward_with_graph(nr.sum(x * 1j)), errors.GradientError)
    assert "complex128" in text and "backward_with_graph" in text
    assert "int64" in said(lambda: backward(nr.argmax(x)), errors.GradientError)
    text = said(lambda: backward(float(nr.sum(x))), errors.GradientError)
    assert "float" in text and ".item()" in text and HERE in text
    assert backward(nr.sum(x, keepdims=True))[x].tolist() == [1.0, 1.0]


def test_complex_variables() -> None:
    z = np.array([1.0 + 2.0j, -0.5 + 1.0j])
    f = lambda z: nr.sum(nr.abs(z**2 + 1.0) ** 2)
    x = Var(z)
    np.testing.assert_allclose(backward(f(x))[x].numpy(), nr.grad(f)(z).numpy(), rtol=1e-14)


def test_integers_on_the_way() -> None:
    x = Var(POINT)
    order = nr.argsort(-x)
    weights = nr.asarray([1.0, 2.0, 3.0])
    store = backward(nr.sum(x[order] * weights) + nr.sum(nr.floor(x)))
    assert store[x].tolist() == [3.0, 2.0, 1.0]


def test_reading_does_not_change_gradients() -> None:
    def steps(x: Any, read: bool) -> Any:
        y = nr.exp(nr.sin(x))
        z = nr.where(x > 0, nr.sqrt(x), 0.0)
        e = nr.exp(x)
        if read:
            y.numpy(), z.realize(), print(e)
        loss = nr.sum(y * z) + nr.sum(e[1:]) + nr.sum(nr.cumprod(z + 1.0)) + nr.sum(z) ** 2
        if read:
            loss.item()
        return loss

    start = [1000.0, -1.0, 0.0, 2.0]
    want = nr.grad(lambda x: steps(x, False))(nr.asarray(start)).numpy()
    for read in (False, True):
        x = Var(start)
        got = backward(steps(x, read))[x].numpy()
        np.testing.assert_allclose(got, want, rtol=1e-13)
        assert not np.isnan(got[1:]).any()


def test_loops_and_branches_read_in_between() -> None:
    def f(x: Any, read: bool) -> Any:
        last, rows = nr.scan(lambda c, _: (nr.sin(c) + 0.1, c * c), x, None, length=4)
        if read:
            rows.numpy()
        chosen = nr.cond(nr.sum(x) > 0, nr.exp, nr.cos, last)
        if read:
            chosen.numpy()
        return nr.sum(chosen) + nr.sum(rows)

    want = nr.grad(lambda x: f(x, False))(POINT).numpy()
    hessian = nr.hvp(lambda x: f(x, False))(POINT, np.ones(3)).numpy()
    for read in (False, True):
        x = Var(POINT)
        store = backward_with_graph(f(x, read))
        np.testing.assert_allclose(store.get(x).numpy(), want, rtol=1e-13)
        np.testing.assert_allclose(
            backward(nr.sum(store.get_var(x)))[x].numpy(), hessian, rtol=1e-12
        )


# -- higher orders --------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [False, True])
def test_hessian_times_vector(read: bool) -> None:
    f = lambda x: nr.sum(nr.sin(x**2) * nr.exp(x))
    v = np.array([1.0, -2.0, 0.5])
    x = Var(POINT)
    g = backward_with_graph(f(x)).get_var(x)
    if read:
        g.numpy()
    assert g.requires_grad and not g.is_leaf
    got = backward(nr.sum(g * v))[x].numpy()
    np.testing.assert_allclose(got, nr.hvp(f)(POINT, v).numpy(), rtol=1e-13)


@pytest.mark.parametrize("read", [False, True])
def test_third_order_and_mixed(read: bool) -> None:
    x, y = Var(0.7), Var(1.3)
    f = lambda x, y: nr.exp(x * y) * nr.sin(x)
    value = f(x, y)
    for n in range(3):
        if read:
            value.item()
        value = backward_with_graph(value).get_var(x)
        want = f
        for _ in range(n + 1):
            want = nr.grad(want)
        np.testing.assert_allclose(value.item(), want(0.7, 1.3).item(), rtol=1e-13)
    mixed = backward(backward_with_graph(f(x, y))[x])[y]
    np.testing.assert_allclose(mixed.item(), nr.grad(nr.grad(f), 1)(0.7, 1.3).item(), rtol=1e-13)


# -- stores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GradStore, VarGradStore])
def test_stores_are_mappings(kind: Any) -> None:
    x, y = Var([1.0, 2.0]), Var(3.0)
    store = kind()
    store.insert(x, nr.asarray([1.0, 1.0]))
    store[y] = 5.0
    assert len(store) == 2 and x in store and y.id in store and Var(0.0) not in store
    assert [v.id for v in store] == [v.id for v in store.keys()] == [x.id, y.id]  # noqa: SIM118
    assert [(v.id, g.tolist()) for v, g in store.items()] == [(x.id, [1.0, 1.0]), (y.id, 5.0)]
    assert store[x.id].tolist() == store.get(x).tolist() == [1.0, 1.0]
    assert isinstance(store.get_var(x), Var) and type(store.get(x)) is nr.Array
    assert store.get(Var(0.0)) is None and store.get(-1, 7) == 7 and store.get_var(-1) is None
    store.accumulate(x, [0.5, 1.5])
    assert store[x].tolist() == [1.5, 2.5]
    store.try_accumulate(y, 2.0, lambda old, new: old * new)
    assert store[y].item() == 10.0
    z = Var(1.0)
    store.try_accumulate(z, 2.0, lambda old, new: 1 / 0)
    assert store[z].item() == 2.0
    with pytest.raises(ZeroDivisionError):
        store.try_accumulate(z, 3.0, lambda old, new: 1 / 0)
    assert store[z].item() == 2.0
    assert store.pop(z).item() == 2.0 and z not in store and store.pop(z, None) is None
    del store[y]
    assert len(store) == 1 and "variable" in repr(store)
    plain = store.to_grad_store()
    assert type(plain) is GradStore and plain[x].tolist() == [1.5, 2.5]
    store.clear()
    assert len(store) == 0 and len(plain) == 1


def test_what_stores_refuse() -> None:
    x, y = Var([1.0, 2.0]), Var(3.0)
    store = backward(nr.sum(x))
    text = said(lambda: store[y], errors.MissingGradientError)
    assert f"variable {y.id} of shape ()" in text and HERE in text and "does not depend" in text
    with pytest.raises(KeyError):
        store.pop(y)
    text = said(lambda: store[x * 2.0], errors.GradientError)
    assert "Array" in text and HERE in text
    text = said(lambda: store.insert(x, nr.ones(3)), errors.ShapeError)
    assert "(2,)" in text and "(3,)" in text and HERE in text
    text = said(lambda: store.accumulate(x, nr.ones((2, 2))), errors.ShapeError)
    assert "(2, 2)" in text and store[x].tolist() == [1.0, 1.0]


def test_two_losses() -> None:
    x, y = Var([1.0, 2.0]), Var(3.0)
    total = backward(nr.sum(x**2))
    for var, gradient in backward(nr.sum(x) * y).items():
        total.accumulate(var, gradient)
    assert total[x].tolist() == [5.0, 7.0] and total[y].item() == 3.0
    both = backward_with_graph(nr.sum(x**2))
    for var, gradient in backward_with_graph(nr.sum(x) * y).items():
        both.accumulate(var, gradient)
    assert both.get(x).tolist() == [5.0, 7.0]
    assert backward(nr.sum(both[x] ** 2))[x].tolist() == [20.0, 28.0]


def test_gradients_of_one_backward_are_computed_together() -> None:
    x, y = Var(POINT), Var(2.0 * POINT)
    loss = nr.sum(nr.exp(x) * nr.sin(y))
    store = backward(loss)
    assert store[y].node.value is None
    store[x].numpy()
    assert store[y].node.value is not None and loss.node.value is not None


# -- hooks ----------------------------------------------------------------------------------------


class Calls:
    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []

    def on_leaf_grad_ready(self, var: Var, grad: Any) -> None:
        self.seen.append((var, grad))


@pytest.mark.parametrize("pull", [backward, backward_with_graph])
def test_hooks_once_for_each_leaf_when_complete(pull: Any) -> None:
    w1, w2, unused = Var([1.0, 2.0]), Var(3.0), Var(1.0)
    calls = Calls()
    hidden = nr.tanh(w1 * w1)
    loss = nr.sum(hidden * w2 + w1 * w2)
    store = pull(loss, hooks=calls)
    # The last layer's is complete first.
    assert [var is w for (var, _), w in zip(calls.seen, (w2, w1), strict=True)] == [True, True]
    for var, grad in calls.seen:
        np.testing.assert_array_equal(grad.numpy(), store.get(var).numpy())
    assert unused not in store


def test_hooks_of_a_long_history() -> None:
    before = config.get().node_limit
    config.update(node_limit=20)
    try:
        first, late = Var(0.5), Var(0.25)
        y = first * 1.0
        for _ in range(60):
            y = nr.sin(y) + 0.5
        seen = []

        class Hook:
            def on_leaf_grad_ready(self, var: Var, grad: Any) -> None:
                seen.append((var, grad.item()))

        store = backward(y * late + late, hooks=Hook())
        assert [var is w for (var, _), w in zip(seen, (late, first), strict=True)] == [True, True]
        f = lambda x: nr.fori_loop(0, 60, lambda i, y: nr.sin(y) + 0.5, x)
        want = nr.grad(lambda x: nr.scan(lambda c, _: (nr.sin(c) + 0.5, None), x, None, 60)[0])
        np.testing.assert_allclose(store[first].item(), 0.25 * want(0.5).item(), rtol=1e-12)
        np.testing.assert_allclose(store[late].item(), f(0.5).item() + 1.0, rtol=1e-14)
        second = backward(backward_with_graph(y).get_var(first))[first].item()
        twice = nr.grad(lambda x: nr.reshape(want(x), ()))(0.5).item()
        np.testing.assert_allclose(second, twice, rtol=1e-10)
    finally:
        config.update(node_limit=before)


def test_a_hook_that_raises() -> None:
    class Hook:
        def on_leaf_grad_ready(self, var: Var, grad: Any) -> None:
            raise RuntimeError("stop")

    x = Var(1.0)
    with pytest.raises(RuntimeError, match="stop"):
        backward(x * x, hooks=Hook())
    assert backward(x * x)[x].item() == 2.0


# -- no_grad and changes in place -----------------------------------------------------------------


def test_no_grad() -> None:
    x = Var(3.0)
    with no_grad():
        y = x * x
        z = nr.jit(nr.sin)(x)
        same = nr.reshape(x, ())
    assert backward(y * x)[x].item() == 9.0
    assert len(backward(z + y + same)) == 0

    @no_grad()
    def f(x: Any) -> Any:
        return nr.exp(x)

    assert len(backward(f(x))) == 0
    with pytest.raises(RuntimeError), no_grad():
        raise RuntimeError
    assert backward(x * x)[x].item() == 6.0
    with no_grad():
        assert nr.grad(lambda x: x**3)(2.0).item() == 12.0


def test_changes_in_place() -> None:
    x = Var([1.0, 2.0])
    text = said(lambda: x.__setitem__(0, 5.0), errors.GradientError)
    assert "(2,)" in text and "no_grad" in text and HERE in text
    loss = nr.sum(x**2)
    with no_grad():
        x[0] = 5.0
    assert x.tolist() == [5.0, 2.0]
    # The loss was computed from what x held then.
    assert backward(loss)[x].tolist() == [2.0, 4.0]
    assert backward(nr.sum(x**2))[x].tolist() == [10.0, 4.0]
    c = Var([1.0, 2.0], requires_grad=False)
    c[0] = 7.0
    assert c.tolist() == [7.0, 2.0]


# -- with the other transforms --------------------------------------------------------------------


def test_jit_of_a_var() -> None:
    f = nr.jit(lambda x, y: nr.sum(nr.sin(x) * y))
    x = Var(POINT)
    plain = f(POINT, POINT).item()  # the fast way is known by now
    for _ in range(3):
        loss = f(x, POINT)
        assert loss.item() == plain
        np.testing.assert_allclose(backward(loss)[x].numpy(), np.cos(POINT) * POINT, rtol=1e-14)
    computed = x * 2.0
    computed.numpy()
    for _ in range(3):
        np.testing.assert_allclose(
            backward(f(computed, POINT))[x].numpy(), 2 * np.cos(2 * POINT) * POINT, rtol=1e-14
        )
    assert "sin" in str(f.lower(x, POINT).graph)


def test_jit_that_closes_over_a_var() -> None:
    w = Var(2.0)
    f = nr.jit(lambda x: x * w)
    with no_grad():
        assert f(nr.asarray(3.0)).item() == 6.0
    for _ in range(3):
        loss = f(nr.asarray(3.0))
        assert loss.item() == 6.0 and backward(loss)[w].item() == 3.0


def test_backward_inside_of_transforms() -> None:
    def slope(x: Any) -> Any:
        var = Var(x)
        return backward_with_graph(nr.sum(nr.sin(var) * var)).get_var(var)

    want = nr.grad(lambda x: nr.sum(nr.sin(x) * x))
    np.testing.assert_allclose(nr.jit(slope)(POINT).numpy(), want(POINT).numpy(), rtol=1e-14)
    np.testing.assert_allclose(
        nr.vmap(slope)(POINT).numpy(), nr.vmap(want)(POINT).numpy(), rtol=1e-14
    )
    np.testing.assert_allclose(
        nr.grad(lambda x: nr.sum(slope(x) ** 2))(POINT).numpy(),
        nr.grad(lambda x: nr.sum(want(x) ** 2))(POINT).numpy(),
        rtol=1e-13,
    )


def test_grad_vmap_jvp_of_vars() -> None:
    x = Var(POINT)
    g = nr.grad(lambda x: nr.sum(x**3))(x)
    np.testing.assert_allclose(backward(nr.sum(g))[x].numpy(), 6 * POINT, rtol=1e-14)
    w = Var(2.0)
    inner = nr.grad(lambda x: nr.sum(w * x**2))(POINT)
    np.testing.assert_allclose(backward(nr.sum(inner))[w].item(), 2 * POINT.sum(), rtol=1e-14)
    rows = nr.vmap(lambda x: nr.sin(x) * w)(x)
    store = backward(nr.sum(rows))
    np.testing.assert_allclose(store[x].numpy(), 2 * np.cos(POINT), rtol=1e-14)
    np.testing.assert_allclose(store[w].item(), np.sin(POINT).sum(), rtol=1e-14)
    _, slope = nr.jvp(lambda x: x**3, (x,), (np.ones(3),))
    np.testing.assert_allclose(backward(nr.sum(slope))[x].numpy(), 6 * POINT, rtol=1e-14)


@nr.control_flow
def branch(x: Any) -> Any:
    if x > 0:
        return x * x
    return -x


def test_control_flow_loops_and_custom_rules() -> None:
    x = Var(3.0)
    f = nr.jit(branch)
    assert backward(f(x))[x].item() == 6.0 and backward(f(-x))[x].item() == 1.0
    bounded = nr.while_loop(lambda c: c < 10, lambda c: c * 2.0, x, max_steps=20)
    assert bounded.item() == 12.0 and backward(bounded)[x].item() == 4.0
    unbounded = nr.while_loop(lambda c: c < 10, lambda c: c * 2.0, x)
    text = said(lambda: backward(unbounded), errors.NotDifferentiableError)
    assert "max_steps" in text and HERE in text
    sine = nr.custom_jvp(nr.sin)
    sine.defjvp(lambda primals, tangents: (nr.sin(primals[0]), 10.0 * tangents[0]))
    y = sine(x)
    y.item()
    assert backward(y)[x].item() == 10.0


@pytest.mark.parametrize("device", ["reference", "webgpu"])
def test_other_devices(device: str) -> None:
    if device not in (*nr.available_devices(), "reference"):
        pytest.skip(f"there is no {device}")
    nr.set_default_device(device)
    try:
        x = Var(nr.asarray(POINT, dtype=nr.float32))
        store = backward_with_graph(nr.sum(nr.sin(x) ** 2))
        np.testing.assert_allclose(store.get(x).numpy(), np.sin(2 * POINT), rtol=1e-5)
        second = backward(nr.sum(store[x]))[x]
        np.testing.assert_allclose(second.numpy(), 2 * np.cos(2 * POINT), rtol=1e-5, atol=1e-6)
    finally:
        nr.set_default_device("cpu")


def test_threads_have_histories_of_their_own() -> None:
    found = []

    def work(start: float) -> None:
        x = Var(start)
        with no_grad():
            factor = x * 1.0
        found.append(backward(factor * x**2)[x].item() == 2.0 * start**2)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(1, 9)]
    for thread in threads:
        thread.start()
    x = Var(2.0)
    assert backward(x**3)[x].item() == 12.0
    for thread in threads:
        thread.join()
    assert found == [True] * 8


# -- checkpoint -----------------------------------------------------------------------------------


def deep(x: Any) -> Any:
    for _ in range(6):
        x = nr.sin(x) * nr.exp(-x)
    return x


def test_checkpoint_is_the_function() -> None:
    calls = []

    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        return {"a": deep(x) * y, "b": nr.sum(y)}

    x, y = Var(POINT), Var(2.0 * POINT)
    plain = f(x, y)
    store = backward(nr.sum(plain["a"]) * plain["b"])
    calls.clear()
    made = checkpoint(f, x, y)
    again = backward(nr.sum(made["a"]) * made["b"])
    assert len(calls) == 1
    for var in (x, y):
        np.testing.assert_allclose(again[var].numpy(), store[var].numpy(), rtol=1e-13)


def test_checkpoint_has_second_order_and_closures() -> None:
    x, w = Var(POINT), Var(1.5)
    loss = nr.sum(checkpoint(lambda x: deep(x) * w, x) ** 2)
    first = backward_with_graph(loss)
    want = nr.grad(lambda x, w: nr.sum((deep(x) * w) ** 2), (0, 1))
    np.testing.assert_allclose(first.get(w).item(), want(POINT, 1.5)[1].item(), rtol=1e-12)
    got = backward(nr.sum(first[x]))
    hessian = nr.grad(lambda x, w: nr.sum(want(x, w)[0]), (0, 1))(POINT, 1.5)
    np.testing.assert_allclose(got[x].numpy(), hessian[0].numpy(), rtol=1e-11)
    np.testing.assert_allclose(got[w].item(), hessian[1].item(), rtol=1e-11)


def test_checkpoint_keeps_the_arguments_only() -> None:
    def memory(wrapped: bool) -> int:
        x = Var(np.ones((200, 200)))
        m = nr.asarray(np.full((200, 200), 0.01))

        def layers(x: Any) -> Any:
            for _ in range(4):
                x = nr.tanh(x @ m)
            return x

        y = checkpoint(layers, x) if wrapped else layers(x)
        gradient = backward(nr.sum(y))[x]
        return len(_outside_loops(gradient.node))

    assert memory(True) == 0 < memory(False)


def _outside_loops(node: Any) -> list[Any]:
    from numr.ir.node import toposort

    return [n for n in toposort([node]) if n.prim.name in ("matmul", "tanh")]


# -- memory and length ----------------------------------------------------------------------------


def train(steps: int, read: bool) -> tuple[Var, list[Any]]:
    x, y = np.linspace(0.0, 1.0, 8), np.linspace(1.0, 3.0, 8)
    w, nodes = Var([0.0, 0.0]), []
    for _ in range(steps):
        loss = nr.mean((w[0] * x + w[1] - y) ** 2)
        if read:
            loss.item()
        store = backward(loss)
        nodes.append(weakref.ref(loss.node))
        w = Var(w - 0.5 * store[w])
    return w, nodes


@pytest.mark.parametrize("read", [False, True])
def test_training_frees_what_is_past(read: bool) -> None:
    train(3, read)
    programs = nr.cache.info().programs.misses
    w, nodes = train(200, read)
    gc.collect()
    np.testing.assert_allclose(w.numpy(), [2.0, 1.0], atol=1e-2)
    assert nr.cache.info().programs.misses <= programs + 1, "a step is one known program"
    assert sum(ref() is not None for ref in nodes) <= 2
    assert len(scope.arena) < 100


def test_training_in_place_frees_what_is_past() -> None:
    w, nodes = Var([0.0, 0.0]), []
    for _ in range(100):
        loss = nr.sum((w - 1.0) ** 2)
        store = backward(loss)
        nodes.append(weakref.ref(loss.node))
        with no_grad():
            w[...] = w - 0.25 * store[w]
    gc.collect()
    np.testing.assert_allclose(w.numpy(), [1.0, 1.0], atol=1e-8)
    assert sum(ref() is not None for ref in nodes) <= 2


@pytest.mark.slow
def test_a_hundred_thousand_operations() -> None:
    x = Var(0.3)
    y = x
    value, slope = 0.3, 1.0
    for _ in range(33_334):
        y = y + 1e-5 * nr.cos(y)
        value, slope = value + 1e-5 * math.cos(value), slope * (1.0 - 1e-5 * math.sin(value))
    store = backward(y)
    np.testing.assert_allclose(store[x].item(), slope, rtol=1e-9)
    np.testing.assert_allclose(y.item(), value, rtol=1e-12)
