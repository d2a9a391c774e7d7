"""A key as it is kept, and what makes one that cannot be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args
from urllib.parse import urlsplit

from rag.errors import InputError

Scope = Literal["ask", "publish", "ingest", "admin"]
"""What a key may do: `ask` questions; ask them from web pages, where everybody can read the key
(`publish`); `ingest` and delete documents; all of that and look at costs (`admin`)."""

COMMAND_LINE = "command-line"
"""What the ledger and the audit log call the command line, instead of a key."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RANGES = {
    "requests_per_minute": 1_000_000,
    "visitor_requests_per_minute": 10_000,
    "visitor_questions_per_day": 100_000,
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its token.

    `tenant` is empty for the operator's own. `collections` are those that it is for, None for all
    of its tenant. `origins` are the web pages that may use it, as `https://example.org`. Dollars of
    a day and a month are walls, numbers of requests limits; None is without one.
    """

    name: str
    scopes: frozenset[Scope]
    tenant: str = ""
    collections: tuple[str, ...] | None = None
    origins: tuple[str, ...] = ()
    day_usd: Decimal | None = None
    month_usd: Decimal | None = None
    requests_per_minute: int | None = None
    visitor_requests_per_minute: int | None = None
    visitor_questions_per_day: int | None = None
    expires_at: datetime | None = None

    @property
    def is_publishable(self) -> bool:
        """Whether everybody can read it, on a page."""
        return "publish" in self.scopes


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A key with what was recorded of it; `hint` is how its token begins."""

    key: Key
    hint: str
    created_at: datetime
    revoked_at: datetime | None


def check_key(key: Key) -> None:
    """Raises InputError for a key that contradicts itself, or that is out of range."""
    _check_names(key)
    _check_scopes(key)
    for name, most in _RANGES.items():
        value = getattr(key, name)
        if value is not None and not 1 <= value <= most:
            raise InputError(f"{name} is {value:,}, outside its range 1 to {most:,}: give another")
    for unit in ("day_usd", "month_usd"):
        usd = getattr(key, unit)
        if usd is not None and not (usd.is_finite() and usd >= 0):
            raise InputError(f"{unit} is {usd}, the least is 0: give dollars, or leave it out")


def _check_names(key: Key) -> None:
    names = {"name": [key.name], "collection": key.collections or (), "tenant": [key.tenant or "-"]}
    for what, given in names.items():
        for one in given:
            if not _NAME.fullmatch(one) and one != "-":
                raise InputError(
                    f"the {what} is {one[:60]!a}: give 1 to 100 letters, digits, dots, dashes and "
                    "underscores, the first a letter or a digit"
                )
    if key.name == COMMAND_LINE:
        raise InputError(
            f"{COMMAND_LINE!r} is what the ledger calls the command line: choose another"
        )
    for origin in key.origins:
        _check_origin(origin)


def _check_origin(origin: str) -> None:
    try:
        parts = urlsplit(origin)
        is_origin = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_origin = False
    if not is_origin or origin != f"{parts.scheme}://{parts.netloc}".lower() or "@" in origin:
        raise InputError(
            f"the origin is {origin[:60]!a}: give a scheme and a host in small letters, with the "
            "port if it is not the usual one, such as https://www.example.org"
        )


def _check_scopes(key: Key) -> None:
    known = get_args(Scope)
    unknown = sorted(set(key.scopes) - set(known))
    if unknown or not key.scopes:
        raise InputError(
            f"the scope is {unknown[0] if unknown else 'missing'!r}: give {', '.join(known)}"
        )
    if key.is_publishable:
        if len(key.scopes) > 1:
            raise InputError(
                "a publishable key stands on a page for all to read, and has that scope alone: "
                "make another key for the rest"
            )
        if not key.origins or key.collections is None:
            raise InputError(
                "a publishable key is for the pages and the collections that it names: give "
                "--origin and --collection"
            )
    elif key.origins:
        raise InputError(
            "only a publishable key is for web pages: leave --origin out, or give --scope publish"
        )
    if "admin" in key.scopes and key.collections is not None:
        raise InputError(
            "a key with the scope admin is for all collections of its tenant: leave "
            "--collection out"
        )
