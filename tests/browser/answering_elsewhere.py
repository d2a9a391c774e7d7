"""A page of another origin, and a stand-in for the service that lets it in and writes when told to.

Both are one server under two names, which to a browser are two origins.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 20


class Elsewhere:
    """The server: what it heard, and the events that it writes, one for each `may_write`."""

    def __init__(self, events: list[tuple[str, Any]]) -> None:
        self.html = ""
        self.events = events
        self.heard: list[tuple[dict[str, str], Any]] = []
        self.may_write = threading.Semaphore(0)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.page_url = f"http://127.0.0.1:{self._server.server_port}/"
        self.service_url = f"http://localhost:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Elsewhere]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            for _ in self.events:
                self.may_write.release()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        elsewhere = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(elsewhere.html.encode())

            def do_OPTIONS(self) -> None:
                self.send_response(204)
                self._let_in()
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                elsewhere.heard.append((headers, json.loads(body)))
                self.send_response(200)
                self._let_in()
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for name, data in elsewhere.events:
                    elsewhere.may_write.acquire(timeout=WAIT_S)
                    self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

            def _let_in(self) -> None:
                self.send_header("Access-Control-Allow-Origin", self.headers["origin"])
                allowed = "authorization, content-type, x-rag-visitor"
                self.send_header("Access-Control-Allow-Headers", allowed)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler
