"""The settings of distillation: from whose answers lessons are kept, and how long."""

from __future__ import annotations

from pydantic import Field

from api.setting_groups.group import CollectionNames, Group


class DistillationSettings(Group):
    """What escalation teaches, kept as training data for the local model."""

    collections: CollectionNames = Field(
        default=(),
        description="Collections, between commas, whose users consent that their questions, with "
        "the context and the premium answer, are kept to train on; nothing is kept of others, and "
        "what was kept of one that is named no longer is deleted at the next start.",
    )
    keep_days: float = Field(
        default=180, gt=0, le=3_650, description="Days after which a lesson is deleted."
    )
    max_lessons: int = Field(
        default=50_000, ge=1, le=1_000_000, description="Lessons to keep; the oldest go first."
    )
