"""DELETE /v1/visitors/{visitor}: all that a visitor of a web page asked, with proof."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.forgetting.people import forget_visitor
from api.http.access.caller import VISITOR, caller_of
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.forgotten import ForgottenOut

router = APIRouter(tags=["answers"])


@router.delete(
    "/v1/visitors/{visitor}",
    response_model=ForgottenOut,
    responses=problem_docs(401, 422, 429),
)
async def delete_visitor(
    visitor: Annotated[str, Path(pattern=f"^{VISITOR.pattern}$")],
    request: Request,
    service: ServiceDep,
) -> Response:
    """Delete all words of a visitor of this tenant's pages; one that nobody knows is no error.

    The name is the one that the page sends as X-Rag-Visitor. Conversations go as a whole.
    """
    by = caller_of(request).by
    proof = await asyncio.to_thread(forget_visitor, service.application.state, visitor, by)
    return json_response(ForgottenOut.of(proof))
