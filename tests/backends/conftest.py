"""The devices beside the CPU that whole suites run on: a real CUDA device only with `-m gpu`."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(
    scope="module", params=["webgpu", pytest.param("cuda", marks=pytest.mark.gpu)], name="device"
)
def device_of_suite(request: Any) -> str:
    return request.param
