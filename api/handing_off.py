"""Posts a question to the operator's webhook. The one place that knows how that is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from rag.errors import ServiceError

if TYPE_CHECKING:
    from api.models.handoffs import HandoffIn

TIMEOUT_S = 10.0


async def hand_off(webhook: SecretStr, told: HandoffIn) -> None:
    """Post the question as JSON. Raises ServiceError where the webhook does not take it."""
    import httpx

    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client,
            client.stream("POST", webhook.get_secret_value(), json=told.model_dump()) as response,
        ):
            status = response.status_code  # the body is nobody's business, and may be endless
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServiceError(
            f"the webhook of handoff.webhook cannot be reached ({type(error).__name__}) within "
            f"{TIMEOUT_S:g} s: see whether it runs"
        ) from None
    if not 200 <= status < 300:
        raise ServiceError(
            f"the webhook of handoff.webhook answered with status {status}, and 200 to 299 says "
            "that it took the question: see its log"
        )
