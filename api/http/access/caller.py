"""Who calls: what a key says, or, without keys, the names that a proxy in front sends along.

Without keys the service is reached from its own machine alone, and takes the names on trust: it
holds budgets and the ledger by them, and shows everything to all. So it does for the command line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from fastapi import Request

from api.audit.log import WITHOUT_KEY
from api.keys.key import Key
from api.keys.reach import EVERYTHING, NOTHING, By, Reach
from api.models.inputs import KEY_HEADER, TENANT_HEADER
from rag.errors import InputError
from rag.types import Question

VISITOR_HEADER = "X-Rag-Visitor"
"""What a page calls its visitor: a random name that it made up and keeps."""

VISITOR = re.compile(r"[A-Za-z0-9_-]{8,64}")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Caller:
    """The name of a tenant and that of a key, empty where there is none, and what is in reach.

    `day_usd` and `month_usd` are walls of the key. A `is_visitor` is somebody on a web page, who is
    told nothing of the operator's machine and money, and `visitor` is what the page calls him,
    empty where nobody told.
    """

    tenant: str
    key: str
    reach: Reach
    day_usd: Decimal | None = None
    month_usd: Decimal | None = None
    is_visitor: bool = False
    visitor: str = ""

    @property
    def actor(self) -> str:
        """What the audit log calls him."""
        return self.key or WITHOUT_KEY

    @property
    def by(self) -> By:
        """As one who administers what is of this tenant; the operator's own is that of none."""
        return By(self.actor, self.tenant, self.reach)

    @property
    def by_reach(self) -> By:
        """As one who administers what is within reach, whoever's it is."""
        return By(self.actor, self.tenant or None, self.reach)

    @property
    def is_operator(self) -> bool:
        """Whether everything, whoever's it is, is within reach."""
        return self.reach.tenant is None

    def default_collection(self, usual: str) -> str:
        """The collection of a call that names none: the only one of a key, else the usual."""
        only = self.reach.collections
        return only[0] if only is not None and len(only) == 1 else usual

    def asks(self, question: Question) -> Question:
        """A question as it is asked in the caller's name. Raises AccessError."""
        return replace(
            question,
            collection=self.reach.inside(question.collection),
            tenant=self.tenant,
            key=self.key,
            key_day_usd=self.day_usd,
            key_month_usd=self.month_usd,
            is_of_stranger=self.is_visitor or bool(self.reach.tenant),
        )


ANYBODY = Caller("", "", NOTHING)
"""Who showed no key where none is needed."""


def not_for_visitors(field: str) -> str:
    """What a visitor is told who sets a field that only other callers may."""
    return f"a publishable key may not set {field}: leave it out, or use another key"


def caller_with(key: Key, visitor: str = "") -> Caller:
    """Who shows this key. A key of the operator with the scope admin is for everything."""
    is_operator = not key.tenant and "admin" in key.scopes
    return Caller(
        tenant=key.tenant,
        key=key.name,
        reach=EVERYTHING if is_operator else Reach(key.tenant, key.collections),
        day_usd=key.day_usd,
        month_usd=key.month_usd,
        is_visitor=key.is_publishable,
        visitor=visitor,
    )


def caller_on_trust(request: Request) -> Caller:
    """Who the headers say that it is. Raises InputError for what cannot be a name."""
    tenant, key = _named(request, TENANT_HEADER), _named(request, KEY_HEADER)
    return Caller(tenant, key, EVERYTHING, visitor=visitor_of(request))


def visitor_of(request: Request) -> str:
    """What a page calls its visitor; empty where none does. Raises InputError."""
    visitor = request.headers.get(VISITOR_HEADER, "")
    if visitor and not VISITOR.fullmatch(visitor):
        raise InputError(
            f"the header {VISITOR_HEADER} is {visitor[:60]!a}: give 8 to 64 letters, digits, "
            "dashes and underscores, made up at random"
        )
    return visitor


def caller_of(request: Request) -> Caller:
    """Who calls, as the gate has found out."""
    caller: Caller = request.state.caller
    return caller


def _named(request: Request, header: str) -> str:
    name = request.headers.get(header, "")
    if name and not _NAME.fullmatch(name):
        raise InputError(
            f"the header {header} is {name[:60]!a}: give 1 to 100 letters, digits, dots, "
            "dashes and underscores"
        )
    return name
