"""POST /v1/chat/completions and GET /v1/models, around the fakes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx
import httpx2
import openai
import pytest
from api_fakes import BASE_URL, TEXTS, MakeApplication, MakeClient, QuotingGenerator, ingest

from api.assembly.conversing import Pseudonyms
from api.models.chat import ChatIn
from rag.errors import BudgetError
from rag.ports import Listener
from rag.types import Context, Generation, Hit, Question

CHAT = "/v1/chat/completions"
USER = {"role": "user", "content": "How many days do refunds take?"}
ASKED = {"model": "default", "messages": [USER]}


def events_of(text: str) -> list[Any]:
    """The chunks of a stream, which must end as the protocol says."""
    *events, done, nothing = text.split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a response, which must have this status and the protocol's shape."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"]
    return error


async def test_completion(client: httpx.AsyncClient) -> None:
    response = await client.post(CHAT, json=ASKED)
    assert response.headers["x-rag-saved-usd"] == "0.004310"
    completion = response.json()
    assert completion.pop("id").startswith("ans_")
    assert completion.pop("created") > 1_700_000_000
    rag = completion.pop("rag")
    assert completion == {
        "object": "chat.completion",
        "model": "default",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Refunds take 14 days. [1]",
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "total_tokens": 0,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }
    assert (rag["status"], rag["tier"], rag["confidence"]) == ("answered", "extractive", 0.87)
    assert (rag["context_tokens"], rag["cost"]["total_usd"]) == (11, "0.000000")
    [citation] = rag["citations"]
    quote = TEXTS["refunds"][citation["start"] : citation["end"]]
    assert (citation["document_id"], citation["quote"]) == ("refunds", quote)


async def test_stream_says_the_same(client: httpx.AsyncClient) -> None:
    whole = (await client.post(CHAT, json=ASKED)).json()
    response = await client.post(CHAT, json=ASKED | {"stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    first, *middle, last = events_of(response.text)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    pieces = [chunk["choices"][0]["delta"]["content"] for chunk in middle]
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in middle] == [None] * len(middle)
    assert last["choices"][0] == {
        "index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"
    }  # fmt: skip
    assert last["rag"]["citations"] == whole["rag"]["citations"]
    chunks = [first, *middle, last]
    assert {chunk["id"] for chunk in chunks} == {first["id"]}
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["usage"] for chunk in chunks} == {None}


async def test_usage_of_a_stream_comes_when_it_is_asked_for(client: httpx.AsyncClient) -> None:
    body = ASKED | {"stream": True, "stream_options": {"include_usage": True}}
    *_, last = events_of((await client.post(CHAT, json=body)).text)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 0


async def test_abstention_is_a_completion_that_says_where_to_go(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    application = make_application({"handoff": {"url": "mailto:help@shop.example"}})
    await ingest(application, **TEXTS)
    client = await make_client(application)
    messages = [{"role": "user", "content": "zebra"}]
    completion = (await client.post(CHAT, json=ASKED | {"messages": messages})).json()
    assert completion["choices"][0]["finish_reason"] == "stop"
    rag = completion["rag"]
    assert (rag["status"], rag["citations"]) == ("abstained", [])
    assert rag["action"]["url"] == "mailto:help@shop.example"


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Be nice."}, USER],
        [USER, {"role": "system", "content": "Answer in English."}],
        [
            {"role": "user", "content": "zebra"},
            {"role": "assistant", "content": None, "tool_calls": [], "refusal": "no"},
            USER | {"name": "Ada"},
        ],
        [{"role": "user", "content": [{"type": "text", "text": "How many days"},
                                      {"type": "text", "text": "do refunds take?"}]}],
    ],
)  # fmt: skip
async def test_the_last_message_of_the_user_is_asked(
    client: httpx.AsyncClient, messages: list[Any]
) -> None:
    completion = (await client.post(CHAT, json=ASKED | {"messages": messages})).json()
    assert completion["choices"][0]["message"]["content"] == "Refunds take 14 days. [1]"


WITHOUT_EFFECT = [name for name, field in ChatIn.model_fields.items() if field.description == (
    "Accepted, without effect.")]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        dict.fromkeys(WITHOUT_EFFECT, 1),
        dict.fromkeys(ChatIn.model_fields.keys() - {"model", "messages", "rag"}),
        {"n": 1, "tools": [], "tool_choice": "none", "stop": [], "logprobs": False},
        {"response_format": {"type": "text"}, "modalities": ["text"], "max_tokens": 4_096},
        {"stream_options": {"include_usage": False, "include_obfuscation": False}},
        {"rag": {"filters": {"document_id": "refunds"}, "max_context_tokens": 5, "fresh": True}},
        {"rag": {"tier": "extractive", "max_cost_usd": 0, "conversation_id": "c"}},
    ],
)
async def test_what_changes_nothing_is_accepted(
    client: httpx.AsyncClient, more: dict[str, Any]
) -> None:
    assert len(WITHOUT_EFFECT) > 15
    response = await client.post(CHAT, json=ASKED | more)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("more", "param", "message"),
    [
        ({"n": 2}, "n", "n: 2 does not fit: this service cannot do that: give 1, or leave it out"),
        ({"tools": [{"type": "function"}]}, "tools", "tools: this service cannot do that"),
        ({"response_format": {"type": "json_object"}}, "response_format", "cannot do that"),
        ({"stop": ["."]}, "stop", "cannot do that"),
        ({"logprobs": True}, "logprobs", "cannot do that"),
        ({"audio": {"voice": "x"}}, "audio", "cannot do that: leave it out"),
        ({"temprature": 0}, "temprature", "there is no such field"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": [USER] * 1_001}, "messages", "at most 1000 items"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages", "nobody but the system"),
        ({"messages": [USER, {"role": "assistant", "content": "x"}]}, "messages", "of assistant"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages", "image"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages", "text"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role", "'robot'"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages", "half a character"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages", "the question is empty"),
        ({"messages": [{"role": "user"}]}, "messages", "the question is empty"),
        ({"messages": [{"role": "user", "content": "x" * 4_001}]}, "messages", "4,001 characters"),
        ({"rag": {"tier": "gold"}}, "rag.tier", "'gold'"),
        ({"rag": {"tier": "premium"}}, None, "tier 'premium' is not configured"),
        ({"rag": {"filters": {"a": []}}}, None, "has 0 values"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_cannot_be_done_is_refused_by_name(
    client: httpx.AsyncClient, more: dict[str, Any], param: str | None, message: str, stream: bool
) -> None:
    body = json.dumps(ASKED | {"stream": stream} | more)
    headers = {"content-type": "application/json"}
    response = await client.post(CHAT, content=body, headers=headers)
    error = error_of(response, 400)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert message in error["message"]
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("model", ["nope", "no/pe", "", "x" * 101, "a\u0000b"])
async def test_unknown_model(client: httpx.AsyncClient, model: str) -> None:
    error = error_of(await client.post(CHAT, json=ASKED | {"model": model, "stream": True}), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert f"there is no model {model[:60]!a}" in error["message"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"{", "application/json", 400), (b"{}", "application/json", 400), (b"x", "text/plain", 415)],
)
async def test_a_body_that_is_no_request(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int
) -> None:
    response = await client.post(CHAT, content=content, headers={"content-type": kind})
    assert error_of(response, status)["type"] == "invalid_request_error"


async def test_models_are_collections(client: httpx.AsyncClient) -> None:
    model = {"id": "default", "object": "model", "created": 0, "owned_by": "thrifty-rag"}
    models = (await client.get("/v1/models")).json()
    assert models == {"object": "list", "data": [model]}
    assert (await client.get("/v1/models/default")).json() == model
    error = error_of(await client.get("/v1/models/nope"), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")


class Recording(QuotingGenerator):
    """Keeps what it was asked; gives `text`, with a citation for each of two markers."""

    def __init__(self, text: str = "") -> None:
        self.asked: list[Question] = []
        self._text = text

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        self.asked.append(question)
        made = await super().generate(question, list(hits), context, listener)
        return Generation(
            self._text or made.text, made.citations, 0.9, False, "extractive", "fake"
        )  # fmt: skip


async def test_who_asks_and_how_reach_the_path(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    generator = Recording()
    application = make_application(generator=generator)
    await ingest(application, **TEXTS)
    client = await make_client(application)
    rag = {"filters": {"document_id": "refunds"}, "max_cost_usd": "0.5", "conversation_id": "c1"}
    headers = {"X-Rag-Tenant": "acme", "X-Rag-Key": "desk", "Authorization": "Bearer anything"}
    await client.post(CHAT, json=ASKED | {"rag": rag}, headers=headers)
    [asked] = generator.asked
    assert (asked.text, asked.collection) == (USER["content"], "default")
    assert (asked.tenant, asked.key) == ("acme", "desk")
    assert asked.conversation_id == Pseudonyms(application.state).of("acme", "c1")
    assert (asked.filters, asked.max_cost_usd) == ({"document_id": ("refunds",)}, Decimal("0.5"))


async def test_an_answer_is_cut_to_the_tokens_that_it_may_have(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    application = make_application(generator=Recording("Refunds take two weeks. [1] Really."))
    await ingest(application, **TEXTS)
    client = await make_client(application)

    async def ask(**limits: int) -> tuple[str, str, int]:
        completion = (await client.post(CHAT, json=ASKED | limits)).json()
        [choice] = completion["choices"]
        text, cited = choice["message"]["content"], completion["rag"]["citations"]
        return text, choice["finish_reason"], len(cited)

    assert await ask(max_tokens=100) == ("Refunds take two weeks. [1] Really.", "stop", 1)
    assert await ask(max_tokens=3) == ("Refunds take", "length", 0)
    assert await ask(max_completion_tokens=9) == ("Refunds take two weeks. [1]", "length", 1)
    assert await ask(max_tokens=100, max_completion_tokens=3) == ("Refunds take", "length", 0)
    assert await ask(max_tokens=1) == ("", "length", 0)


class Refusing:
    async def generate(self, *_: Any) -> Generation:
        raise BudgetError("the budget of the day is full")


async def test_a_full_budget_is_not_worth_a_retry(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    application = make_application(generator=Refusing())
    await ingest(application, **TEXTS)
    client = await make_client(application)
    response = await client.post(CHAT, json=ASKED)
    error = error_of(response, 429)
    assert error["code"] == error["type"] == "insufficient_quota"
    assert response.headers["x-should-retry"] == "false"


class Waiting(QuotingGenerator):
    """Waits until it is let go."""

    def __init__(self) -> None:
        self.go, self.began = asyncio.Event(), asyncio.Event()

    async def generate(
        self, question: Question, hits: list[Hit], context: Context, listener: Listener
    ) -> Generation:
        self.began.set()
        await self.go.wait()
        return await super().generate(question, hits, context, listener)


@pytest.mark.parametrize("stream", [False, True])
async def test_too_much_at_once_is_worth_a_retry(
    make_application: MakeApplication, make_client: MakeClient, stream: bool
) -> None:
    generator = Waiting()
    application = make_application({"server": {"max_concurrent_answers": 1}}, generator=generator)
    await ingest(application, **TEXTS)
    client = await make_client(application)
    first = asyncio.create_task(client.post(CHAT, json=ASKED | {"stream": stream}))
    await generator.began.wait()
    refused = await client.post(CHAT, json=ASKED | {"stream": stream})
    assert error_of(refused, 503)["type"] == "server_error"
    assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("1", "true")
    generator.go.set()
    assert (await first).status_code == 200


async def test_the_official_client_comes_back_when_it_is_told_to(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    generator = Waiting()
    application = make_application({"server": {"max_concurrent_answers": 1}}, generator=generator)
    await ingest(application, **TEXTS)
    client = await make_client(application)
    first = asyncio.create_task(client.post(CHAT, json=ASKED))
    await generator.began.wait()
    statuses: list[int] = []

    async def note(response: httpx2.Response) -> None:
        statuses.append(response.status_code)
        generator.go.set()
        await first

    app = client._transport.app  # type: ignore[attr-defined]
    transport = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), event_hooks={"response": [note]}
    )
    async with openai.AsyncOpenAI(
        base_url=f"{BASE_URL}/v1", api_key="unused", max_retries=1, http_client=transport
    ) as official:
        completion = await official.chat.completions.create(
            model="default", messages=[{"role": "user", "content": USER["content"]}]
        )
    assert statuses == [503, 200]
    assert completion.choices[0].message.content == "Refunds take 14 days. [1]"
