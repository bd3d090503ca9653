"""The two array modules that a random program runs on: NumPy, and numr under the same names."""

from __future__ import annotations

from typing import Any

import numpy as np

import numr as nr


class NumPy:
    """NumPy, with what it lacks spelled out."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def updated(x: Any, key: Any, mode: str, value: Any) -> Any:
        """A copy of x updated at an index; of repeated assignments the last one wins."""
        out = np.array(x)
        if mode == "set":
            places = np.arange(out.size).reshape(out.shape)[key]
            flat = np.array(out.ravel())
            values = np.broadcast_to(np.asarray(value).astype(out.dtype), places.shape)
            for place, v in zip(places.ravel(), values.ravel(), strict=True):
                flat[place] = v
            return flat.reshape(out.shape)
        name = {"add": "add", "mul": "multiply", "min": "minimum", "max": "maximum"}[mode]
        getattr(np, name).at(out, key, np.asarray(value).astype(out.dtype))
        return out

    @staticmethod
    def softmax(x: Any, axis: int) -> Any:
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    @staticmethod
    def logsumexp(x: Any, axis: int) -> Any:
        top = x.max(axis=axis, keepdims=True)
        return np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis)

    @staticmethod
    def argsort(x: Any, axis: int) -> Any:
        return np.argsort(x, axis=axis, stable=True)


class Numr:
    """numr, with updates spelled as the other module has them."""

    def __getattr__(self, name: str) -> Any:
        return getattr(nr, name)

    @staticmethod
    def updated(x: Any, key: Any, mode: str, value: Any) -> Any:
        return getattr(x.at[key], mode)(value)


NUMPY, NUMR = NumPy(), Numr()
