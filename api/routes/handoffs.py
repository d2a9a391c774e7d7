"""POST /v1/handoffs: a question that the documents do not answer, for people."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.handing_off import hand_off
from api.http.limits.admission import while_client_waits
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.handoffs import HandoffIn, HandoffOut
from rag.errors import NotFoundError

router = APIRouter(tags=["answers"])


@router.post(
    "/v1/handoffs",
    response_model=HandoffOut,
    responses=problem_docs(401, 404, 415, 422, 429, 502),
)
async def take_over(told: HandoffIn, request: Request, service: ServiceDep) -> Response:
    """Send a question, and where to reply, to the webhook of the setting `handoff.webhook`."""
    webhook = service.application.settings.handoff.webhook
    if webhook is None:
        raise NotFoundError("no webhook takes questions: set handoff.webhook to its address")
    task = service.admission.start(hand_off(webhook, told))
    await while_client_waits(request, task)
    return json_response(HandoffOut())
