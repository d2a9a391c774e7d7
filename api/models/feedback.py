"""What people say of answers."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from api.models.inputs import AnswerText, Input
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

    correction: AnswerText | None = Field(
        default=None,
        description="What the answer should have been, with its markers where they still hold. "
        "The verdict is then wrong, and the use edited unless it is given.",
    )

    @model_validator(mode="after")
    def _check_what_is_told(self) -> Self:
        if self.verdict is None and self.use is None and self.correction is None:
            raise ValueError(
                "nothing is said of the answer: give verdict (right, wrong), "
                "use (used, edited, ignored), a correction or several of them"
            )
        if self.correction is not None and self.verdict == "right":
            raise ValueError(
                "the verdict is right, and there is a correction: a right answer needs none"
            )
        return self

    def completed(self) -> FeedbackIn:
        """With what a correction says of the answer beside it."""
        if self.correction is None:
            return self
        return self.model_copy(update={"verdict": "wrong", "use": self.use or "edited"})


class FeedbackOut(Output):
    """What was told; null is left as it was."""

    answer_id: str
    verdict: Verdict | None
    use: Use | None
    correction: str | None
