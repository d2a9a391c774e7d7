"""Kept answers in SQL: what comes back, what goes, and what verdicts do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import Engine, func, insert, select

from generation.reuse.entries import Entries, Entry
from generation.reuse.questions import KeptQuestions, Near
from generation.reuse.tables import KEPT_ANSWER_DOCUMENTS, REUSES
from generation.reuse.verdicts import SAME_WORDS, HitSum, Verdicts
from rag.types import Answer, Citation, Cost, CostLine, Usage, Vector

BEGIN = datetime(2026, 10, 5, 12, tzinfo=UTC)


class Clock:
    """Goes on by a microsecond whenever somebody looks."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


def answer_to(name: str) -> Answer:
    citation = Citation(1, "refunds", "Refunds", "refunds.md", None, 0, 5, "quote")
    cost = Cost((CostLine("generate", "m", Decimal("0.002"), 1.0),), Decimal("0.005"))
    return Answer(name, "answered", "Five days.", "local", "m", 0.9, (citation,), Usage(3), 9, cost)


def entry(name: str, documents: Sequence[str] = ("refunds",), **parts: object) -> Entry:
    plain = Entry("acme", "help", "bound", f"words of {name}", name, "hits", 7, answer_to("a"), "")
    own = {
        "answer": answer_to(name),
        "says": f"says {name}",
        "documents": frozenset(documents),
    }
    return replace(plain, **own, **parts)  # type: ignore[arg-type]


ONE = entry("one")


def judged(verdicts: Verdicts, after: str = "") -> list[tuple[str, float, bool]]:
    return [(one.says, one.score, one.is_right) for one in verdicts.judged_after(after)]


def vector_of(*numbers: float) -> Vector:
    return np.array(numbers, np.float32)


