"""How likely each part of the hits helps to answer: what a context is chosen by.

A logistic regression over signals that cost no model call: the cosine of the sentence, pooled from
its passage's own forward pass; how far its hit is behind the best; the words of the question that
the heading does not say already; and whether there is what the question asks for, a number, a date
or a name. Sentences picked by cosine alone lose to whole passages; with these signals they win
(docs/results.md). The weights stand in `usefulness.json`; `benchmarks/fit_usefulness.py` fits them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from compression.answer_kinds import AnswerKind, holds_kind, wanted_kind
from compression.clauses import clauses_of
from rag.terms import coverage, question_terms, term_weights, text_terms
from rag.types import Hit, Question, Span

SIGNALS = (
    "sentence_cosine",
    "cosine_gap",
    "score_gap",
    "new_terms",
    "chunk_new_terms",
    "holds_kind",
    "chunk_holds_kind",
    "wants_no_kind",
    "words",
    "opens_sentence",
    "opens_document",
)
"""In the order of the columns of `signals`: see `_Look.rows` for what each means."""

_MANY_WORDS = 40


@dataclass(frozen=True, slots=True)
class Part:
    """A clause of a hit. `position` is its sentence's place in the chunk."""

    hit: Hit
    rank: int
    position: int
    span: Span

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.hit.chunk.slice(self.span)


class Usefulness:
    """Probability, 0 to 1, that a part holds the answer or evidence for it."""

    def __init__(self, intercept: float, weights: Mapping[str, float]) -> None:
        self._intercept = intercept
        self._weights = np.array([weights[name] for name in SIGNALS])

    @classmethod
    def bundled(cls) -> Usefulness:
        """The weights that come with the project."""
        record = json.loads(files(__package__).joinpath("usefulness.json").read_text())
        return cls(record["intercept"], record["weights"])

    def estimate(self, question: Question, hits: Sequence[Hit]) -> list[tuple[Part, float]]:
        """All clauses of the hits, in order, each with its probability."""
        parts, rows = signals(question, hits)
        if not parts:
            return []
        totals = np.clip(rows @ self._weights + self._intercept, -30, 30)
        return list(zip(parts, (1 / (1 + np.exp(-totals))).tolist(), strict=True))


def signals(question: Question, hits: Sequence[Hit]) -> tuple[list[Part], npt.NDArray[np.float64]]:
    """The clauses of the hits in order, and their signals, shape `[clauses, len(SIGNALS)]`."""
    parts: list[Part] = []
    rows: list[tuple[float, ...]] = []
    if hits:
        look = _Look(question, hits)
        for rank, hit in enumerate(hits):
            for part, row in look.rows(rank, hit):
                parts.append(part)
                rows.append(row)
    return parts, np.array(rows, np.float64).reshape(len(rows), len(SIGNALS))


class _Look:
    """What one question makes of its hits."""

    def __init__(self, question: Question, hits: Sequence[Hit]) -> None:
        self._terms = question_terms(question.text)
        self._kind = wanted_kind(question.text)
        whole = [text_terms(hit.chunk.prefix) | text_terms(hit.chunk.text) for hit in hits]
        self._weights = term_weights(self._terms, whole)
        self._best_cosine = max(hit.dense_score for hit in hits)
        self._best_score = max(hit.score for hit in hits)

    def rows(self, rank: int, hit: Hit) -> Iterator[tuple[Part, tuple[float, ...]]]:
        """The clauses of a hit, with their signals in the order of SIGNALS."""
        chunk = hit.chunk
        cosines = hit.sentence_scores or (hit.dense_score,) * len(chunk.sentences)
        unsaid = self._without(text_terms(chunk.prefix))
        chunk_new = _share(unsaid, text_terms(chunk.text))
        clauses = [
            (position, cosine, clause)
            for position, (sentence, cosine) in enumerate(
                zip(chunk.sentences, cosines, strict=True)
            )
            for clause in clauses_of(chunk.slice(sentence), sentence)
        ]
        holds = [self._holds(self._kind, chunk.slice(clause)) for _, _, clause in clauses]
        for (position, cosine, clause), is_held in zip(clauses, holds, strict=True):
            text = chunk.slice(clause)
            yield (
                Part(hit, rank, position, clause),
                (
                    cosine,
                    hit.dense_score - self._best_cosine,
                    hit.score - self._best_score,
                    _share(unsaid, text_terms(text)),
                    chunk_new,
                    is_held,
                    max(holds),
                    self._kind is None,
                    min(len(text.split()) / _MANY_WORDS, 1),
                    clause.start == chunk.sentences[position].start,
                    chunk.start == 0 and position == 0,
                ),
            )

    def _without(self, said: Set[str]) -> dict[str, float]:
        return {term: weight for term, weight in self._weights.items() if term not in said}

    def _holds(self, kind: AnswerKind | None, text: str) -> bool:
        return kind is not None and holds_kind(kind, text, self._terms)


def _share(weights: Mapping[str, float], terms: Set[str]) -> float:
    """The share of the weight, 0 to 1, that the terms hold; 1 where there is nothing to hold."""
    whole = sum(weights.values())
    return coverage(weights, terms) / whole if whole > 1e-9 else 1.0
