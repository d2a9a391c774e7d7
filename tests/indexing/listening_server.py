"""A small HTTP server that stands where a Qdrant server would, and answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Listening:
    """What was asked, and where; `release` ends a reply that was held back."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


def result(value: Any) -> Reply:
    """A reply as Qdrant gives it."""
    body = json.dumps({"result": value, "status": "ok", "time": 0.0}).encode()
    return 200, {"Content-Type": "application/json"}, body


def refusal(status: int, reason: str, **headers: str) -> Reply:
    """A refusal as Qdrant gives it."""
    return status, headers, json.dumps({"status": {"error": reason}, "time": 0.0}).encode()


@contextmanager
def listening(reply: Callable[[Asked, Listening], Reply]) -> Iterator[Listening]:
    """Listens on this machine until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(
                self.command, self.path, dict(self.headers), json.loads(raw) if raw else None
            )
            there.asked.append(asked)
            status, headers, body = reply(asked, there)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:  # who asked has left
                pass

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Listening(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield there
    finally:
        there.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
