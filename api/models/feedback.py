"""What people say of answers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from api.models.inputs import Input
from api.models.output import Output
from generation.deciding.feedback import Use

Verdict = Literal["right", "wrong"]


class FeedbackIn(Input):
    """What somebody says of an answer; it replaces what was said before of the same."""

    answer_id: str = Field(min_length=1, max_length=200)
    verdict: Verdict | None = Field(default=None, description="Whether the answer was right.")
    use: Use | None = Field(
        default=None,
        description="What became of the answer: used as it was, edited first, or ignored.",
    )

    @model_validator(mode="after")
    def _check_something_is_told(self) -> Self:
        if self.verdict is None and self.use is None:
            raise ValueError(
                "nothing is said of the answer: give verdict (right, wrong), "
                "use (used, edited, ignored) or both"
            )
        return self


class FeedbackOut(Output):
    """What was told; null is left as it was."""

    answer_id: str
    verdict: Verdict | None
    use: Use | None
