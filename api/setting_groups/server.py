"""The settings of the HTTP service and of its log."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from api.setting_groups.group import (
    Group,
    split_names,
)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_redis_url(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise ValueError(
                "give redis:// or rediss:// and a host, such as redis://127.0.0.1:6379"
            )
    return url


class ServerSettings(Group):
    """The HTTP service."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; one that other machines reach needs keys.",
    )
    port: int = Field(
        default=8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one."
    )
    max_body_bytes: int = Field(
        default=50_000_000,
        ge=1_000,
        le=10_000_000_000,
        description="Bytes that a request may have.",
    )
    max_question_bytes: int = Field(
        default=4_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="Bytes that a request may have which brings no documents and no batch.",
    )
    client_timeout_s: float = Field(
        default=30,
        ge=1,
        le=3_600,
        description="Seconds that a client may take to send the head of a request; and to send a "
        "body or to read an answer, besides a second for each `server.min_bytes_per_s` bytes.",
    )
    min_bytes_per_s: int = Field(
        default=1_000,
        ge=1,
        le=1_000_000_000,
        description="Bytes a second at which a client must send a body and read an answer, once "
        "`server.client_timeout_s` has passed.",
    )
    max_concurrent_answers: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Questions worked on at once; one more is told to come back later.",
    )
    cores: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU cores that answers may use, from which follows how many are worked on at "
        "once; 0 takes all that the process may run on. Where a container has a quota, give that.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_names)] = Field(
        default=(),
        description="Names under which the service may be called besides this machine's, between "
        "commas: that of a proxy. Others are refused, lest foreign web pages read the documents.",
    )
    redis_url: Annotated[SecretStr | None, AfterValidator(_check_redis_url)] = Field(
        default=None,
        description="Redis in which several services count requests together for the limits of "
        "keys, as `redis://127.0.0.1:6379`; unset: each service counts its own.",
    )


class LogSettings(Group):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least weight of a message that is logged."
    )
    format: Literal["text", "json"] = Field(
        default="text",
        description="Lines of text, or a JSON object a line with time, level, logger, message and "
        "request_id.",
    )
    questions: bool = Field(
        default=False, description="Log the questions too; they may be private."
    )
