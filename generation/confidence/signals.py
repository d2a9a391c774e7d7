"""The numbers by which answers are judged, by name. Names are part of what is fitted and kept.

Those of retrieval are known before any model is asked:

- `quote_confidence`: the confidence of the quotes, 0 to 1
- `quote_cosine`, `sparse_score`: what it was made of (see `confidence.Signals`)
- `top_score`: that of the best hit; `margin`: how far it is above the fifth
- `top_cosine`: the highest cosine of question and chunk

Their ranges do not depend on how much is indexed, or on how long its documents are.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.types import Generation, Hit

_FIFTH = 4


def retrieval_signals(hits: Sequence[Hit], quote: Generation | None) -> dict[str, float | None]:
    """Those of a question before a model is asked; `quote` is what the free tier made of it."""
    scores = sorted((hit.score for hit in hits), reverse=True)
    of_quote = {} if quote is None else quote.signals
    return {
        "quote_confidence": None if quote is None else quote.confidence,
        "quote_cosine": of_quote.get("quote_cosine"),
        "sparse_score": of_quote.get("sparse_score"),
        "top_score": scores[0] if scores else None,
        "margin": scores[0] - scores[min(_FIFTH, len(scores) - 1)] if scores else None,
        "top_cosine": max((hit.dense_score for hit in hits), default=None),
    }
