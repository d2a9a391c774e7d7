"""DELETE /v1/conversations/{id}: all that was said in a conversation, with proof."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.forgetting.people import forget_conversation
from api.http.access.caller import caller_of
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.forgotten import ForgottenOut

router = APIRouter(tags=["answers"])


@router.delete(
    "/v1/conversations/{conversation_id:path}",
    response_model=ForgottenOut,
    responses=problem_docs(401, 422, 429),
)
async def delete_conversation(
    conversation_id: Annotated[str, Path(max_length=200)], request: Request, service: ServiceDep
) -> Response:
    """Delete all words of a conversation of this tenant; one that nobody knows is no error.

    Words in collections that are out of the caller's reach stay.
    """
    by = caller_of(request).by
    state = service.application.state
    proof = await asyncio.to_thread(forget_conversation, state, conversation_id, by)
    return json_response(ForgottenOut.of(proof))