AHEAD = vector_of(1, 0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entries(state_engine: Engine, clock: Clock) -> Entries:
    return Entries(state_engine, max_entries=5, keep_days=30, now=clock)


@pytest.fixture
def verdicts(state_engine: Engine, clock: Clock) -> Verdicts:
    return Verdicts(state_engine, clock)


class TestEntries:
    def test_what_is_kept_comes_back_as_it_was(self, entries: Entries) -> None:
        kept = entry("one", ["refunds", "hours"])
        entries.keep(kept, AHEAD)
        back = replace(kept, documents=frozenset())
        assert entries.find("bound", "words of one") == back
        assert (entries.load("one"), entries.load("nobody")) == (back, None)
        assert entries.still_there(["one", "nobody"]) == {"one"}

    @pytest.mark.parametrize(
        ("binding", "wording"), [("other", "words of one"), ("bound", "other words")]
    )
    def test_it_is_found_by_both_of_its_keys_only(
        self, entries: Entries, binding: str, wording: str
    ) -> None:
        entries.keep(entry("one"), AHEAD)
        assert entries.find(binding, wording) is None

    def test_a_later_answer_to_the_same_words_takes_the_place(self, entries: Entries) -> None:
        entries.keep(entry("one", wording="same"), AHEAD)
        entries.keep(entry("two", wording="same"), AHEAD)
        found = entries.find("bound", "same")
        assert found is not None
        assert found.entry_id == "two"
        assert entries.load("one") is None

    def test_an_answer_grows_too_old(self, entries: Entries, clock: Clock) -> None:
        entries.keep(entry("one"), AHEAD)
        clock.now += timedelta(days=30, seconds=-1)
        assert entries.find("bound", "words of one") is not None
        clock.now += timedelta(seconds=2)
        assert entries.find("bound", "words of one") is None
        assert entries.load("one") is None

    def test_what_is_too_old_leaves_the_table(self, entries: Entries, clock: Clock) -> None:
        entries.keep(entry("one"), AHEAD)
        clock.now += timedelta(days=31)
        entries.keep(entry("two"), AHEAD)
        assert [one.entry_id for one in entries.questions_after(0)] == ["two"]

    def test_the_oldest_goes_when_there_are_too_many(self, entries: Entries) -> None:
        for number in range(8):
            entries.keep(entry(f"e{number}"), AHEAD)
        assert [one.entry_id for one in entries.questions_after(0)] == [
            "e3",
            "e4",
            "e5",
            "e6",
            "e7",
        ]

    def test_a_renewed_entry_has_seen_the_later_change(self, entries: Entries) -> None:
        entries.keep(entry("one"), AHEAD)
        entries.renew(entry("one"), 12)
        found = entries.find("bound", "words of one")
        assert found is not None
        assert found.changes == 12

    def test_what_was_made_from_a_document_goes_with_it(
        self, entries: Entries, state_engine: Engine
    ) -> None:
        entries.keep(entry("one", ["refunds", "hours"]), AHEAD)
        entries.keep(entry("two", ["hours"]), AHEAD)
        entries.keep(entry("three", ["refunds"]), AHEAD)
        entries.keep(entry("elsewhere", ["refunds"], collection="other"), AHEAD)
        assert entries.delete_made_from("help", ["refunds", "unknown"]) == 2
        left = [one.entry_id for one in entries.questions_after(0)]
        assert left == ["two", "elsewhere"]
        with state_engine.connect() as connection:
            rows = connection.scalar(select(func.count()).select_from(KEPT_ANSWER_DOCUMENTS))
        assert rows == 2, "what they were made from is not kept either"

    def test_a_thousand_documents_go_at_once(self, entries: Entries) -> None:
        entries.keep(entry("one", ["d1200"]), AHEAD)
        assert entries.delete_made_from("help", [f"d{n}" for n in range(1_300)]) == 1


def names(nearest: list[Near]) -> list[str]:
    return [one.entry_id for one in nearest]


class TestVectors:
    def test_the_nearest_come_first_and_only_of_the_same_binding(self, entries: Entries) -> None:
        entries.keep(entry("far"), vector_of(0, 1))
        entries.keep(entry("near"), vector_of(0.8, 0.6))
        entries.keep(entry("same"), AHEAD)
        entries.keep(entry("foreign", binding="other"), AHEAD)
        vectors = KeptQuestions(entries.questions_after, 100)
        found = vectors.nearest("bound", AHEAD, 2)
        assert [(one.entry_id, one.question, one.says) for one in found] == [
            ("same", "same", "says same"),
            ("near", "near", "says near"),
        ]
        assert found[0].cosine > found[1].cosine
        assert vectors.nearest("nobody's", AHEAD, 2) == []

    def test_what_others_keep_is_found_too(self, entries: Entries, state_engine: Engine) -> None:
        vectors = KeptQuestions(entries.questions_after, 100)
        assert vectors.nearest("bound", AHEAD, 3) == []
        another = Entries(state_engine, max_entries=5, keep_days=30)
        for number in range(3):
            another.keep(entry(f"e{number}"), AHEAD)
        assert names(vectors.nearest("bound", AHEAD, 9)) == ["e0", "e1", "e2"]

    def test_what_takes_the_place_of_the_last_entry_is_found(self, entries: Entries) -> None:
        vectors = KeptQuestions(entries.questions_after, 100)
        entries.keep(entry("one"), AHEAD)
        vectors.nearest("bound", AHEAD, 1)
        entries.delete("one")
        entries.keep(entry("two"), AHEAD)
        assert "two" in names(vectors.nearest("bound", AHEAD, 5))

    def test_what_is_gone_is_dropped(self, entries: Entries) -> None:
        vectors = KeptQuestions(entries.questions_after, 100)
        for number in range(4):
            entries.keep(entry(f"e{number}"), vector_of(1 - number / 10, number / 10))
        vectors.nearest("bound", AHEAD, 1)
        vectors.drop("bound", "e1")
        vectors.drop("bound", "never there")
        assert names(vectors.nearest("bound", AHEAD, 9)) == ["e0", "e2", "e3"]
        for name in ("e0", "e2", "e3"):
            vectors.drop("bound", name)
        assert vectors.nearest("bound", AHEAD, 9) == []

    def test_it_holds_no_more_than_it_may(self, entries: Entries) -> None:
        vectors = KeptQuestions(entries.questions_after, 10)
        for number in range(40):
            entries.keep(entry(f"e{number}"), AHEAD)
            assert len(names(vectors.nearest("bound", AHEAD, 99))) <= 11
        assert "e39" in names(vectors.nearest("bound", AHEAD, 99))


class TestVerdicts:
    def test_a_wrong_answer_is_not_kept(self, entries: Entries, verdicts: Verdicts) -> None:
        entries.keep(ONE, AHEAD)
        assert verdicts.observe("one", is_right=True)
        assert entries.load("one") is not None
        assert verdicts.observe("one", is_right=False)
        assert entries.load("one") is None

    def test_an_answer_that_nobody_knows_changes_nothing(self, verdicts: Verdicts) -> None:
        assert not verdicts.observe("unknown", is_right=True)
        assert not verdicts.observe("unknown", is_right=False)

    def test_wrong_for_the_very_same_words_is_wrong(
        self, entries: Entries, verdicts: Verdicts
    ) -> None:
        entries.keep(ONE, AHEAD)
        verdicts.note_given("again", ONE, SAME_WORDS)
        assert verdicts.observe("again", is_right=False)
        assert entries.load("one") is None
        assert judged(verdicts) == [], "it tells nothing of other words"

    def test_wrong_in_other_words_counts_against_the_entry_and_leaves_it(
        self, entries: Entries, verdicts: Verdicts, clock: Clock
    ) -> None:
        entries.keep(ONE, AHEAD)
        verdicts.note_given("again", ONE, 0.8)
        assert judged(verdicts) == []
        verdicts.observe("again", is_right=False)
        assert entries.load("one") is not None
        assert judged(verdicts) == [("says one", 0.8, False)]
        (last,) = verdicts.judged_after("")
        clock.now += timedelta(seconds=1)
        verdicts.observe("again", is_right=True)
        assert judged(verdicts, last.at) == [("says one", 0.8, True)], "people change their minds"

    def test_a_fresh_answer_is_a_verdict_at_once(
        self, entries: Entries, verdicts: Verdicts
    ) -> None:
        entries.keep(ONE, AHEAD)
        verdicts.note_compared("fresh", ONE, 0.7, is_right=False, was_due=False)
        assert judged(verdicts) == [("says one", 0.7, False)]
        entries.keep(entry("fresh"), AHEAD)
        verdicts.observe("fresh", is_right=False)
        assert entries.still_there(["one", "fresh"]) == {"one"}, "its own answer is wrong"
        assert judged(verdicts) == [("says one", 0.7, False)]

    def test_later_verdicts_come_in_order(self, verdicts: Verdicts, clock: Clock) -> None:
        for number in range(5):
            verdicts.note_compared(f"a{number}", ONE, number / 10, is_right=True, was_due=False)
            clock.now += timedelta(seconds=1)
        assert [one.score for one in verdicts.judged_after("")] == [0.0, 0.1, 0.2, 0.3, 0.4]
        second = verdicts.judged_after("")[1].at
        assert [one.score for one in verdicts.judged_after(second)] == [0.2, 0.3, 0.4]

    def test_sums_count_what_was_given_and_what_was_due(
        self, verdicts: Verdicts, clock: Clock
    ) -> None:
        for number in range(6):
            verdicts.note_given(f"a{number}", ONE, 0.8)
            verdicts.note_compared(f"b{number}", ONE, 0.7, is_right=False, was_due=False)
            clock.now += timedelta(days=1)
        verdicts.observe("a1", is_right=True)
        verdicts.observe("a2", is_right=False)
        days = [BEGIN, BEGIN + timedelta(days=5)]
        assert verdicts.sum(*days) == HitSum(judged=2, wrong=1)
        clock.now = BEGIN + timedelta(days=3)
        verdicts.note_compared("c", ONE, 0.9, is_right=True, was_due=True)
        assert verdicts.sum(*days) == HitSum(judged=3, wrong=1)
        after = BEGIN + timedelta(days=9)
        assert verdicts.sum(after, after + timedelta(days=1)) == HitSum(0, 0)

    def test_what_nobody_judged_goes_with_the_time(self, verdicts: Verdicts, clock: Clock) -> None:
        verdicts.note_given("old", ONE, 0.8)
        verdicts.note_given("old and judged", ONE, 0.8)
        verdicts.observe("old and judged", is_right=True)
        verdicts.note_compared("old and compared", ONE, 0.7, is_right=False, was_due=False)
        clock.now += timedelta(days=1)
        verdicts.note_given("young", ONE, 0.8)
        before = verdicts.judged_after("")
        verdicts.prune(clock.now)
        assert verdicts.judged_after("") == before
        assert not verdicts.observe("old", is_right=True)
        assert verdicts.observe("young", is_right=True)

    def test_of_verdicts_those_stay_that_are_read(
        self, state_engine: Engine, verdicts: Verdicts, clock: Clock
    ) -> None:
        rows = [
            {
                "answer_id": f"{score} {number:05}",
                "entry_id": "e",
                "collection": "help",
                "says": "s",
                "score": score,
                "was_given": True,
                "is_right": True,
                "at": f"2026-01-01 {number:05}",
                "judged_at": f"2026-01-01 {number:05}",
            }
            for score in (SAME_WORDS, 0.5)
            for number in range(10_002)
        ]
        with state_engine.begin() as connection:
            connection.execute(insert(REUSES), rows)
        before = verdicts.judged_after("")
        verdicts.prune(clock.now)
        assert verdicts.judged_after("") == before
        with state_engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(REUSES)) == 20_000
            assert connection.scalar(select(func.min(REUSES.c.at))) == "2026-01-01 00002"
