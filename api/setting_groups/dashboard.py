"""Settings of the dashboard."""

from __future__ import annotations

from pydantic import Field

from api.setting_groups.group import Group


class DashboardSettings(Group):
    """What the dashboard may show beside numbers."""

    keep_questions: bool = Field(
        default=False,
        description="Keep the words of questions in the state, so that the dashboard shows the "
        "dearest, the wrongly answered and the unanswered ones; they may be private. A service "
        "that starts without this deletes those that are there.",
    )
    keep_days: float = Field(
        default=30,
        gt=0,
        le=3_650,
        description="Days after which the words of a question are deleted.",
    )
