"""GET /health, /ready and /metrics: for whoever runs the service."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from api.assembly.tiers import tiers
from api.http.access.caller import caller_of
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.output import HealthOut, ReadyOut
from rag.errors import OverloadedError, StateError

router = APIRouter(tags=["operations"])


def project_version() -> str:
    """The installed version of the project; `unknown` where it runs from a plain checkout."""
    try:
        return version("thrifty-rag")
    except PackageNotFoundError:
        return "unknown"


@router.get("/health", response_model=HealthOut)
async def health() -> Response:
    """Alive."""
    return json_response(HealthOut(version=project_version()))


@router.get("/ready", response_model=ReadyOut)
async def ready(request: Request, service: ServiceDep) -> Response:
    """Able to answer: the state can be read. An empty service is ready too.

    Where there are keys, collections are named to who shows one.
    """
    try:
        collections = await asyncio.to_thread(service.application.manifest.collections)
    except StateError as error:
        raise OverloadedError(str(error), retry_after_s=5) from error
    reach = caller_of(request).reach
    names = [reach.shown(name) for name in collections if reach.has(name)]
    live = [tier.name for tier in tiers(service.application.settings) if tier.is_live]
    awake = [name for name in live if not service.application.answering.rests(name)]
    return json_response(ReadyOut(collections=names, tiers=awake))


@router.get(
    "/metrics",
    response_class=Response,
    responses=problem_docs(401, 429)
    | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: ServiceDep) -> Response:
    """Counters for Prometheus."""
    text = await asyncio.to_thread(service.metrics.render)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
