"""Verdicts on answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.models.inputs import Input
from api.models.output import Output


class FeedbackIn(Input):
    """What somebody says of an answer; a later verdict replaces an earlier one."""

    answer_id: str = Field(min_length=1, max_length=200)
    verdict: Literal["right", "wrong"]


class FeedbackOut(Output):
    """The verdict that is kept."""

    answer_id: str
    verdict: Literal["right", "wrong"]
