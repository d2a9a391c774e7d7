"""What the routes of one HTTP service share, and how they get hold of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request, Response

from api.doors.ingesting import carry_out
from api.forgetting.retention import Sweeper
from api.http.gauges import gauges_of
from api.http.limits.admission import Admission
from api.http.limits.places import Places
from api.http.metrics import Metrics
from api.http.problems import MEDIA_TYPE
from api.jobs.runner import Jobs
from api.models.output import Output, ProblemOut
from generation.overview.asked import AskedQuestions

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine


@dataclass(frozen=True, slots=True)
class Service:
    """The application and what HTTP adds to it.

    `token` proves that a caller can read the data folder; None: no caller can.
    """

    application: Application
    jobs: Jobs
    sweeper: Sweeper
    admission: Admission
    places: Places
    metrics: Metrics
    token: str | None

    async def close(self) -> None:
        """Stop what runs beside the questions, then close the application."""
        await self.jobs.close()
        await self.sweeper.close()
        await self.application.close()


def make_service(application: Application, token: str | None) -> Service:
    """The service around an application; it takes no other service to use the same data."""
    if not application.settings.dashboard.keep_questions:
        AskedQuestions(application.state).forget_all()
    work = partial(carry_out, application)
    settings = application.settings
    jobs = Jobs(
        application.state,
        work,
        settings.data_dir,
        keep_days=settings.retention.job_days,
        keep_failed_days=settings.retention.failed_days,
    )

    return Service(
        application=application,
        jobs=jobs,
        sweeper=Sweeper(settings, application.state),
        admission=Admission(settings.server.max_concurrent_answers),
        places=Places(settings.server.cores or _own_cores()),
        metrics=Metrics(gauges_of(application, jobs)),
        token=token,
    )


def _own_cores() -> int:
    """The cores that this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]


def json_response(
    output: Output, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The output as JSON, serialised once and not validated again."""
    return Response(output.model_dump_json(), status, headers, media_type="application/json")


def problem_docs(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI shall say of the problems that a route can give."""
    schema = {"schema": {"$ref": f"#/components/schemas/{ProblemOut.__name__}"}}
    return {
        status: {"description": "Problem", "content": {MEDIA_TYPE: schema}} for status in statuses
    }
