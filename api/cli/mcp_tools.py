"""The tools that `rag mcp` offers to a client of the Model Context Protocol.

Each call finds its own door, as a command does: the running service where there is one, else this
process, which then holds the data folder no longer than the call takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from inspect import getdoc
from typing import Annotated, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from api.cli.options import checked, print_note
from api.doors.door import Door
from api.doors.through_service import Build, use_door
from api.models.answers import AnswerOut, ContextOut, SearchOut
from api.models.inputs import AnswerIn, ContextIn, SearchIn
from api.settings import Settings
from rag.errors import RagError

T = TypeVar("T")

INSTRUCTIONS = (
    "Answers from the user's own documents. `ask` gives a finished answer with exact citations and "
    "what it cost; `context` gives the passages that matter for a question, in few tokens, for an "
    "answer of your own; `search` gives whole chunks, best first."
)
_ASKS = "What is asked, in plain words."
_WHERE = "A named set of documents; left out: the default one."

Asked = Annotated[str, Field(description=_ASKS)]
Where = Annotated[str | None, Field(description=_WHERE)]


def make_server(settings: Settings, build: Build) -> MCPServer:
    """A server with the tools, working on what `build` makes of the settings."""
    server = MCPServer("thrifty-rag", instructions=INSTRUCTIONS, log_level="WARNING")
    tools = Tools(settings, build)
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    may_cost = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    for tool, told in ((tools.search, reads), (tools.context, reads), (tools.ask, may_cost)):
        server.add_tool(tool, description=getdoc(tool), annotations=told)
    return server


class Tools:
    """What a client can call; an error is told to it in one line."""

    def __init__(self, settings: Settings, build: Build) -> None:
        self._settings = settings
        self._build = build

    async def search(
        self,
        question: Asked,
        collection: Where = None,
        k: Annotated[int, Field(description="Chunks at most, 1 to 200.")] = 5,
    ) -> SearchOut:
        """Find the chunks of the documents that may answer a question, best first."""

        async def work(door: Door) -> SearchOut:
            asked = {"question": question, "collection": self._place(collection), "k": k}
            return await door.search(checked(SearchIn, asked))

        return await self._through_door(work)

    async def context(
        self,
        question: Asked,
        collection: Where = None,
        max_context_tokens: Annotated[
            int | None, Field(description="Tokens at most; left out: as the settings say.")
        ] = None,
    ) -> ContextOut:
        """Gather what the documents say on a question, in few tokens, to answer it yourself."""

        async def work(door: Door) -> ContextOut:
            asked = {
                "question": question,
                "collection": self._place(collection),
                "max_context_tokens": max_context_tokens,
            }
            return await door.context(checked(ContextIn, asked))

        return await self._through_door(work)

    async def ask(
        self,
        question: Asked,
        collection: Where = None,
        max_cost_usd: Annotated[
            Decimal | None, Field(description="Dollars that the answer may cost at most.")
        ] = None,
    ) -> AnswerOut:
        """Answer a question from the documents, with exact citations, confidence and cost.

        Where the documents do not answer, the status is "abstained". A paid model may be called
        where the settings turn one on, within their budgets.
        """

        async def work(door: Door) -> AnswerOut:
            asked = {
                "question": question,
                "collection": self._place(collection),
                "max_cost_usd": max_cost_usd,
            }
            return await door.ask(checked(AnswerIn, asked))

        return await self._through_door(work)

    def _place(self, collection: str | None) -> str:
        return self._settings.collection if collection is None else collection

    async def _through_door(self, work: Callable[[Door], Awaitable[T]]) -> T:
        try:
            return await use_door(self._settings, self._build, work, print_note)
        except RagError as error:
            raise ToolError(str(error)) from None
