"""A clean place for every test: its own folder, no settings from outside."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_fakes import (
    TEXTS,
    FakeApplication,
    MakeApplication,
    MakeClient,
    client_of,
    fake_application,
    finish,
    settings_in,
)


@pytest.fixture(autouse=True)
def _clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make_application(tmp_path: Path) -> Iterator[MakeApplication]:
    """Applications over one data folder, closed at the end."""
    made: list[FakeApplication] = []

    def make(groups: dict[str, Any] | None = None, **parts: Any) -> FakeApplication:
        made.append(fake_application(settings_in(tmp_path, **(groups or {})), **parts))
        return made[-1]

    yield make
    for application in made:
        application.answering.ledger.close()
        application.state.dispose()


@pytest.fixture
def application(make_application: MakeApplication) -> FakeApplication:
    return make_application()


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """Clients of services around applications, closed with their jobs at the end."""
    async with AsyncExitStack() as stack:

        async def make(application: FakeApplication) -> httpx.AsyncClient:
            client = await stack.enter_async_context(client_of(application))
            app = client._transport.app  # type: ignore[attr-defined]
            stack.push_async_callback(app.state.service.jobs.close)
            return client

        yield make


@pytest.fixture
async def client(application: FakeApplication, make_client: MakeClient) -> httpx.AsyncClient:
    """A client of a service that knows TEXTS."""
    client = await make_client(application)
    body = {"documents": [{"id": name, "text": text} for name, text in TEXTS.items()]}
    await finish(client, await client.post("/v1/documents", json=body))
    return client
