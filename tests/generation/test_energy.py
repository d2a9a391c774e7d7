"""The estimate of electricity: by the GPU's time, or by the token."""

from __future__ import annotations

import pytest

from generation.money.energy import watt_hours
from rag.types import Usage


def test_ones_own_gpu_by_its_time() -> None:
    assert watt_hours(Usage(100, 0, 100), 36.0, 700.0) == pytest.approx(7.0)
    assert watt_hours(None, 36.0, 700.0) == pytest.approx(7.0), "whatever it wrote"


def test_without_watts_stated_nothing_is_known_of_ones_own_gpu() -> None:
    assert watt_hours(Usage(100, 0, 100), 36.0, None) is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(input_tokens=0, output_tokens=500), 0.3),
        (Usage(input_tokens=10_000, output_tokens=500), 2.5),
        (Usage(input_tokens=10_000, cached_input_tokens=10_000, output_tokens=500), 0.3),
        (Usage(input_tokens=10_000, cache_write_tokens=10_000, output_tokens=500), 2.5),
        (Usage(), 0.0),
    ],
)
def test_anothers_gpu_by_the_token(usage: Usage, expected: float) -> None:
    assert watt_hours(usage, None, 700.0) == pytest.approx(expected)


def test_without_usage_nothing_is_known_of_anothers() -> None:
    assert watt_hours(None, None, 700.0) is None
