"""What callers send who speak the protocol of OpenAI, checked.

What has no effect on an answer that is made from documents is accepted, as a temperature. What
would change the answer, and cannot, is refused by its name, as tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from api.models.inputs import AnswerOptions, Input, check_characters
from rag.types import Question
from retrieval.conversations.standing_alone import turns_of

MAX_MESSAGES = 1_000

_INSTRUCTIONS = ("system", "developer")


class MessageIn(BaseModel):
    """A message of a chat; what else it has is left alone."""

    model_config = ConfigDict(frozen=True, extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    @property
    def parts(self) -> list[dict[str, Any]]:
        """What it consists of; a plain text is one part."""
        content = self.content or ""
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    @property
    def text(self) -> str:
        """Its parts that are text."""
        texts = [part["text"] for part in self.parts if isinstance(part.get("text"), str)]
        return "\n".join(texts)


class StreamOptionsIn(Input):
    """What a stream holds besides the answer. Nothing here is worth obfuscating."""

    include_usage: StrictBool = False
    include_obfuscation: StrictBool | None = None


def _question_of(messages: Sequence[MessageIn]) -> str:
    """The text of the last message, which must be the user's; instructions may follow it.

    Raises ValueError.
    """
    asked = [message for message in messages if message.role not in _INSTRUCTIONS]
    if not asked or asked[-1].role != "user":
        found = asked[-1].role if asked else "nobody but the system"
        raise ValueError(f"the last message is of {found}: end with the question of the user")
    parts = asked[-1].parts
    for part in parts:
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = str(part.get("type"))[:60]
            raise ValueError(f"the question has a part of type {kind!a}: send text alone")
    return check_characters("\n".join(part["text"] for part in parts))


def _said_before(messages: Sequence[MessageIn]) -> list[tuple[str, str]]:
    """The questions of the user before the last message, each with what was answered to it."""
    said: list[tuple[str, str]] = []
    for message in messages:
        if message.role == "user":
            said.append((message.text, ""))
        elif message.role == "assistant" and said:
            said[-1] = (said[-1][0], message.text)
    return [(question, answer) for question, answer in said[:-1] if question.strip()]


def _with_question(messages: list[MessageIn]) -> list[MessageIn]:
    _question_of(messages)
    return messages


def _only(*allowed: object) -> AfterValidator:
    """Lets pass what changes nothing."""

    def check(value: object) -> object:
        if value is not None and value not in allowed:
            told = " or ".join(repr(one) for one in allowed)
            mend = f"give {told}, or leave it out" if told else "leave it out"
            raise ValueError(f"this service cannot do that: {mend}")
        return value

    return AfterValidator(check)


_NoEffect = Annotated[Any, Field(description="Accepted, without effect.")]
_Tokens = Annotated[int, Field(strict=True, ge=1)]


class ChatIn(Input):
    """A request for a chat completion: the last message of the user is asked of a collection."""

    model: str = Field(description="A collection, by its name.")
    messages: Annotated[
        list[MessageIn],
        Field(min_length=1, max_length=MAX_MESSAGES),
        AfterValidator(_with_question),
    ]
    stream: StrictBool | None = None
    stream_options: StreamOptionsIn | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = Field(
        default=None, description="Tokens of the answer at most; a longer one is cut off."
    )
    rag: AnswerOptions = Field(
        default_factory=AnswerOptions, description="What the protocol has no words for."
    )

    n: Annotated[Any, _only(1)] = None
    tools: Annotated[Any, _only([])] = None
    functions: Annotated[Any, _only([])] = None
    tool_choice: Annotated[Any, _only("none", "auto")] = None
    function_call: Annotated[Any, _only("none", "auto")] = None
    stop: Annotated[Any, _only([])] = None
    response_format: Annotated[Any, _only({"type": "text"})] = None
    modalities: Annotated[Any, _only(["text"])] = None
    audio: Annotated[Any, _only()] = None
    logprobs: Annotated[Any, _only(False)] = None
    top_logprobs: Annotated[Any, _only(0)] = None
    web_search_options: Annotated[Any, _only()] = None
    moderation: Annotated[Any, _only()] = None

    temperature: _NoEffect = None
    top_p: _NoEffect = None
    seed: _NoEffect = None
    frequency_penalty: _NoEffect = None
    presence_penalty: _NoEffect = None
    logit_bias: _NoEffect = None
    parallel_tool_calls: _NoEffect = None
    prediction: _NoEffect = None
    reasoning_effort: _NoEffect = None
    verbosity: _NoEffect = None
    service_tier: _NoEffect = None
    store: _NoEffect = None
    metadata: _NoEffect = None
    user: _NoEffect = None
    safety_identifier: _NoEffect = None
    prompt_cache_key: _NoEffect = None
    prompt_cache_options: _NoEffect = None
    prompt_cache_retention: _NoEffect = None

    @property
    def most_tokens(self) -> int | None:
        """Tokens of the answer at most; None: as many as it has."""
        given = [one for one in (self.max_tokens, self.max_completion_tokens) if one is not None]
        return min(given, default=None)

    def to_question(self, max_turns: int) -> Question:
        """The question as the pipeline takes it, after the last `max_turns` before it.

        A `conversation_id` goes before what the messages say.
        """
        question = self.rag.question_of(_question_of(self.messages), self.model)
        if question.conversation_id:
            return question
        return replace(question, turns=turns_of(_said_before(self.messages), max_turns))
