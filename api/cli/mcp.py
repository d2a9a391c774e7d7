"""`rag mcp`: the documents as tools of an assistant."""

from __future__ import annotations

import typer

MCP_INSTALL = "pip install 'thrifty-rag[mcp]'"


def mcp(ctx: typer.Context) -> None:
    """Offer search, context and ask to an assistant, by the Model Context Protocol on stdio.

    The assistant's program starts this command, and ends it.
    """
    import asyncio
    from importlib.util import find_spec

    from api.settings import load_settings
    from rag.errors import MissingExtraError

    if find_spec("mcp") is None:
        raise MissingExtraError("mcp, which `rag mcp` needs,", MCP_INSTALL)
    from api.cli.mcp_tools import make_server

    asyncio.run(make_server(load_settings(), ctx.obj).run_stdio_async())
