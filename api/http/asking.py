"""What the routes that answer questions share: the way to an answer, and what is told of it."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

from api.http.access.caller import Caller
from api.http.service import Service
from api.models.answers import dollars
from rag.ports import Listener
from rag.types import Answer, Question

_log = logging.getLogger(__name__)
_PIECE = re.compile(r".*?(?:\[\d+\]\s*|\n+|$)", re.DOTALL)


async def ask(
    question: Question,
    caller: Caller,
    service: Service,
    max_context_tokens: int | None = None,
    listener: Listener | None = None,
) -> Answer:
    """The answer to a question of this caller, counted. Raises what the path raises."""
    if service.application.settings.log.questions:
        _log.info("question: %r", question.text)
    asked = replace(caller.asks(question), visitor=caller.visitor)
    answer = await service.application.pipeline.answer(asked, max_context_tokens, listener)
    service.metrics.count_answer(answer)
    return answer


def pieces_of(text: str) -> list[str]:
    """A text that is there already, in the pieces in which a stream gives it."""
    return [piece for piece in _PIECE.findall(text) if piece]


def cost_headers(answer: Answer) -> dict[str, str]:
    """What an answer cost, for who looks at headers alone."""
    cost = answer.cost
    return {
        "X-Rag-Tier": answer.tier,
        "X-Rag-Cost-USD": dollars(cost.total_usd) or "unknown",
        "X-Rag-Baseline-USD": dollars(cost.baseline_usd) or "unknown",
        "X-Rag-Saved-USD": dollars(cost.saved_usd) or "unknown",
    }
