"""Traces of requests, answers and calls of models, for a collector that speaks OTLP over HTTP.

    POST /v1/answers      a request, as a part of its caller's trace where `traceparent` names one
      answer              a question: its tier, status, confidence and dollars
        retrieve …        a stage on the bill; the last one holds the calls of models
        chat MODEL        an attempt to call a model, with its tokens and dollars

The one file that knows OpenTelemetry, imported only where a collector is named. A span holds no
question, no text of a document or an answer, no key, and no message of an error, which may repeat
one. Names follow the semantic conventions of OpenTelemetry, for HTTP and for generative AI.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from decimal import Decimal
from importlib.metadata import version

from opentelemetry.context import Context as TraceContext
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.request_ids import current_request_id
from api.setting_groups.traces import TracingSettings
from rag.calls import CallEnd, ModelCall, ModelEvent
from rag.ports import Answerer, LanguageModel, Listener
from rag.types import Answer, Context, CostLine, Hit, Question

_PATH = "/v1/traces"
_TRACED_PATHS = "/v1/"  # not the page, and not what monitors ask every few seconds
_EXPORT_TIMEOUT_S = 10.0
_CLOSE_S = 3.0
"""How long closing waits for a collector that does not answer."""

Attributes = Mapping[str, str | int | float]


class Tracing:
    """Traces to the collector at `settings.endpoint`, which must be there, in the background.

    A collector that is away costs traces, and an answer nothing.
    """

    def __init__(self, settings: TracingSettings) -> None:
        assert settings.endpoint is not None
        told = {"service.name": settings.service_name, "service.version": version("thrifty-rag")}
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(settings.share),
            resource=Resource.create(told),
            shutdown_on_exit=False,
        )
        address = settings.endpoint.rstrip("/").removesuffix(_PATH) + _PATH
        exporter = OTLPSpanExporter(address, timeout=_EXPORT_TIMEOUT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("thrifty-rag")

    def requests(self, app: ASGIApp) -> TracedRequests:
        """The ASGI layer around `app` that traces its requests."""
        return TracedRequests(app, self._tracer)

    def answerer(self, answerer: Answerer) -> TracedAnswerer:
        """The same path, traced."""
        return TracedAnswerer(answerer, self._tracer)

    def model(self, model: LanguageModel) -> TracedModel:
        """The same model, traced."""
        return TracedModel(model, self._tracer)

    async def close(self) -> None:
        """Send what is left, for some seconds at most."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _CLOSE_S)


class TracedRequests:
    """An ASGI layer with a span for each request to the API, until its last byte is sent."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(_TRACED_PATHS):
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        attributes = {"http.request.method": method, "rag.request_id": current_request_id()}
        parent = TraceContextTextMapPropagator().extract(dict(Headers(scope=scope)))
        with _running(self._tracer, method, attributes, SpanKind.SERVER, parent) as span:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _tell_status(span, message["status"])
                await send(message)

            try:
                await self._app(scope, receive, watched)
            finally:
                route = getattr(scope.get("route"), "path", None)
                if route:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)


class TracedAnswerer:
    """An Answerer with a span for each answer, and one in it for each stage on its bill."""

    def __init__(self, answerer: Answerer, tracer: Tracer) -> None:
        self._answerer = answerer
        self._tracer = tracer

    async def search(self, question: Question, k: int) -> list[Hit]:
        """As the path inside."""
        with _running(self._tracer, "search", _asked(question)):
            return await self._answerer.search(question, k)

    async def context(self, question: Question, max_context_tokens: int | None = None) -> Context:
        """As the path inside."""
        with _running(self._tracer, "context", _asked(question)):
            return await self._answerer.context(question, max_context_tokens)

    async def answer(
        self,
        question: Question,
        max_context_tokens: int | None = None,
        listener: Listener | None = None,
    ) -> Answer:
        """As the path inside."""
        with _running(self._tracer, "answer", _asked(question)) as span:
            stages = _Stages(listener)
            last: CostLine | None = None
            try:
                answer = await self._answerer.answer(question, max_context_tokens, stages)
                last = answer.cost.lines[-1]
                span.set_attributes(_answered(answer))
            finally:
                stages.trace(self._tracer, last)
            return answer


class _Stages:
    """A Listener that keeps when it heard of which cost, and lets another one hear everything."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self._began = time.time_ns()
        self._heard: list[tuple[int, CostLine]] = []

    def text(self, piece: str) -> None:
        if self._listener is not None:
            self._listener.text(piece)

    def restart(self) -> None:
        if self._listener is not None:
            self._listener.restart()

    def cost(self, line: CostLine) -> None:
        self._heard.append((time.time_ns(), line))
        if self._listener is not None:
            self._listener.cost(line)

    def trace(self, tracer: Tracer, last: CostLine | None) -> None:
        """A span for each stage, from the end of the one before it.

        The path's own stages name no model, but for the `last` of an answer that came about; the
        other lines are of calls, which have spans of their own.
        """
        began = self._began
        for ended, line in self._heard:
            if line.model is None or line is last:
                span = tracer.start_span(
                    line.stage, start_time=began, attributes={"rag.own_ms": line.ms}
                )
                span.end(ended)
                began = ended


