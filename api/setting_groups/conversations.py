"""The settings of conversations: whether they are remembered, how much of them, and how long."""

from __future__ import annotations

from pydantic import Field

from api.setting_groups.group import Group


class ConversationSettings(Group):
    """What a question may lean on that was asked before it."""

    enabled: bool = Field(
        default=True,
        description="Put follow-up questions so that they stand alone, and keep for that the last "
        "questions of each conversation that has an id; off: every question is taken as it is, and "
        "none is kept.",
    )
    turns: int = Field(
        default=6, ge=1, le=100, description="Questions of a conversation that are remembered."
    )
    keep_minutes: float = Field(
        default=30,
        gt=0,
        le=525_600,
        description="Minutes after which a question of a conversation is forgotten.",
    )
    ask_local: bool = Field(
        default=True,
        description="Let the local model put a follow-up where the rules cannot tell what it leans "
        "on.",
    )
