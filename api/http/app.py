"""The HTTP service as an ASGI application: routes, problems, limits and life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, Request

from api.audit.log import AuditLog
from api.audit.refusals import Refusals
from api.http import openapi, problems
from api.http.access.gate import Gate
from api.http.limits.bodies import BodyLimits
from api.http.limits.usher import Barrier, Comebacks, Usher
from api.http.middleware import Doorkeeper
from api.http.service import Service, make_service
from api.keys.rates import Rates
from api.keys.records import KeyRecords
from api.routes import (
    answers,
    audit,
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
    pins,
    search,
    visitors,
    widget,
)
from api.setting_groups.server import is_loopback

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine

ROOMS = (
    answers,
    chat,
    feedback,
    pins,
    handoffs,
    conversations,
    visitors,
    batches,
    search,
    documents,
    jobs,
    costs,
    audit,
    dashboard,
    operations,
    page,
    widget,
)
"""The modules of routes, in the order of the OpenAPI document."""


def create_app(application: Application, *, token: str | None = None) -> FastAPI:
    """The service around `application`, which is closed when the service shuts down.

    `token` lets callers that can read the data folder ingest paths; None lets nobody.
    """
    service = make_service(application, token)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.jobs.start()
        service.sweeper.start()
        yield
        await service.close()

    # No /docs: its page loads scripts from elsewhere, and this service works without a network.
    app = FastAPI(
        title="Thrifty RAG",
        version=operations.project_version(),
        lifespan=lifespan,
        generate_unique_id_function=openapi.name_operation,
        dependencies=[Depends(_check_gate)],
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    for room in ROOMS:
        app.include_router(room.router)
    page.install_assets(app)
    _add_layers(app, service)
    openapi.install(app)
    return app


def _add_layers(app: FastAPI, service: Service) -> None:
    """What every request passes, the innermost first."""
    application = service.application
    settings = application.settings.server
    comebacks = Comebacks()
    app.add_middleware(Usher, places=service.places, comebacks=comebacks)
    if application.tracing is not None:
        app.add_middleware(application.tracing.requests)
    redis_url = settings.redis_url
    app.add_middleware(
        Gate,
        records=KeyRecords(application.state),
        rates=Rates(None if redis_url is None else redis_url.get_secret_value()),
        refusals=Refusals(AuditLog(application.state)),
        token=service.token,
        listens_beyond=not is_loopback(settings.host),
    )
    app.add_middleware(Barrier, places=service.places, comebacks=comebacks)
    app.add_middleware(
        Doorkeeper,
        allowed_hosts=(settings.host, *settings.allowed_hosts),
        body_limits=BodyLimits(settings),
        metrics=service.metrics,
    )


async def _check_gate(request: Request) -> None:
    """What the gate has let in is what is done: no route stands behind another one's row."""
    path = request.scope["route"].path
    if request.state.path != path:
        raise RuntimeError(f"the gate knows no route {request.method} {path}")
