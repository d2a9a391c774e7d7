"""`rag mcp`, through the client of the official SDK."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from client_place import RAG, Place
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

ASKED = {"question": "How long can I return an item?", "collection": "shop"}
ANSWER = "You can return an item within 30 days of delivery."


@asynccontextmanager
async def tools(place: Place) -> AsyncIterator[Client]:
    """A client of `rag mcp`, which it starts, and ends."""
    started = StdioServerParameters(command=str(RAG), args=["mcp"], env=place.environment)
    async with Client(started) as client:
        yield client


def told(result: CallToolResult) -> dict[str, Any]:
    """What a tool gave."""
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def error_of(result: CallToolResult) -> str:
    """The one line of a tool that failed."""
    assert result.is_error
    [content] = result.content
    assert content.type == "text"
    return content.text


async def check_tools(place: Place) -> None:
    """Every tool does what it says."""
    async with tools(place) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == {"search", "context", "ask"}
        assert all(tool.output_schema for tool in listed.values())
        [hit] = told(await client.call_tool("search", ASKED | {"k": 1}))["hits"]
        assert ANSWER in hit["text"]
        context = told(await client.call_tool("context", ASKED | {"max_context_tokens": 100}))
        assert ANSWER in context["context"]
        assert 0 < context["tokens"] <= 100
        answer = told(await client.call_tool("ask", ASKED | {"max_cost_usd": 0}))
        assert ANSWER in answer["answer"]
        assert answer["citations"][0]["quote"] in answer["answer"]
        assert answer["cost"]["total_usd"] == "0.000000"


async def test_tools_without_a_service_hold_the_folder_during_a_call_alone(place: Place) -> None:
    assert not place.is_held
    await check_tools(place)
    async with tools(place) as client:
        told(await client.call_tool("ask", ASKED))
        assert not place.is_held


async def test_tools_through_the_running_service(place: Place, service_url: str) -> None:
    assert place.is_held
    await check_tools(place)


async def test_who_only_reads_and_who_may_cost_money_is_told_apart(place: Place) -> None:
    async with tools(place) as client:
        listed = (await client.list_tools()).tools
    reads = {tool.name: tool.annotations and tool.annotations.read_only_hint for tool in listed}
    assert reads == {"search": True, "context": True, "ask": False}


async def test_errors_are_one_line(place: Place) -> None:
    async with tools(place) as client:
        empty = error_of(await client.call_tool("ask", ASKED | {"question": ""}))
        assert empty.endswith("the question is empty: write one")
        nowhere = error_of(await client.call_tool("context", ASKED | {"collection": "garden"}))
        assert "the collection 'garden' holds no documents" in nowhere
        none = error_of(await client.call_tool("search", ASKED | {"k": 0}))
        assert "k: 0 does not fit" in none
        assert "\n" not in empty + nowhere + none
        assert ANSWER in told(await client.call_tool("ask", ASKED))["answer"]  # it goes on


def test_without_the_extra_the_command_says_what_to_install(place: Place) -> None:
    code = "import sys; sys.modules['mcp'] = None; from api.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "mcp"],
        env=place.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "error: mcp, which `rag mcp` needs, is not installed: "
        "install it with `pip install 'thrifty-rag[mcp]'`\n"
    )
