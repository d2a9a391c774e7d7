"""What all outputs share, and the small ones that belong to no room."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.types import Tier


class Output(BaseModel):
    """Root of what the service sends; `of` makes one from the value that it shows."""

    model_config = ConfigDict(frozen=True)


class HealthOut(Output):
    """The service is alive."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyOut(Output):
    """The service can answer, from these collections and by these tiers, cheapest first.

    A tier all of whose models keep failing is left out until one is tried again.
    """

    status: Literal["ready"] = "ready"
    collections: list[str]
    tiers: list[Tier]


class ProblemOut(Output):
    """A problem (RFC 9457). `detail` is one line: value, limit and mend.

    `instance` is the request: `urn:thrifty-rag:request:` and the id in its header X-Request-Id.
    """

    type: str
    title: str
    status: int
    detail: str
    retryable: bool
    instance: str
    errors: list[dict[str, str]] = Field(
        default_factory=list, description="Fields that do not fit, each with a message."
    )


class OpenAIErrorDetailOut(Output):
    """What went wrong; `param` is the field that is to blame, if one is."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorOut(Output):
    """An error as clients of OpenAI read it."""

    error: OpenAIErrorDetailOut
