"""The settings of an experiment: who answers which part of the conversations, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from api.setting_groups.group import COLLECTION_PATTERN, Group

CONTROL = "control"
"""The arm of everybody else: the settings as they are."""


class ArmSettings(Group):
    """One configuration beside the one that is in force."""

    share: float = Field(gt=0, lt=1, description="Share of the conversations that it serves.")
    set: Mapping[str, Any] = Field(description="Settings that differ, as groups of `rag.toml`.")


def _worth(description: str) -> Any:
    return Field(
        default=None, ge=-100_000, le=100_000, allow_inf_nan=False, description=description
    )


class ExperimentSettings(Group):
    """Two or more configurations side by side. Off unless it has a name."""

    name: str | None = Field(
        default=None,
        pattern=COLLECTION_PATTERN,
        description="What the experiment is called; setting it begins it. Another name begins "
        "another one, with conversations drawn anew.",
    )
    arms: Mapping[str, ArmSettings] = Field(
        default={},
        description="Configurations beside the settings as they are, which are the arm `control`: "
        "`{short = {share = 0.5, set = {context = {max_tokens = 500}}}}` in `rag.toml`.",
    )
    error: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="Chance at most that an arm which is no worse than `control` is stopped, or "
        "one that is no better is called so, however often one looks.",
    )
    max_cost_ratio: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="An arm whose answers cost more than this many times those of `control` is "
        "stopped; unset stops none for its cost.",
    )
    used_usd: float | None = _worth("Dollars that an answer saves which somebody used as it was.")
    edited_usd: float | None = _worth("Dollars that an answer saves which somebody edited first.")
    ignored_usd: float | None = _worth(
        "Dollars that an answer saves which somebody read and ignored; below 0 where it cost time."
    )
