"""Memory for derivatives: checkpoint, which computes anew in reverse what it does not keep."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numr import tree
from numr.array import from_node, to_array
from numr.control import Traced, function_name, leaves_of
from numr.errors import GradientError
from numr.primitives.checkpoints import CHECKPOINT, NAMED, Policy

__all__ = ["checkpoint", "checkpoint_name", "checkpoint_policies"]

_CONTRACTIONS = ("matmul",)


class checkpoint_policies:
    """What `checkpoint` keeps. A policy is a function (operation, name) -> whether to keep its result.

    `operation` is the name of the operation in the graph ("matmul"), `name` what `checkpoint_name` called
    the value, or None.

    Examples:
        >>> import numr as nr
        >>> nr.checkpoint_policies.dots_saveable("matmul", None)
        True
        >>> nr.checkpoint_policies.save_only_these_names("z")("named", "z")
        True
    """

    @staticmethod
    def nothing_saveable(operation: str, name: str | None) -> bool:
        """Keep the arguments only."""
        return False

    @staticmethod
    def everything_saveable(operation: str, name: str | None) -> bool:
        """Keep every value that the derivative needs, as if there were no checkpoint."""
        return True

    @staticmethod
    def dots_saveable(operation: str, name: str | None) -> bool:
        """Keep the results of contractions (matrix products): what is dear to compute anew."""
        return operation in _CONTRACTIONS

    @staticmethod
    @functools.cache
    def save_only_these_names(*names: str) -> Policy:
        """Keep the values that `checkpoint_name` gave one of these names."""
        wanted = frozenset(names)

        def named(operation: str, name: str | None) -> bool:
            return name in wanted

        return named


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
) -> Any:
    """`fun`, of which reverse mode keeps the arguments only, and computes the rest anew.

    Derivatives are the same; they need less memory and more time, about one evaluation of `fun`.
    `f.lower(...).cost.peak` says what a jitted function needs. For the steps of a loop, `scan` has
    `checkpoint=` of its own.

    Args:
        fun: a function of arrays (any pytrees).
        policy: which values to keep, too: one of `checkpoint_policies`, or a function (operation, name)
            -> bool. By default none.
        static_argnums: positions of arguments that are no arrays.

    Returns:
        A function of the same arguments with the same results.

    Raises:
        TypeError: if `fun` or the policy is no function.

    References:
        Griewank, Walther, Algorithm 799: Revolve (2000), for the trade of memory against time.

    Examples:
        >>> import numr as nr
        >>> f = nr.checkpoint(lambda x: nr.sin(nr.sin(x)))
        >>> nr.grad(f)(0.0).item()
        1.0
        >>> g = nr.checkpoint(lambda w, x: nr.tanh(w @ x), policy=nr.checkpoint_policies.dots_saveable)
        >>> nr.grad(lambda w, x: nr.sum(g(w, x)))(nr.zeros((1, 2)), nr.ones(2)).tolist()
        [[1.0, 1.0]]
    """
    if fun is None:
        return functools.partial(checkpoint, policy=policy, static_argnums=static_argnums)
    name = function_name("checkpoint", fun)
    keep = checkpoint_policies.nothing_saveable if policy is None else policy
    if not callable(keep):
        raise TypeError(
            f"numr.checkpoint of {name}: policy is to be one of numr.checkpoint_policies or a function "
            f"(operation, name) -> bool, not {policy!r}"
        )
    static = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    called = fun

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        fixed = {i % len(args) for i in static if -len(args) <= i < len(args)}
        places = [i for i in range(len(args)) if i not in fixed]
        leaves, structure = leaves_of(([args[i] for i in places], kwargs))

        def call(arrays: list[Any]) -> Any:
            given, keywords = structure.unflatten(arrays)
            whole = list(args)
            for i, x in zip(places, given, strict=True):
                whole[i] = x
            return called(*whole, **keywords)

        traced = Traced("checkpoint", called, leaves, call)
        body, taken = traced.close(traced.outputs)
        found = CHECKPOINT.results(*taken, *(x.node for x in leaves), body=body, policy=keep)
        arrays = [from_node(n, x.weak) for n, x in zip(found, traced.results, strict=True)]
        return traced.structure.unflatten(arrays)

    return checkpointed


def checkpoint_name(x: Any, name: str) -> Any:
    """x itself (any pytree), under a name for `checkpoint_policies.save_only_these_names`.

    Raises:
        GradientError: if the name is no text.

    Examples:
        >>> import numr as nr
        >>> nr.checkpoint_name(nr.asarray([1.0]), "hidden").tolist()
        [1.0]
    """
    if not isinstance(name, str):
        raise GradientError(f"numr.checkpoint_name: the name is to be a text, not {name!r}")
    return tree.map(lambda leaf: from_node(NAMED(to_array(leaf).node, label=name)), x)
