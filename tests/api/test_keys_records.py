"""Keys as they are made, kept, found and revoked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from api.keys.key import Key
from api.keys.records import KeyRecords
from api.keys.tables import KEYS
from api.state.opening import FILE, open_state
from rag.errors import ConflictError, InputError, NotFoundError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DESK = Key("desk", frozenset({"ask"}))
SITE = Key(
    "site",
    frozenset({"publish"}),
    tenant="acme",
    collections=("help", "faq"),
    origins=("https://www.example.org", "http://localhost:8080"),
    day_usd=Decimal("2.5"),
    requests_per_minute=600,
    visitor_requests_per_minute=20,
    visitor_questions_per_day=200,
    expires_at=NOW + timedelta(days=1),
)


class Clock:
    """The time, set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_state(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def records(state_engine: Engine, clock: Clock) -> KeyRecords:
    return KeyRecords(state_engine, clock)


def test_a_key_is_found_by_its_token_as_it_was_made(records: KeyRecords) -> None:
    desk, site = records.create(DESK), records.create(SITE)
    assert (desk[:7], site[:7]) == ("rag_sk_", "rag_pk_")
    assert len(desk) == len(site) == 7 + 43
    assert records.find(desk) == DESK
    assert records.find(site) == SITE
    assert [(one.key, one.hint) for one in records.all()] == [(DESK, desk[:11]), (SITE, site[:11])]


def test_no_token_is_kept(engine: Engine, tmp_path: Path) -> None:
    token = KeyRecords(engine).create(DESK)
    with engine.connect() as connection:
        row = connection.execute(select(KEYS)).one()
    assert token not in map(str, row)
    files = [path for path in tmp_path.iterdir() if path.name.startswith(FILE)]
    assert files
    assert not any(token[11:].encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("token", ["", "rag_sk_", "rag_sk_" + "A" * 43, "Ω", "\udc80", "x" * 9_999])
def test_a_wrong_token_finds_nothing(records: KeyRecords, token: str) -> None:
    records.create(DESK)
    assert records.find(token) is None


def test_a_key_ends_with_its_time(records: KeyRecords, clock: Clock) -> None:
    token = records.create(SITE)
    clock.now += timedelta(hours=23, minutes=59)
    assert records.find(token) is not None
    assert records.origins() == set(SITE.origins)
    clock.now += timedelta(minutes=1)
    assert records.find(token) is None
    assert records.origins() == set()
    assert records.live() == []
    assert records.are_there(), "one that has expired still keeps strangers out"


def test_a_revoked_key_opens_nothing_and_stays_revoked(records: KeyRecords, clock: Clock) -> None:
    token = records.create(DESK)
    assert records.are_there()
    records.revoke("desk")
    clock.now += timedelta(days=1)
    records.revoke("desk")
    assert records.find(token) is None
    assert not records.are_there()
    assert [one.revoked_at for one in records.all()] == [NOW]


def test_a_name_is_given_once(records: KeyRecords) -> None:
    records.create(DESK)
    records.revoke("desk")
    with pytest.raises(ConflictError, match="there is or was a key named 'desk'"):
        records.create(DESK)


def test_an_unknown_key_cannot_be_revoked(records: KeyRecords) -> None:
    with pytest.raises(NotFoundError, match="there is no key 'x': `rag keys list` shows all"):
        records.revoke("x")


@pytest.mark.parametrize(
    ("key", "changed", "words"),
    [
        (DESK, {"name": ""}, "the name is ''"),
        (DESK, {"name": "a:b"}, "the name is 'a:b'"),
        (DESK, {"name": "command-line"}, "is what the ledger calls the command line"),
        (DESK, {"tenant": "a/b"}, "the tenant is 'a/b'"),
        (DESK, {"collections": ("a:b",)}, "the collection is 'a:b'"),
        (DESK, {"scopes": frozenset()}, "the scope is 'missing'"),
        (DESK, {"scopes": frozenset({"all"})}, "the scope is 'all': give ask, publish, ingest"),
        (DESK, {"origins": ("https://a.example",)}, "only a publishable key is for web pages"),
        (DESK, {"scopes": frozenset({"admin"}), "collections": ("a",)}, "leave --collection out"),
        (DESK, {"requests_per_minute": 0}, "requests_per_minute is 0, outside its range 1 to"),
        (DESK, {"day_usd": Decimal(-1)}, "day_usd is -1, the least is 0"),
        (DESK, {"day_usd": Decimal("NaN")}, "day_usd is NaN"),
        (SITE, {"scopes": frozenset({"publish", "ask"})}, "has that scope alone"),
        (SITE, {"origins": ()}, "give --origin and --collection"),
        (SITE, {"collections": None}, "give --origin and --collection"),
        (SITE, {"visitor_questions_per_day": 100_001}, "its range 1 to 100,000"),
    ],
)
def test_a_key_that_cannot_be(
    records: KeyRecords, key: Key, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        records.create(replace(key, **changed))
    assert records.all() == []


@pytest.mark.parametrize(
    "origin",
    [
        "example.org", "*", "null", "https://", "https://a.example/", "https://a.example/x",
        "HTTPS://a.example", "https://A.example", "https://u@a.example", "ftp://a.example",
        "https://a.example:x", "https://a.example?x", "https://[a", "",
    ],
)  # fmt: skip
def test_an_origin_that_is_none(records: KeyRecords, origin: str) -> None:
    with pytest.raises(InputError, match="give a scheme and a host in small letters"):
        records.create(replace(SITE, origins=(origin,)))
