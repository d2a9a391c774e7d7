"""Questions with the answers of five systems and people's verdicts, as a service would see them.

evouna (Wang et al., "Evaluating Open-QA Evaluation", 2305.12421) asked FiD, text-davinci-003,
gpt-3.5-turbo, gpt-4 and the chat of Bing the questions of NQ-open and TriviaQA. The signals of an
answer are what is there without the gold answer: the question's form, the answer's wording, and how
far it agrees with the other answers that have been paid for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from generation.confidence.agreement import agreement
from generation.confidence.doubt import hedging_phrases, unknowing_phrases
from generation.confidence.fitting import Outcome
from generation.writing.wording import wording_of
from rag.ports import Embedder
from rag.types import Passage, Vector

SYSTEMS = ("chatgpt", "fid", "gpt35", "gpt4", "newbing")
_QUESTION = "question"
_LANGUAGE = "en"
_KINDS = ("who", "when", "where", "what", "which", "how", "many", "why")
_AT_A_TIME = 64

Signals = dict[str, float | None]
Vectors = Mapping[str, Vector]
"""By column, the question or a system: shape `[questions, dimension]`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and what each system answered; `source` is NQ or TQ."""

    source: str
    question: str
    answers: Mapping[str, str]
    right: Mapping[str, bool]


def load_evouna(data: Path) -> list[Asked]:
    """All questions of both sets. An answer that is missing is empty."""
    return [
        Asked(
            source,
            row["question"],
            {system: row["answers"][system] or "" for system in SYSTEMS},
            {system: row["correct"][system] for system in SYSTEMS},
        )
        for source in ("NQ", "TQ")
        for line in (data / "evouna" / f"{source}.jsonl").read_text("utf-8").strip().split("\n")
        for row in [json.loads(line)]
    ]


async def embed_all(asked: Sequence[Asked], embedder: Embedder, kept: Path | None) -> Vectors:
    """The vectors of questions and answers; those that a folder keeps are not made again."""
    vectors = {}
    for column in (_QUESTION, *SYSTEMS):
        path = kept / f"evouna_{column}.npy" if kept else None
        if path and path.exists():
            vectors[column] = np.load(path)
            continue
        passages = [
            Passage(one.question, "question")
            if column == _QUESTION
            else Passage(one.answers[column] or " ", "document")
            for one in asked
        ]
        made: list[Vector] = []
        for first in range(0, len(passages), _AT_A_TIME):
            embeddings = await embedder.embed(passages[first : first + _AT_A_TIME])
            made.extend(embedding.vector for embedding in embeddings)
        vectors[column] = np.array(made, np.float32)
        if path:
            np.save(path, vectors[column])
    return vectors


class Answers:
    """The signals of every answer, made once."""

    def __init__(self, asked: Sequence[Asked], vectors: Vectors) -> None:
        self.asked = asked
        self.right = np.array([[one.right[system] for system in SYSTEMS] for one in asked])
        self._questions = [question_signals(one.question) for one in asked]
        self._own = [dict(_own_signals(one, vectors, at)) for at, one in enumerate(asked)]
        self._pairs = [dict(_pair_signals(one, vectors, at)) for at, one in enumerate(asked)]

    def signals(self, at: int, system: str, seen: Collection[str]) -> Signals:
        """Of one system's answer to a question, when those of all in `seen` are there."""
        signals = self._questions[at] | self._own[at][system]
        for other in seen:
            if other != system:
                signals |= {
                    f"{name} as {other}": value
                    for name, value in self._pairs[at][frozenset((system, other))].items()
                }
        return signals

    def outcomes(self, rows: Sequence[int], system: str, seen: Collection[str]) -> list[Outcome]:
        """The signals and verdicts of one system's answers."""
        return [
            Outcome(self.signals(at, system, seen), self.asked[at].right[system]) for at in rows
        ]


def question_signals(question: str) -> Signals:
    """What the form of a question tells."""
    says = wording_of(question, _LANGUAGE)
    kinds = {
        f"asks {kind}": float(re.search(rf"\b{kind}\b", question, re.IGNORECASE) is not None)
        for kind in _KINDS
    }
    return kinds | {
        "question words": float(len(question.split())),
        "question names": float(len(says.names)),
        "question numbers": float(len(says.numbers)),
    }


def _own_signals(one: Asked, vectors: Vectors, at: int) -> Iterator[tuple[str, Signals]]:
    asked = wording_of(one.question, _LANGUAGE)
    for system, answer in one.answers.items():
        says = wording_of(answer, _LANGUAGE)
        restated = sum(says.has_word(term) for term in asked.terms)
        yield (
            system,
            {
                "words": float(np.log1p(len(answer.split()))),
                "new words": float(np.log1p(len(says.terms - asked.words))),
                "new names": float(np.log1p(len(says.names - asked.words))),
                "new numbers": float(np.log1p(len(says.numbers - asked.numbers))),
                "unknowing": float(unknowing_phrases(answer)),
                "hedging": float(hedging_phrases(answer)),
                "restates": restated / len(asked.terms) if asked.terms else None,
                "question cosine": float(vectors[system][at] @ vectors[_QUESTION][at]),
            },
        )


def _pair_signals(
    one: Asked, vectors: Vectors, at: int
) -> Iterator[tuple[frozenset[str], Signals]]:
    for place, first in enumerate(SYSTEMS):
        for second in SYSTEMS[place + 1 :]:
            agreed = agreement(one.question, one.answers[first], one.answers[second], _LANGUAGE)
            yield (
                frozenset((first, second)),
                {
                    "same words": agreed.words,
                    "same names": agreed.names,
                    "same numbers": agreed.numbers,
                    "same polarity": agreed.polarity,
                    "cosine": float(vectors[first][at] @ vectors[second][at]),
                },
            )
