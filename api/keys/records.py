"""The keys in the state: made, listed, revoked, found."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from api.audit.log import Deed, note
from api.keys.key import COMMAND_LINE, KeptKey, Key, check_key
from api.keys.tables import KEYS
from api.keys.tokens import PUBLISHABLE, SECRET, hash_of, hint_of, make_token
from rag.errors import ConflictError, NotFoundError


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class KeyRecords:
    """The keys in the tables of `engine`, which the command line makes and revokes.

    Its methods raise StateError.
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def create(self, key: Key) -> str:
        """Make a key, and give its token, which is shown this once and kept nowhere.

        Raises InputError for one that cannot be, ConflictError for a name that was given before:
        the ledger tells keys apart by it.
        """
        check_key(key)
        token = make_token(PUBLISHABLE if key.is_publishable else SECRET)
        row = _row(key) | {
            "token_hash": hash_of(token),
            "hint": hint_of(token),
            "created_at": _text(self._now()),
            "revoked_at": None,
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(KEYS).values(row))
                note(connection, Deed(COMMAND_LINE, key.tenant, "key.create", key.name))
        except IntegrityError:
            raise ConflictError(
                f"there is or was a key named {key.name!r}, and the ledger tells keys apart by "
                "their names: choose another"
            ) from None
        return token

    def all(self) -> list[KeptKey]:
        """Every key there is or was, by its name."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(KEYS).order_by(KEYS.c.name)).all()
        return [
            KeptKey(_key(row), row.hint, _time(row.created_at), _time_or_none(row.revoked_at))
            for row in rows
        ]

    def revoke(self, name: str) -> None:
        """Let a key open nothing from now on; one that was revoked stays so.

        Raises NotFoundError.
        """
        named = KEYS.c.name == name
        changed = update(KEYS).where(named, KEYS.c.revoked_at.is_(None))
        with self._engine.begin() as connection:
            tenant = connection.scalar(select(KEYS.c.tenant).where(named))
            if tenant is None:
                raise NotFoundError(f"there is no key {name[:100]!r}: `rag keys list` shows all")
            if connection.execute(changed.values(revoked_at=_text(self._now()))).rowcount:
                note(connection, Deed(COMMAND_LINE, tenant, "key.revoke", name))

    def find(self, token: str) -> Key | None:
        """The key of a token; None for one that is wrong, has expired or was revoked."""
        query = select(KEYS).where(KEYS.c.token_hash == hash_of(token), self._is_live())
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _key(row)

    def are_there(self) -> bool:
        """Whether there is a key that was not revoked."""
        query = select(KEYS.c.name).where(KEYS.c.revoked_at.is_(None)).limit(1)
        with self._engine.connect() as connection:
            return connection.scalar(query) is not None

    def live(self) -> list[Key]:
        """The keys that open something, by their names."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(KEYS).where(self._is_live()).order_by(KEYS.c.name))
            return [_key(row) for row in rows]

    def origins(self) -> frozenset[str]:
        """The web pages of all keys that open something."""
        query = select(KEYS.c.origins).where(KEYS.c.origins != "[]", self._is_live())
        with self._engine.connect() as connection:
            return frozenset(one for row in connection.scalars(query) for one in json.loads(row))

    def _is_live(self) -> ColumnElement[bool]:
        is_current = or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > _text(self._now()))
        return and_(KEYS.c.revoked_at.is_(None), is_current)


def _row(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "tenant": key.tenant,
        "scopes": json.dumps(sorted(key.scopes)),
        "collections": None if key.collections is None else json.dumps(key.collections),
        "origins": json.dumps(key.origins),
        "day_usd": None if key.day_usd is None else str(key.day_usd),
        "month_usd": None if key.month_usd is None else str(key.month_usd),
        "requests_per_minute": key.requests_per_minute,
        "visitor_requests_per_minute": key.visitor_requests_per_minute,
        "visitor_questions_per_day": key.visitor_questions_per_day,
        "expires_at": None if key.expires_at is None else _text(key.expires_at),
    }


def _key(row: Row[Any]) -> Key:
    return Key(
        name=row.name,
        scopes=frozenset(json.loads(row.scopes)),
        tenant=row.tenant,
        collections=None if row.collections is None else tuple(json.loads(row.collections)),
        origins=tuple(json.loads(row.origins)),
        day_usd=None if row.day_usd is None else Decimal(row.day_usd),
        month_usd=None if row.month_usd is None else Decimal(row.month_usd),
        requests_per_minute=row.requests_per_minute,
        visitor_requests_per_minute=row.visitor_requests_per_minute,
        visitor_questions_per_day=row.visitor_questions_per_day,
        expires_at=_time_or_none(row.expires_at),
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