class TracedModel:
    """A LanguageModel with a span for each call."""

    def __init__(self, model: LanguageModel, tracer: Tracer) -> None:
        self._model = model
        self._tracer = tracer

    @property
    def provider(self) -> str:
        """That of the model inside."""
        return self._model.provider

    @property
    def model(self) -> str:
        """That of the model inside."""
        return self._model.model

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """As the model inside."""
        # Not made the current one: who reads a stream may do so from another context.
        span = self._tracer.start_span(
            f"chat {self.model}".strip(), kind=SpanKind.CLIENT, attributes=self._called(call)
        )
        try:
            async with aclosing(self._model.stream(call)) as events:
                async for event in events:
                    if isinstance(event, CostLine):
                        _tell_dollars(span, event.usd)
                    elif isinstance(event, CallEnd):
                        span.set_attributes(_ended(event))
                    yield event
        except BaseException as error:
            _fail(span, error)
            raise
        finally:
            span.end()

    def _called(self, call: ModelCall) -> Attributes:
        told: dict[str, str | int | float] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.max_tokens": call.max_output_tokens,
            "rag.answer_id": call.question.answer_id,
            "rag.tier": call.tier,
            "rag.stage": call.stage,
        }
        if self.model:
            told["gen_ai.request.model"] = self.model
        if call.escalated_from is not None:
            told["rag.escalated_from"] = call.escalated_from
        return told


def _asked(question: Question) -> Attributes:
    return {"rag.collection": question.collection}


def _answered(answer: Answer) -> Attributes:
    told: dict[str, str | int | float] = {
        "rag.answer_id": answer.answer_id,
        "rag.status": answer.status,
        "rag.tier": answer.tier,
        "rag.confidence": answer.confidence,
        "rag.context_tokens": answer.context_tokens,
        "rag.citations": len(answer.citations),
    }
    dollars = {"rag.cost_usd": answer.cost.total_usd, "rag.saved_usd": answer.cost.saved_usd}
    told |= {name: float(usd) for name, usd in dollars.items() if usd is not None}
    return told | ({"rag.arm": answer.arm} if answer.arm else {})


def _ended(end: CallEnd) -> dict[str, str | int | list[str]]:
    told: dict[str, str | int | list[str]] = {
        "gen_ai.response.model": end.model,
        "gen_ai.response.finish_reasons": [end.finish],
    }
    if end.usage is not None:
        told |= {
            "gen_ai.usage.input_tokens": end.usage.input_tokens,
            "gen_ai.usage.output_tokens": end.usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": end.usage.cached_input_tokens,
        }
    return told


def _tell_dollars(span: Span, usd: Decimal | None) -> None:
    if usd is not None:
        span.set_attribute("rag.cost_usd", float(usd))


def _tell_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(StatusCode.ERROR)


@contextmanager
def _running(
    tracer: Tracer,
    name: str,
    attributes: Attributes,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: TraceContext | None = None,
) -> Iterator[Span]:
    """A span inside which the block runs; an error is told by its class alone."""
    with tracer.start_as_current_span(
        name,
        parent,
        kind,
        attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            _fail(span, error)
            raise


def _fail(span: Span, error: BaseException) -> None:
    is_ours = isinstance(error, Exception)
    span.set_attribute("error.type", type(error).__name__ if is_ours else "cancelled")
    span.set_status(StatusCode.ERROR)
