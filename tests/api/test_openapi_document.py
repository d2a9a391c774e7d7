"""What the OpenAPI document says beside the routes, and methods that a path does not take."""

from __future__ import annotations

import httpx
import pytest

from api.http.openapi import ANYWHERE, WITH_BODY


async def test_every_operation_says_what_may_refuse_it(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = operation["responses"]
            if "default" in told:
                continue
            expected = {*ANYWHERE, *(WITH_BODY if "requestBody" in operation else ())}
            assert {str(status) for status in expected} <= set(told), f"{method} {path}"
            problems = [told[status] for status in told if status >= "4"]
            assert all("application/problem+json" in one["content"] for one in problems)
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_links_lead_to_operations(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    links = {
        link["operationId"]
        for operation in operations
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    }
    assert links == {"get_job", "cancel_job", "retry_job", "batch", "give_feedback", "unpin"}
    assert links <= set(names)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/documents", "GET, POST"),
        ("/v1/documents/refunds", "DELETE, GET"),
        ("/v1/answers", "POST"),
        ("/health", "GET"),
    ],
)
async def test_a_refused_method_is_told_all_that_are_allowed(
    client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    response = await client.put(path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
