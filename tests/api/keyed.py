"""A service with keys: of two tenants, of the operator, of a page."""

from __future__ import annotations

from typing import Any

import httpx
from api_fakes import FakeApplication

from api.keys.key import Key
from api.keys.records import KeyRecords

PAGE = "https://www.example.org"
OTHER_PAGE = "https://www.example.com"
KEYS = {
    "root": Key("root", frozenset({"admin"})),
    "desk": Key("desk", frozenset({"ask"})),
    "loader": Key("loader", frozenset({"ingest"})),
    "site": Key("site", frozenset({"publish"}), collections=("default",), origins=(PAGE,)),
    "acme": Key("acme", frozenset({"admin"}), tenant="acme"),
    "acme-site": Key(
        "acme-site",
        frozenset({"publish"}),
        tenant="acme",
        collections=("help",),
        origins=(OTHER_PAGE,),
    ),
    "acme-faq": Key("acme-faq", frozenset({"ask", "ingest"}), "acme", collections=("faq",)),
    "bolt": Key("bolt", frozenset({"admin"}), tenant="bolt"),
}


def make_keys(application: FakeApplication, *keys: Key) -> dict[str, str]:
    """Headers that show each key, by its name; without `keys`, all of KEYS."""
    records = KeyRecords(application.state)
    made = keys or tuple(KEYS.values())
    return {key.name: f"Bearer {records.create(key)}" for key in made}


async def call(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    authorization: str | None = None,
    *,
    json: Any = None,
    **headers: str,
) -> httpx.Response:
    """A request with a key; `origin=…` and the like are headers.

    All have the same id, so that what they are told can be compared.
    """
    given = {"x-request-id": "tried"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    if authorization is not None:
        given["authorization"] = authorization
    return await client.request(method, path, json=json, headers=given)
