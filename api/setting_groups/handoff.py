"""Settings of the hand-off: where a person goes with what the documents do not answer."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from api.setting_groups.group import Group
from api.setting_groups.server import is_loopback


def _split(url: str) -> SplitResult:
    """The parts of a URL; of one that nobody could follow, none."""
    try:
        return urlsplit(url if url.isprintable() and " " not in url else "")
    except ValueError:
        return urlsplit("")


def _check_url(url: str) -> str:
    parts = _split(url)
    is_page = parts.scheme in ("http", "https") and parts.hostname
    is_mailbox = parts.scheme == "mailto" and "@" in parts.path.strip("@")
    if not (is_page or is_mailbox):
        raise ValueError("give https://example.com/contact or mailto:help@example.com")
    return url


def _check_webhook(webhook: SecretStr, info: ValidationInfo) -> SecretStr:
    parts = _split(webhook.get_secret_value())
    host = parts.hostname or ""
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or not is_safe:
        raise ValueError("give https:// and a host, or http:// and this machine")
    if info.data.get("url") is not None:
        raise ValueError("handoff.url is set too, and a question goes one way: keep one")
    return webhook


class HandoffSettings(Group):
    """Where to go with a question that was not answered."""

    url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        default=None,
        max_length=2_000,
        description="Where people go with a question that the documents do not answer: a page "
        "(`https://…`) or a mailbox (`mailto:…`). The chat widget offers it, and an answer that "
        "abstains names it in `action`; unset: nothing is offered.",
    )
    webhook: Annotated[SecretStr, AfterValidator(_check_webhook)] | None = Field(
        default=None,
        description="Instead of `url`: an address (`https://…`) to which the service itself posts "
        "the question, with the e-mail address that the person gave; it is never shown.",
    )
