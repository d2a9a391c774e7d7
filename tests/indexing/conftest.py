"""The stores that the tests of the stores run on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fakes import Disk, MemoryStore, OpenStore
from qdrant_over_http import qdrant_over_http
from store_makers import DIMENSION, Open, connected_store

from rag.ports import ChunkStore

KEY = "a key of the tests"


@pytest.fixture(params=["edge", "server", "memory"])
def reopen(request: pytest.FixtureRequest, open_store: OpenStore) -> Iterator[Open]:
    """Opens one and the same store, once or again, for a model and a dimension."""
    disk, listening = Disk(), ExitStack()
    url = listening.enter_context(qdrant_over_http(KEY)).url if request.param == "server" else ""

    def open_(fingerprint: str = "test", dimension: int = DIMENSION) -> ChunkStore:
        match request.param:
            case "edge":
                return open_store(fingerprint=fingerprint, dimension=dimension)
            case "server":
                return connected_store(url, KEY, fingerprint, dimension)
            case _:
                return MemoryStore(disk, fingerprint, dimension)

    with listening:
        yield open_


@pytest.fixture
async def store(reopen: Open) -> ChunkStore:
    return reopen()
