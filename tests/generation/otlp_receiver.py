"""A collector of traces on loopback that speaks OTLP over HTTP, and keeps what it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROOT = ""


@dataclass(frozen=True)
class Told:
    """A span as it came over the wire; times in ns, `parent` empty at the root of a trace."""

    trace: str
    span: str
    parent: str
    name: str
    kind: int
    began: int
    ended: int
    is_error: bool
    attributes: dict[str, Any]
    events: int


@dataclass
class Receiver:
    """`raw` is every body as it came."""

    url: str
    resource: dict[str, Any] = field(default_factory=dict)
    spans: list[Told] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def named(self, name: str) -> list[Told]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Told:
        (span,) = self.named(name)
        return span

    def below(self, parent: Told) -> list[str]:
        """The names of the spans right below one, in order of their beginning."""
        children = [span for span in self.spans if span.parent == parent.span]
        return [span.name for span in sorted(children, key=lambda span: (span.began, span.ended))]

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.raw.append(body)
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = _read(sent.resource.attributes)
            for scope in sent.scope_spans:
                self.spans += [_told(span) for span in scope.spans]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()


def _told(span: Any) -> Told:
    return Told(
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        is_error=span.status.code == 2,
        attributes=_read(span.attributes)
        | ({"status": span.status.message} if span.status.message else {}),
        events=len(span.events),
    )


def _read(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
