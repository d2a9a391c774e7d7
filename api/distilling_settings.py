"""The settings of distillation: from whose answers lessons are kept, and how long."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from api.setting_groups import ANY_COLLECTION_PATTERN, Group, split_names


def _check_collections(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.match(ANY_COLLECTION_PATTERN, name):
            raise ValueError(f"{name!r} is no name of a collection: give those that are, in full")
    return tuple(dict.fromkeys(names))


class DistillationSettings(Group):
    """What escalation teaches, kept as training data for the local model."""

    collections: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(split_names), AfterValidator(_check_collections)
    ] = Field(
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
