"""Settings of traces: which collector gets them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from api.setting_groups.group import Group


def _check_endpoint(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError(
            "give http:// or https:// and a host, such as http://127.0.0.1:4318; a collector's key "
            "goes into OTEL_EXPORTER_OTLP_HEADERS"
        )
    return endpoint


class TracingSettings(Group):
    """Traces of requests, answers and calls of models; off without a collector."""

    endpoint: Annotated[str, AfterValidator(_check_endpoint)] | None = Field(
        default=None,
        description="Address of a collector that speaks OTLP over HTTP, without `/v1/traces`; "
        "unset: nothing is traced.",
    )
    service_name: str = Field(
        default="thrifty-rag",
        min_length=1,
        max_length=100,
        description="What the traces call this service.",
    )
    share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the requests that are traced; one whose caller has decided, in the "
        "header `traceparent`, is traced as that says.",
    )
