"""A question that the documents do not answer, on its way to people."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.models.inputs import Input, check_characters
from api.models.output import Output

MAX_QUESTION_CHARS = 4_000

Text = Annotated[str, AfterValidator(check_characters)]


class HandoffIn(Input):
    """A question for people."""

    question: Text = Field(min_length=1, max_length=MAX_QUESTION_CHARS)
    contact: Text = Field(
        min_length=3,
        max_length=254,
        pattern=r"^[^@\s]+@[^@\s]+$",
        description="The e-mail address to reply to; it is sent on and kept nowhere.",
    )
    answer_id: Text | None = Field(default=None, max_length=200)
    conversation_id: Text | None = Field(default=None, max_length=200)


class HandoffOut(Output):
    """The question was taken by the webhook."""

    status: Literal["sent"] = "sent"
