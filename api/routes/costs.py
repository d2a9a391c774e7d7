"""GET /v1/costs: what was spent and saved, and how full the budgets are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.http.access.caller import caller_of
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.costs import CostsOut, CostsQuery
from api.reports.cost_csv import MEDIA_TYPE, csv_of
from api.reports.spending import look_up_costs

router = APIRouter(tags=["costs"])
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}
}


@router.get(
    "/v1/costs",
    response_model=CostsOut,
    responses={**_CSV, **problem_docs(401, 422, 429)},
)
async def costs(
    asked: Annotated[CostsQuery, Query()], request: Request, service: ServiceDep
) -> Response:
    """Sums of the ledger by day, key, tenant, tier, stage, model or collection, and the budgets."""
    found = await look_up_costs(service.application, asked, caller_of(request).reach)
    if asked.format == "json":
        return json_response(found)
    name = f"costs-by-{found.by}-{found.since}-{found.until}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(csv_of(found), headers=headers, media_type=MEDIA_TYPE)
