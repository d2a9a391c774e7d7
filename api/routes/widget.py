"""GET /widget.js: the chat widget, its modules put together into one script."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.routes.page import STATIC

FOLDER = STATIC / "widget"
MODULES = (  # each after those that it imports
    "dom.js",
    "service.js",
    "quotes.js",
    "markdown.js",
    "languages.js",
    "memory.js",
    "reader.js",
    "handoff.js",
    "turns.js",
    "style.js",
    "chat.js",
    "start.js",
)
_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async|class|const|function)", re.MULTILINE)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is sent, plain and compressed, and the tag by which browsers know it."""

    plain: bytes
    compressed: bytes
    tag: str


@cache
def widget_script() -> Script:
    """The widget as one script that leaves no name behind but that of its element."""
    texts = [(FOLDER / name).read_text("utf-8") for name in MODULES]
    joined = "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)
    plain = f'(() => {{\n"use strict";\n{joined}}})();\n'.encode()
    tag = f'W/"{hashlib.sha256(plain).hexdigest()[:16]}"'
    return Script(plain, gzip.compress(plain, mtime=0), tag)


@router.get("/widget.js")
async def widget(request: Request) -> Response:
    """The widget. Pages name no version of it, so browsers ask again after five minutes."""
    script = widget_script()
    headers = {
        "Cache-Control": "public, max-age=300",
        "ETag": script.tag,
        "Vary": "Accept-Encoding",
    }
    if script.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    media_type = "text/javascript; charset=utf-8"
    if "gzip" in request.headers.get("accept-encoding", ""):
        compressed = headers | {"Content-Encoding": "gzip"}
        return Response(script.compressed, headers=compressed, media_type=media_type)
    return Response(script.plain, headers=headers, media_type=media_type)
