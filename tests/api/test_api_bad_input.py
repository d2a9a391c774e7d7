"""What bad input gets: a problem document with one clear line, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from api_fakes import TEXTS, MakeApplication, MakeClient, ingest

from api.http.problems import TITLES

ANSWERS, SEARCH, CONTEXT, DOCUMENTS = (
    "/v1/answers", "/v1/search", "/v1/context", "/v1/documents"
)  # fmt: skip
QUESTION = {"question": "x"}

BAD_BODIES = [
    (ANSWERS, {"question": ""}, 422, "the question is empty"),
    (ANSWERS, {"question": " \n"}, 422, "the question is empty"),
    (ANSWERS, {"question": "x" * 1_000_000}, 422, "1,000,000 characters, the limit is 4,000"),
    (ANSWERS, {"question": "\ud800"}, 422, "half a character"),
    (ANSWERS, {"question": 1}, 422, "question: 1 does not fit"),
    (ANSWERS, {"question": None}, 422, "question: "),
    (ANSWERS, {}, 422, "question: field required"),
    (ANSWERS, [], 422, "the body is not a JSON object"),
    (ANSWERS, "text", 422, "the body is not a JSON object"),
    (ANSWERS, QUESTION | {"colection": "c"}, 422, "colection: there is no such field"),
    (ANSWERS, QUESTION | {"\ud800\n": "c"}, 422, "does not fit"),
    (ANSWERS, QUESTION | {"collection": "nope"}, 404, "no collection 'nope'"),
    (ANSWERS, QUESTION | {"collection": "../x"}, 422, "collection: '../x' does not fit"),
    (ANSWERS, QUESTION | {"collection": "c" * 10**6}, 422, "a value of 1,000,002 characters"),
    (ANSWERS, QUESTION | {"max_context_tokens": 0}, 422, "max_context_tokens: 0"),
    (ANSWERS, QUESTION | {"max_context_tokens": 200_001}, 422, "max_context_tokens: 200001"),
    (ANSWERS, QUESTION | {"max_context_tokens": True}, 422, "max_context_tokens: True"),
    (ANSWERS, QUESTION | {"max_context_tokens": 1.5}, 422, "max_context_tokens: 1.5"),
    (ANSWERS, QUESTION | {"max_context_tokens": "9"}, 422, "max_context_tokens: '9'"),
    (ANSWERS, QUESTION | {"max_context_tokens": 10**400}, 422, "max_context_tokens: a value"),
    (ANSWERS, QUESTION | {"max_cost_usd": -1}, 422, "max_cost_usd: -1"),
    (ANSWERS, QUESTION | {"max_cost_usd": "NaN"}, 422, "max_cost_usd: 'NaN'"),
    (ANSWERS, QUESTION | {"tier": "premium"}, 422, "'premium' is not configured"),
    (ANSWERS, QUESTION | {"tier": "local"}, 422, "'local' is not configured"),
    (ANSWERS, QUESTION | {"tier": "free"}, 422, "tier: 'free'"),
    (ANSWERS, QUESTION | {"conversation_id": "c" * 201}, 422, "conversation_id: "),
    (ANSWERS, QUESTION | {"stream": "yes"}, 422, "stream: 'yes'"),
    (ANSWERS, QUESTION | {"filters": []}, 422, "filters must be an object"),
    (ANSWERS, QUESTION | {"filters": {"a": None}}, 422, "filter 'a' holds a value"),
    (ANSWERS, QUESTION | {"filters": {"a": {}}}, 422, "filter 'a' holds a value"),
    (ANSWERS, QUESTION | {"filters": {"a": []}}, 422, "filter 'a' has 0 values"),
    (ANSWERS, QUESTION | {"filters": {"a": [[]]}}, 422, "filter 'a' holds a value"),
    (ANSWERS, QUESTION | {"filters": {"a": 2**63}}, 422, "filter 'a' holds a value"),
    (ANSWERS, QUESTION | {"filters": {"a": float("nan")}}, 422, "filter 'a' holds a value"),
    (ANSWERS, QUESTION | {"filters": {"a": [1] * 1001}}, 422, "filter 'a' has 1,001 values"),
    (ANSWERS, QUESTION | {"filters": {str(n): 1 for n in range(33)}}, 422, "at most 32 fields"),
    (SEARCH, QUESTION | {"k": 0}, 422, "k: 0 does not fit"),
    (SEARCH, QUESTION | {"k": 201}, 422, "k: 201 does not fit"),
    (SEARCH, QUESTION | {"max_context_tokens": 5}, 422, "there is no such field"),
    (SEARCH, {"question": ""}, 422, "the question is empty"),
    (SEARCH, QUESTION | {"collection": "nope"}, 404, "no collection 'nope'"),
    (CONTEXT, QUESTION | {"max_context_tokens": -1}, 422, "max_context_tokens: -1"),
    (CONTEXT, QUESTION | {"filters": {}}, 422, "there is no such field"),
    (CONTEXT, QUESTION | {"collection": "nope"}, 404, "no collection 'nope'"),
    (DOCUMENTS, {}, 422, "give documents, or urls or paths"),
    (DOCUMENTS, [], 422, "the body is not a JSON object"),
    (DOCUMENTS, {"documents": []}, 422, "documents: "),
    (DOCUMENTS, {"documents": [{}]}, 422, "documents.0.text: field required"),
    (DOCUMENTS, {"documents": [{"text": " \ufeff "}]}, 422, "the text is empty"),
    (DOCUMENTS, {"documents": [{"text": "a", "txt": 1}]}, 422, "documents.0.txt: there is no"),
    (DOCUMENTS, {"documents": [{"text": "a", "id": ""}]}, 422, "documents.0.id: "),
    (DOCUMENTS, {"documents": [{"text": "a", "id": "i" * 201}]}, 422, "1 to 200 characters"),
    (DOCUMENTS, {"documents": [{"text": "a", "id": "1"}] * 2}, 422, "two documents have the id"),
    (DOCUMENTS, {"documents": [{"text": "a", "metadata": {"m": []}}]}, 422, "metadata.m: give"),
    (DOCUMENTS, {"documents": [{"text": "a", "metadata": {"m": 2**64}}]}, 422, "metadata.m: "),
    (DOCUMENTS, {"documents": [{"text": "a"}], "sync": True}, 422, "are for urls and paths"),
    (DOCUMENTS, {"documents": [{"text": "a"}], "collection": ""}, 422, "collection: ''"),
    (DOCUMENTS, {"paths": ["relative"]}, 422, "paths must be absolute"),
    (DOCUMENTS, {"paths": ["/x"]}, 401, "send the files instead"),
]

BAD_BYTES = [
    b"{",
    b'{"question": "x",}',
    b"\xff\xfe",
    b'{"question": "\xff"}',
    b"[" * 100_000,
    b'{"question": "x", "max_context_tokens": ' + b"9" * 5_000 + b"}",
]
BAD_ADDRESSES = [
    ("GET", "/nope", 404, "nothing is at '/nope'"),
    ("GET", ANSWERS, 405, "GET is not for"),
    ("GET", "/v1/documents/nope", 404, "no document 'nope'"),
    ("DELETE", "/v1/documents/nope", 404, "no document 'nope'"),
    ("GET", "/v1/documents/refunds?collection=other", 404, "no document 'refunds'"),
    ("GET", "/v1/documents/refunds?collection=a%2Fb", 422, "collection: 'a/b'"),
    ("GET", "/v1/documents?collection=nope", 404, "no collection 'nope'"),
    ("GET", "/v1/jobs/nope", 404, "no job 'nope'"),
    ("DELETE", "/v1/jobs/nope", 404, "no job 'nope'"),
    ("GET", "/static/../settings.py", 404, "nothing is at"),
    ("GET", "/static/%2e%2e/settings.py", 404, "nothing is at"),
]


def check_problem(response: httpx.Response, status: int, words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:thrifty-rag:problem:")
    assert problem["title"] == TITLES[status]
    assert words in problem["detail"]
    assert len(problem["detail"]) < 300
    assert "\n" not in problem["detail"]
    return problem


@pytest.mark.parametrize("path", [ANSWERS, SEARCH, CONTEXT, DOCUMENTS])
async def test_bad_body(client: httpx.AsyncClient, path: str) -> None:
    headers = {"content-type": "application/json"}
    for _, body, status, words in (row for row in BAD_BODIES if row[0] == path):
        response = await client.post(path, content=json.dumps(body), headers=headers)
        check_problem(response, status, words)
    assert len((await client.get(DOCUMENTS)).json()["documents"]) == len(TEXTS)


@pytest.mark.parametrize("path", [ANSWERS, DOCUMENTS])
async def test_bad_json(client: httpx.AsyncClient, path: str) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    for raw in BAD_BYTES:
        response = await client.post(path, content=raw, headers=headers)
        check_problem(response, 400, "not valid JSON")


async def test_no_body(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    check_problem(await client.post(ANSWERS, headers=headers), 422, "not a JSON object")
    check_problem(await client.post(DOCUMENTS, headers=headers), 400, "not valid JSON")


@pytest.mark.parametrize("path", [ANSWERS, DOCUMENTS])
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_other_content_type(client: httpx.AsyncClient, path: str, content_type: str) -> None:
    headers = {"content-type": content_type}
    response = await client.post(path, content=b'{"question": "x"}', headers=headers)
    check_problem(response, 415, content_type)


@pytest.mark.parametrize("path", [ANSWERS, DOCUMENTS])
async def test_no_content_type(client: httpx.AsyncClient, path: str) -> None:
    check_problem(await client.post(path, content=b'{"question": "x"}'), 415, "send application/")


async def test_bad_address(client: httpx.AsyncClient) -> None:
    for method, path, status, words in BAD_ADDRESSES:
        check_problem(await client.request(method, path), status, words)


async def test_invalid_fields_are_listed(client: httpx.AsyncClient) -> None:
    body = {"question": 1, "tier": "x", "extra": 1}
    problem = check_problem(await client.post(ANSWERS, json=body), 422, "(and 2 more)")
    assert [error["field"] for error in problem["errors"]] == ["question", "tier", "extra"]
    assert all(error["message"] for error in problem["errors"])


async def test_declared_length_past_the_limit_is_refused_unread(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(make_application({"server": {"max_body_bytes": 1_000}}))

    async def body() -> Any:
        raise AssertionError("the body was read")
        yield b""

    headers = {"content-type": "application/json", "content-length": "1001"}
    response = await client.post(ANSWERS, content=body(), headers=headers)
    check_problem(response, 413, "limit of 1,000 bytes")


@pytest.mark.parametrize("path", [ANSWERS, DOCUMENTS])
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=b"])
async def test_endless_body_is_cut_off(
    make_application: MakeApplication, make_client: MakeClient, path: str, content_type: str
) -> None:
    client = await make_client(make_application({"server": {"max_body_bytes": 1_000}}))
    sent = 0

    async def body() -> Any:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        while True:
            sent += 1
            yield b" " * 100

    headers = {"content-type": content_type}
    response = await client.post(path, content=body(), headers=headers)
    check_problem(response, 413, "limit of 1,000 bytes")
    assert sent <= 11


async def test_the_limit_itself_is_allowed(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    application = make_application({"server": {"max_body_bytes": 1_000}})
    await ingest(application, **TEXTS)
    client = await make_client(application)
    body = json.dumps({"question": "refunds"}).encode().ljust(1_000)
    headers = {"content-type": "application/json"}
    assert (await client.post(ANSWERS, content=body, headers=headers)).status_code == 200
