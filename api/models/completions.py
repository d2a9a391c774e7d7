"""Answers as the protocol of OpenAI has them: completions, their chunks in a stream, and models.

What the protocol has no words for stands in the field `rag` of a completion, and in the last chunk
of an answer. Tokens are those that a language model read and wrote: none where none was called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from api.models.actions import ActionOut
from api.models.answers import AnswerOut, CitationOut, CostOut, UsageOut
from api.models.output import Output
from rag.types import Status, Tier

FinishReason = Literal["stop", "length"]


class ModelOut(Output):
    """A collection, as a model. When it was made is not known: `created` is 0."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "thrifty-rag"


class ModelsOut(Output):
    """All collections that hold documents, by name."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


class PromptDetailsOut(Output):
    """Of the tokens that were read."""

    cached_tokens: int


class CompletionUsageOut(Output):
    """Tokens that a model read and wrote; all 0 where no model was called."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetailsOut

    @classmethod
    def of(cls, usage: UsageOut) -> Self:
        return cls(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
            prompt_tokens_details=PromptDetailsOut(cached_tokens=usage.cached_input_tokens),
        )


class RagOut(Output):
    """What is known of an answer besides its text. `model` is the one that wrote it."""

    status: Status
    tier: Tier
    model: str
    confidence: float
    citations: list[CitationOut]
    cost: CostOut
    because: str
    degraded_because: str | None
    arm: str | None
    asked_as: str | None
    action: ActionOut | None
    context_tokens: int

    @classmethod
    def of(cls, answer: AnswerOut) -> Self:
        names = cls.model_fields.keys() - {"context_tokens"}
        shown = {name: getattr(answer, name) for name in names}
        return cls(**shown, context_tokens=answer.usage.context_tokens)


class MessageOut(Output):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChoiceOut(Output):
    """The one choice that there is."""

    index: Literal[0] = 0
    message: MessageOut
    logprobs: None = None
    finish_reason: FinishReason


class CompletionOut(Output):
    """A chat completion. `id` is that of the answer, for a verdict on it."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChoiceOut]
    usage: CompletionUsageOut
    rag: RagOut

    @classmethod
    def of(cls, answer: AnswerOut, model: str, created: int, finish: FinishReason) -> Self:
        """The answer of a collection, which is the model, at a Unix time."""
        return cls(
            id=answer.id,
            created=created,
            model=model,
            choices=[ChoiceOut(message=MessageOut(content=answer.answer), finish_reason=finish)],
            usage=CompletionUsageOut.of(answer.usage),
            rag=RagOut.of(answer),
        )

    def chunks(self, pieces: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The same as the chunks of a stream, its text in these pieces."""
        [choice] = self.choices
        yield self._chunk([_delta({"role": "assistant", "content": ""})])
        for piece in pieces:
            yield self._chunk([_delta({"content": piece})])
        last = self._chunk([_delta({}, choice.finish_reason)])
        yield last | {"rag": self.rag.model_dump(mode="json")}

    def usage_chunk(self) -> dict[str, Any]:
        """The chunk after the last, for who asked for the usage."""
        return self._chunk([]) | {"usage": self.usage.model_dump(mode="json")}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": None,
        }


def _delta(delta: dict[str, str], finish: FinishReason | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
