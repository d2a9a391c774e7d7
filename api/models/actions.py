"""What to do with a question that the documents do not answer."""

from __future__ import annotations

from typing import Literal

from api.models.output import Output
from api.setting_groups.handoff import HandoffSettings

HANDOFFS = "v1/handoffs"
"""The route that takes questions for people, below the address of the service."""


class ActionOut(Output):
    """A way on for the person who asked.

    A page to open, a mailbox to write to, or (`webhook`) the route of this service that takes the
    question.
    """

    type: Literal["link", "email", "webhook"]
    url: str

    @classmethod
    def of(cls, settings: HandoffSettings) -> ActionOut | None:
        """The action that the settings name; None where they name none."""
        if settings.webhook is not None:
            return cls(type="webhook", url=HANDOFFS)
        if settings.url is None:
            return None
        is_mailbox = settings.url.lower().startswith("mailto:")
        return cls(type="email" if is_mailbox else "link", url=settings.url)
