"""When a server asks its callers to come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from generation.providers.server import retry_after_s


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_the_header_is_read_as_seconds_or_as_a_date(told: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": told}) == seconds


def test_a_date_to_come_is_so_many_seconds_away() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    told = retry_after_s({"retry-after": date})
    assert told is not None
    assert 55 < told <= 60


def test_without_the_header_nothing_is_known() -> None:
    assert retry_after_s({}) is None
