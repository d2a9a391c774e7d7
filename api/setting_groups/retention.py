"""The settings of retention: how long things are kept that no other setting limits."""

from __future__ import annotations

from pydantic import Field

from api.setting_groups.group import Group


class RetentionSettings(Group):
    """How long things are kept that no other setting limits."""

    batch_days: float = Field(
        default=30,
        ge=2,
        le=3_650,
        description="Days after which a batch is deleted with its questions and answers; one that "
        "has not ended by then, too.",
    )
    job_days: float = Field(
        default=90,
        gt=0,
        le=3_650,
        description="Days after which a finished ingestion job is deleted, with its report, which "
        "names sources and titles.",
    )
    failed_days: float = Field(
        default=7,
        gt=0,
        le=3_650,
        description="Days for which the texts and files that failed in an ingestion job are kept, "
        "so that it can be retried.",
    )
    audit_days: float = Field(
        default=365,
        ge=1,
        le=36_500,
        description="Days after which an entry of the audit log is deleted.",
    )
