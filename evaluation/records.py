"""What a system made of one question: all that the measures need to make a report anew.

Knows no measure and no gold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from evaluation.questions import Place
from rag.types import Status, Tier


@dataclass(frozen=True, slots=True)
class Record:
    """One question, asked. `hits` are the chunks found, best first; `pieces` make up the context.

    `citations` are where the answer's quotes stand. `ms` are milliseconds by stage of the answer.
    Dollars are None where unknown.
    """

    question_id: str
    question: str
    hits: tuple[Place, ...]
    scores: tuple[float, ...]
    pieces: tuple[Place, ...]
    context: str
    context_tokens: int
    status: Status
    tier: Tier
    answer: str
    confidence: float
    citations: tuple[Place, ...]
    usd: Decimal | None
    baseline_usd: Decimal | None
    ms: dict[str, float] = field(default_factory=dict)

    @property
    def ranked_documents(self) -> list[str]:
        """The documents found, each once, where its best chunk stands."""
        return list(dict.fromkeys(hit.document_id for hit in self.hits))

    @property
    def is_answered(self) -> bool:
        """Whether an answer was given, be it from a smaller context."""
        return self.status != "abstained"
