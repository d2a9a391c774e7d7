"""GET /v1/audit: who administered what."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.audit.log import AuditLog
from api.http.access.caller import caller_of
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.audit import AuditEntryOut, AuditIn, AuditOut

router = APIRouter(tags=["operations"])


@router.get("/v1/audit", response_model=AuditOut, responses=problem_docs(401, 422, 429))
async def audit(
    asked: Annotated[AuditIn, Query()], request: Request, service: ServiceDep
) -> Response:
    """The audit log of this tenant, the newest entries first; of all, for the operator."""
    log, tenant = AuditLog(service.application.state), caller_of(request).reach.tenant
    found = await asyncio.to_thread(log.entries, asked.begin, asked.limit, tenant)
    return json_response(AuditOut(entries=[AuditEntryOut.of(one) for one in found]))
