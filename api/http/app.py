"""The HTTP service as an ASGI application: routes, problems, limits and life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, Request

from api.http import problems
from api.http.gate import Gate
from api.http.middleware import Doorkeeper
from api.http.service import make_service
from api.keys.rates import Rates
from api.keys.records import KeyRecords
from api.models.inputs import DocumentsIn
from api.models.output import ProblemOut
from api.routes import (
    answers,
    batches,
    chat,
    conversations,
    costs,
    dashboard,
    documents,
    feedback,
    handoffs,
    jobs,
    operations,
    page,
    search,
    widget,
)
from api.setting_groups import is_loopback

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine

_ROOMS = (
    answers,
    chat,
    feedback,
    handoffs,
    conversations,
    batches,
    search,
    documents,
    jobs,
    costs,
    dashboard,
    operations,
    page,
    widget,
)


def create_app(application: Application, *, token: str | None = None) -> FastAPI:
    """The service around `application`, which is closed when the service shuts down.

    `token` lets callers that can read the data folder ingest paths; None lets nobody.
    """
    service = make_service(application, token)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.jobs.start()
        yield
        await service.close()

    # No /docs: its page loads scripts from elsewhere, and this service works without a network.
    app = FastAPI(
        title="Thrifty RAG",
        version=operations.project_version(),
        lifespan=lifespan,
        dependencies=[Depends(_check_gate)],
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    for room in _ROOMS:
        app.include_router(room.router)
    page.install_assets(app)
    if application.tracing is not None:
        app.add_middleware(application.tracing.requests)
    settings = application.settings.server
    redis_url = settings.redis_url
    app.add_middleware(
        Gate,
        records=KeyRecords(application.state),
        rates=Rates(None if redis_url is None else redis_url.get_secret_value()),
        token=token,
        listens_beyond=not is_loopback(settings.host),
    )
    app.add_middleware(
        Doorkeeper,
        allowed_hosts=(settings.host, *settings.allowed_hosts),
        max_body_bytes=settings.max_body_bytes,
        metrics=service.metrics,
    )
    _document_shared_models(app)
    return app


async def _check_gate(request: Request) -> None:
    """What the gate has let in is what is done: no route stands behind another one's row."""
    path = request.scope["route"].path
    if request.state.path != path:
        raise RuntimeError(f"the gate knows no route {request.method} {path}")


def _document_shared_models(app: FastAPI) -> None:
    """Put the models that routes name by reference alone into the OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for model in (ProblemOut, DocumentsIn):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
