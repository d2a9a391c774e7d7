"""Who asks: the names that a proxy in front has found out and sends along.

There are no keys yet, and this service is reached from its own machine alone: it takes the names
on trust, and holds budgets and the ledger by them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import Request

from api.models.inputs import KEY_HEADER, TENANT_HEADER
from rag.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Asker:
    """The name of a tenant and that of a key, which is no secret; empty where nobody told."""

    tenant: str
    key: str


def asker_of(request: Request) -> Asker:
    """The asker that the headers name. Raises InputError for what cannot be a name."""
    return Asker(_named(request, TENANT_HEADER), _named(request, KEY_HEADER))


def _named(request: Request, header: str) -> str:
    name = request.headers.get(header, "")
    if name and not _NAME.fullmatch(name):
        raise InputError(
            f"the header {header} is {name[:60]!a}: give 1 to 100 letters, digits, dots, "
            "dashes and underscores"
        )
    return name
