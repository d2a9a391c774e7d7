"""/v1/pins: the answers that a person approved, which are given before all others."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator

from api.doors.pinning import list_pins, pin_answer, remove_pin
from api.http.access.caller import caller_of
from api.http.openapi import link_docs
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.inputs import AnswerId, check_collection
from api.models.pins import PinIn, PinOut, PinsOut

router = APIRouter(tags=["pins"])
CollectionQuery = Annotated[
    str | None, AfterValidator(check_collection), Query(description="Unset: all.")
]
PinIdPath = Annotated[AnswerId, Path(description="Id from the list.")]


@router.post(
    "/v1/pins",
    response_model=PinOut,
    status_code=201,
    responses=problem_docs(401, 404, 409, 415, 422, 429) | {201: link_docs("pin_id", "unpin")},
)
async def pin(asked: PinIn, request: Request, service: ServiceDep) -> Response:
    """Pin an answer to a question: one that is kept, corrected or not, or one of your own."""
    by = caller_of(request).by_reach
    return json_response(await pin_answer(service.application, asked, by), 201)


@router.get("/v1/pins", response_model=PinsOut, responses=problem_docs(401, 422, 429))
async def pins(
    request: Request, service: ServiceDep, collection: CollectionQuery = None
) -> Response:
    """The pinned answers, those that have expired included, each with the reason."""
    by = caller_of(request).by_reach
    found = await list_pins(service.application, collection, by)
    return json_response(PinsOut(pins=found))


@router.delete(
    "/v1/pins/{pin_id}",
    response_model=PinOut,
    responses=problem_docs(401, 404, 422, 429),
)
async def unpin(pin_id: PinIdPath, request: Request, service: ServiceDep) -> Response:
    """Delete a pinned answer; gives what it was."""
    by = caller_of(request).by_reach
    return json_response(await remove_pin(service.application, pin_id, by))
