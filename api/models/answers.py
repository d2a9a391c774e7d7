"""Answers, hits and contexts as JSON (DESIGN section 4).

Dollars are decimal strings of six places or more, unknown is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer

from api.models.actions import ActionOut
from api.models.output import Output
from api.setting_groups.handoff import HandoffSettings
from rag.types import Answer, Citation, Context, Cost, CostLine, Hit, Status, Tier


def dollars(usd: Decimal | None) -> str | None:
    """`usd` with six places, more where it has more; None stays unknown."""
    if usd is None:
        return None
    exponent = usd.normalize().as_tuple().exponent
    return f"{usd:.{max(6, -exponent if isinstance(exponent, int) else 0)}f}"


class CitationOut(Output):
    """`text[start:end]` of the document is the quote, in Unicode characters."""

    marker: int
    document_id: str
    title: str
    source: str
    page: int | None
    start: int
    end: int
    quote: str

    @classmethod
    def of(cls, citation: Citation) -> CitationOut:
        return cls(**{name: getattr(citation, name) for name in cls.model_fields})


class UsageOut(Output):
    """Tokens that a model read and wrote, and tokens of context."""

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    context_tokens: int


class CostLineOut(Output):
    """What one stage cost; where that is unknown, what it cannot have passed."""

    stage: str
    model: str | None
    usd: str | None
    ms: float
    at_most_usd: str | None = None

    @model_serializer(mode="wrap")
    def _without_needless(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = serialize(self)
        if self.at_most_usd is None:
            del told["at_most_usd"]
        return told

    @classmethod
    def of(cls, line: CostLine) -> CostLineOut:
        return cls(
            stage=line.stage,
            model=line.model,
            usd=dollars(line.usd),
            ms=round(line.ms, 3),
            at_most_usd=dollars(line.at_most_usd),
        )


class CostOut(Output):
    """The bill, beside what the naive way would have cost."""

    total_usd: str | None
    baseline_usd: str | None
    saved_usd: str | None
    lines: list[CostLineOut]

    @classmethod
    def of(cls, cost: Cost) -> CostOut:
        return cls(
            total_usd=dollars(cost.total_usd),
            baseline_usd=dollars(cost.baseline_usd),
            saved_usd=dollars(cost.saved_usd),
            lines=[CostLineOut.of(line) for line in cost.lines],
        )


class AnswerOut(Output):
    """The answer to one question, with its evidence and its bill.

    `arm` is the configuration that made it, as "experiment/arm", while an experiment runs.
    `asked_as` is the question that was answered, where that is a follow-up put so that it stands
    alone. `action` is where to go with a question that was not answered.
    """

    id: str
    status: Status
    answer: str
    tier: Tier
    model: str
    confidence: float
    citations: list[CitationOut]
    usage: UsageOut
    cost: CostOut
    degraded_because: str | None
    because: str = ""
    arm: str | None = None
    asked_as: str | None = None
    action: ActionOut | None = None

    @classmethod
    def of(cls, answer: Answer, handoff: HandoffSettings | None = None) -> AnswerOut:
        """The answer as JSON; `handoff` says where a question without an answer goes."""
        usage = answer.usage
        way_on = handoff if answer.status == "abstained" else None
        return cls(
            id=answer.answer_id,
            status=answer.status,
            answer=answer.text,
            tier=answer.tier,
            model=answer.model,
            confidence=round(answer.confidence, 4),
            citations=[CitationOut.of(citation) for citation in answer.citations],
            usage=UsageOut(
                input_tokens=usage.input_tokens,
                cached_input_tokens=usage.cached_input_tokens,
                output_tokens=usage.output_tokens,
                context_tokens=answer.context_tokens,
            ),
            cost=CostOut.of(answer.cost),
            degraded_because=answer.degraded_because,
            because=answer.because,
            arm=answer.arm or None,
            asked_as=answer.asked_as or None,
            action=None if way_on is None else ActionOut.of(way_on),
        )

    def for_visitors(self) -> Self:
        """Without the operator's paths, and without his money but for what this answer cost."""
        citations = [
            one.model_copy(update={"source": public_source(one.source)}) for one in self.citations
        ]
        why = None if self.degraded_because is None else "no better answer was possible now"
        hidden = {"citations": citations, "degraded_because": why, "because": "", "arm": None}
        return self.model_copy(update=hidden)


def public_source(source: str) -> str:
    """A source that anybody may know: the address of a page; a path on this machine is none."""
    return source if source.startswith(("http://", "https://")) else ""


class HitOut(Output):
    """A chunk that may answer; `score` is 0 to 1 within one question."""

    document_id: str
    chunk_id: str
    title: str
    source: str
    score: float
    start: int
    end: int
    text: str

    @classmethod
    def of(cls, hit: Hit) -> HitOut:
        chunk = hit.chunk
        return cls(
            document_id=chunk.document_id,
            chunk_id=chunk.chunk_id,
            title=chunk.title,
            source=chunk.source,
            score=hit.score,
            start=chunk.start,
            end=chunk.end,
            text=chunk.text,
        )


class SearchOut(Output):
    """Hits, best first."""

    hits: list[HitOut]

    @classmethod
    def of(cls, hits: Sequence[Hit]) -> SearchOut:
        return cls(hits=[HitOut.of(hit) for hit in hits])


class PieceOut(Output):
    """A part of a document that is in the context."""

    document_id: str
    start: int
    end: int
    text: str


class ContextOut(Output):
    """What would be sent to a model: `context` counts as `tokens`."""

    context: str
    pieces: list[PieceOut]
    tokens: int

    @classmethod
    def of(cls, context: Context) -> ContextOut:
        pieces = [
            PieceOut(
                document_id=piece.hit.chunk.document_id,
                start=piece.start,
                end=piece.end,
                text=piece.text,
            )
            for piece in context.pieces
        ]
        return cls(context=context.text, pieces=pieces, tokens=context.tokens)
