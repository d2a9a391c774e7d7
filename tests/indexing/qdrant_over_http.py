"""Qdrant's in-process mode behind Qdrant's own HTTP interface, as far as the store uses it.

What it proves is the way over the wire: requests are read by the models of the client, which are
made from the server's specification, and answers are written by them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from listening_server import Asked, Listening, Reply, listening, refusal, result
from qdrant_client import QdrantClient, models

VERSION = "1.20.0"
DONE = {"operation_id": 1, "status": "completed"}


@contextmanager
def qdrant_over_http(api_key: str | None = None) -> Iterator[Listening]:
    """A server that holds its data in memory; with a key, it refuses whoever does not know it."""
    client = QdrantClient(location=":memory:")
    turn = threading.Lock()

    def reply(asked: Asked, _: Listening) -> Reply:
        if api_key is not None and asked.headers.get("api-key") != api_key:
            return refusal(401, "Must provide an API key or an Authorization bearer token")
        with turn:
            try:
                return _answer(client, asked)
            except ValueError as error:  # what in-process mode raises for what it does not like
                return refusal(404 if "not found" in str(error) else 400, str(error))

    with listening(reply) as server:
        yield server


def _answer(client: QdrantClient, asked: Asked) -> Reply:
    path = asked.path.partition("?")[0]
    if path == "/":
        return 200, {}, json.dumps({"title": "qdrant", "version": VERSION}).encode()
    _, _, name, *rest = path.split("/")
    match asked.method, "/".join(rest):
        case "GET", "exists":
            return result({"exists": client.collection_exists(name)})
        case "GET", "":
            return result(_plain(client.get_collection(name)))
        case "PUT", "":
            made = models.CreateCollection(**asked.body)
            client.create_collection(
                name, made.vectors, made.sparse_vectors, metadata=made.metadata
            )
            return result(True)
        case "PUT", "index":
            return result(DONE)
        case _, called:
            return result(_points(client, name, called.removeprefix("points"), asked))


def _points(client: QdrantClient, name: str, called: str, asked: Asked) -> Any:
    body = asked.body
    match called:
        case "" if asked.method == "PUT":
            client.upsert(name, models.PointsList(**body).points)
            return DONE
        case "":
            wanted = models.PointRequest(**body)
            return _plain(client.retrieve(name, wanted.ids, with_payload=wanted.with_payload))
        case "/delete":
            client.delete(name, models.FilterSelector(**body))
            return DONE
        case "/payload":
            change = models.SetPayload(**body)
            assert change.filter is not None
            client.set_payload(name, change.payload, points=change.filter)
            return DONE
        case "/count":
            counted = models.CountRequest(**body)
            return _plain(client.count(name, counted.filter))
        case "/scroll":
            page = models.ScrollRequest(**body)
            points, offset = client.scroll(
                name,
                page.filter,
                limit=page.limit or 10,
                offset=page.offset,
                with_payload=page.with_payload,
                with_vectors=page.with_vector or False,
            )
            return {"points": _plain(points), "next_page_offset": offset}
        case "/query/batch":
            searches = models.QueryRequestBatch(**body).searches
            return _plain(client.query_batch_points(name, searches))
    raise ValueError(f"{called} is not a call that a store makes")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.model_dump(mode="json")
