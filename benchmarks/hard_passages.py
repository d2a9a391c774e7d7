"""The hard task of compression: nq_open's gold passage among the nineteen that look most like it.

For each question, its gold passage and the passages that BM25 ranks highest and that hold no
answer, twenty in all, in a seeded order.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rank_bm25 import BM25Okapi

from benchmarks.question_sets import JudgedQuestion, QuestionSet, plain

PASSAGES = 20


@dataclass(frozen=True, slots=True)
class HardQuestion:
    """A question and the ids of the passages that are given with it."""

    asked: JudgedQuestion
    passages: tuple[str, ...]


def hard_questions(
    question_set: QuestionSet, questions: Sequence[JudgedQuestion]
) -> list[HardQuestion]:
    """The task for each of the questions, whose gold passages and answers the set knows."""
    documents = question_set.documents
    bm25 = BM25Okapi([f"{one.title} {one.text}".lower().split() for one in documents])
    wordings = [plain(f"{one.title} {one.text}") for one in documents]
    found = []
    for asked in questions:
        answers = [answer for text in asked.answers if (answer := plain(text))]
        chosen = sorted(asked.gold)
        ranked = np.argsort(-bm25.get_scores(asked.text.lower().split()), kind="stable")
        for index in ranked.tolist():
            if len(chosen) == PASSAGES:
                break
            name = documents[index].document_id
            if name not in chosen and not any(answer in wordings[index] for answer in answers):
                chosen.append(name)
        random.Random(asked.question_id).shuffle(chosen)
        found.append(HardQuestion(asked, tuple(chosen)))
    return found
