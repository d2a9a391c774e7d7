"""A kept answer for a question in other words: the nearest kept questions, and what may be risked.

What differs from the question in a number, a name or a "not" is not given, however near it is. Of
the rest the bound decides, from verdicts on reuses before: those of people, and those of fresh
answers that were made where an earlier one was at hand.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from generation.confidence.agreement import agreement
from generation.reuse.binding import scope_of
from generation.reuse.bound import Bound, Candidate, Decision, Proposal, Verdict, propose
from generation.reuse.differences import differences
from generation.reuse.entries import Entries, Entry
from generation.reuse.pins import Pins
from generation.reuse.questions import KeptQuestions, Near
from generation.reuse.sameness import Sameness
from generation.reuse.verdicts import Verdicts
from rag.types import Answer, Citation, Question, Vector

_NEAREST = 15
_SAME_WORDS = 0.8  # of the shorter answer, in the other


@dataclass(frozen=True, slots=True)
class Alike:
    """The kept answer that most speaks for, its score (0 to 1), and what to do with it."""

    entry: Entry
    score: float
    decision: Decision


class AlikeQuestions:
    """Finds kept answers by the meaning of their question, wrong in at most `max_error` of 1.

    Those in `pins` are found among the others, by the same checks and within the same bound.
    Several threads may ask at once. Its methods raise StateError.
    """

    def __init__(
        self,
        entries: Entries,
        verdicts: Verdicts,
        max_error: float,
        max_entries: int,
        draw: Callable[[], float] = random.random,
        *,
        pins: Pins | None = None,
    ) -> None:
        self._sources: Sequence[Entries | Pins] = [entries] if pins is None else [entries, pins]
        self._verdicts = verdicts
        pinned_after = None if pins is None else pins.questions_after
        self._questions = KeptQuestions(entries.questions_after, 2 * max_entries, pinned_after)
        self._sameness = Sameness.bundled()
        self._max_error = max_error
        self._bounds: dict[str, Bound] = {}
        self._seen = ""
        self._lock = threading.Lock()
        self._draw = draw

    def find(self, binding: str, question: Question, vector: Vector) -> Alike | None:
        """What is kept that may answer a question with this vector; None where nothing is."""
        nearest = self._nearest(binding, scope_of(question), vector)
        proposed = self._propose(question.text, nearest)
        if proposed is None:
            return None
        proposal, entry_id = proposed
        found = (source.load(entry_id) for source in self._sources)
        entry = next((one for one in found if one is not None), None)
        if entry is None:
            return None
        with self._lock:
            self._learn()
            decision = self._bound(question.collection).decide(proposal, self._draw())
        return Alike(entry, proposal.score, decision)

    def _nearest(self, binding: str, scope: str, vector: Vector) -> list[Near]:
        """The nearest questions, without those whose entries are gone."""
        found = self._questions.nearest(binding, vector, _NEAREST, scope)
        names = [one.entry_id for one in found]
        there = set[str]().union(*(source.still_there(names) for source in self._sources))
        for one in found:
            if one.entry_id not in there:
                self._questions.drop(binding, one.entry_id)
        return [one for one in found if one.entry_id in there]

    def _propose(self, question: str, nearest: Sequence[Near]) -> tuple[Proposal, str] | None:
        """The answer that most speaks for, and the entry to give for it.

        A question is looked at for differences only when its answer is the one to be given.
        """
        candidates = [
            Candidate(one.says, self._sameness.score(one.question, question, one.cosine))
            for one in nearest
        ]
        while (proposal := propose(candidates)) is not None:
            speaking = [
                place
                for place, one in enumerate(candidates)
                if one.may_be_given and one.answer == proposal.answer
            ]
            best = max(speaking, key=lambda place: candidates[place].score)
            if not differences(nearest[best].question, question):
                return proposal, nearest[best].entry_id
            candidates[best] = replace(candidates[best], may_be_given=False)
        return None

    def _bound(self, collection: str) -> Bound:
        """Each collection keeps the bound by itself."""
        return self._bounds.setdefault(collection, Bound(self._max_error))

    def _learn(self) -> None:
        """Hear the verdicts that are new, of other processes too."""
        for judged in self._verdicts.judged_after(self._seen):
            verdict = Verdict(judged.says, judged.score, judged.is_right)
            self._bound(judged.collection).observe(verdict)
            self._seen = judged.at


def says_the_same(question: str, kept: Answer, fresh: Answer) -> bool:
    """Whether two answers to a question agree, as far as words can tell; in doubt they do not.

    Of quotes the first one tells, which is the best.
    """
    if kept.text == fresh.text:
        return True
    if kept.tier == fresh.tier == "extractive":
        return _place(kept.citations[0]) == _place(fresh.citations[0])
    found = agreement(question, kept.text, fresh.text, None)
    return (
        found.words is not None
        and found.words >= _SAME_WORDS
        and all(one in (None, 1.0) for one in (found.names, found.numbers, found.polarity))
    )


def _place(citation: Citation) -> tuple[str, int, int]:
    return citation.document_id, citation.start, citation.end
