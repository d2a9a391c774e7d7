"""Sparse vectors: the words of a text with their BM25 weights, the same for every Qdrant store.

The engine multiplies them with the IDF of the collection when it searches. Words are stemmed as
English ones, and accents and stop words are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

import qdrant_edge as qdrant

from rag.types import Chunk

_AVERAGE_TOKENS = 100.0  # of our chunks, stop words left out


class SparseEncoder:
    """Makes the sparse vectors of chunks and questions."""

    def __init__(self) -> None:
        self._bm25 = qdrant.Bm25(
            qdrant.Bm25Config(avg_len=_AVERAGE_TOKENS, language="english", ascii_folding=True)
        )

    def chunk_terms(self, chunk: Chunk) -> qdrant.SparseVector | None:
        """The weights of a chunk's words; None where it has none."""
        return _unless_empty(self._bm25.embed_document(f"{chunk.prefix}\n{chunk.text}"))

    def question_terms(self, text: str) -> qdrant.SparseVector | None:
        """The words that are looked for; None where there are none."""
        return _unless_empty(self._bm25.embed_query(text))


def single_words(terms: qdrant.SparseVector) -> list[qdrant.SparseVector]:
    """Each word of a question by itself."""
    return [
        qdrant.SparseVector([index], [value])
        for index, value in zip(terms.indices, terms.values, strict=True)
    ]


def most_possible(best_of_words: Sequence[float]) -> float:
    """What the words of a question score at most together, each in the chunk that is best for it.

    A word that no chunk holds, whose best is 0, counts like the greatest of the others: it is as
    rare. 0 where no chunk holds any.
    """
    greatest = max(best_of_words, default=0.0)
    return sum(best or greatest for best in best_of_words)


def _unless_empty(vector: qdrant.SparseVector) -> qdrant.SparseVector | None:
    return vector if vector.indices else None
