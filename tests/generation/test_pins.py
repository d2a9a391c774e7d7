"""Pinned answers in SQL, and beside kept answers where other words are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select
from test_reuse_alike import ASKED, MAX_ERROR, OTHERS, REWORDED, TOKENS, Place, answer

from generation.reuse.alike import Alike, AlikeQuestions
from generation.reuse.binding import binding_of, filters_of, scope_of, values_of
from generation.reuse.entries import KeptQuestion
from generation.reuse.pinned import PinnedAnswers
from generation.reuse.pins import MOST_PINS, Pin, Pins
from generation.reuse.questions import KeptQuestions
from generation.reuse.tables import KEPT_ANSWERS, PINS
from indexing.embedding.packaged import PackagedEmbedder
from rag.errors import ConflictError
from rag.types import Passage, Question

AHEAD = np.array([1, 0], np.float32)


def pin(name: str, text: str = ASKED, says: str = "Five days [1].", **own: Any) -> Pin:
    question = Question(text, "help")
    plain = Pin(
        tenant="",
        collection="help",
        filters=filters_of(question),
        scope=scope_of(question),
        question=text,
        answer=answer(says, name),
        versions={"d1": "v1"},
        changes=3,
    )
    return replace(plain, **own)


class Documents:
    """Versions and changes as a test sets them."""

    def __init__(self) -> None:
        self.now = {"d1": "v1"}
        self.changed = 3

    async def versions(self, collection: str, document_ids: Any) -> dict[str, str]:
        return {name: self.now[name] for name in document_ids if name in self.now}

    async def changes(self, collection: str) -> int:
        return self.changed


@pytest.fixture
def pins(state_engine: Engine) -> Pins:
    return Pins(state_engine)


class TestKeeping:
    def test_what_is_put_comes_back(self, pins: Pins) -> None:
        made = pins.put(pin("p"), AHEAD)
        assert pins.pins(None, None) == pins.pins("", "help") == [made]
        assert pins.pin("p") == made
        assert pins.pins("acme", None) == pins.pins(None, "other") == []
        entry = pins.find(made.scope, made.wording)
        assert entry == pins.load("p")
        assert entry is not None
        assert (entry.entry_id, entry.changes, entry.is_pinned) == ("p", 3, True)
        assert pins.still_there(["p", "q"]) == {"p"}

    def test_what_expires_is_listed_and_not_given(self, pins: Pins) -> None:
        made = pins.put(pin("p"), AHEAD)
        pins.expire("p", "it is old")
        assert pins.find(made.scope, made.wording) is pins.load("p") is None
        assert pins.still_there(["p"]) == set()
        assert pins.questions_after(0) == []
        [expired] = pins.pins(None, None)
        assert (expired.expired_because, expired.answer) == ("it is old", made.answer)
        pins.erase(expired, "it is gone")
        [erased] = pins.pins(None, None)
        assert (erased.answer.text, erased.answer.citations, erased.versions) == ("", (), {})

    def test_no_more_than_the_limit(self, pins: Pins, state_engine: Engine) -> None:
        for number in range(3):
            pins.put(pin(f"p{number}", f"What of {number}?"), AHEAD)
        with state_engine.begin() as connection:  # as if there were many
            columns = [column for column in PINS.columns if column.name != "position"]
            [row] = connection.execute(select(*columns).limit(1)).mappings().all()
            more = [dict(row) | {"pin_id": f"q{n}", "wording": str(n)} for n in range(MOST_PINS)]
            connection.execute(PINS.insert(), more[: MOST_PINS - 3])
        with pytest.raises(ConflictError, match="has 1,000 pinned answers, the limit is 1,000"):
            pins.put(pin("p9", "What of 9?"), AHEAD)
        pins.put(pin("p9", "what of 2"), AHEAD)
        assert pins.pin("p2") is None

    async def test_the_answers_that_it_corrects_are_kept_no_longer(
        self, state_engine: Engine, embedder: PackagedEmbedder, pins: Pins
    ) -> None:
        place = Place(state_engine, embedder)
        await place.keep(ASKED, REWORDED, says="the same")
        await place.keep(OTHERS[0])
        await place.keep(ASKED, collection="other", says="the same")
        pins.put(pin("p"), AHEAD)
        assert self.kept(state_engine) == {
            ("help", OTHERS[0]),
            ("help", REWORDED),
            ("other", ASKED),
        }
        pins.put(pin("p"), AHEAD, "the same")
        assert self.kept(state_engine) == {("help", OTHERS[0]), ("other", ASKED)}

    def kept(self, engine: Engine) -> set[tuple[str, str]]:
        with engine.connect() as connection:
            rows = connection.execute(select(KEPT_ANSWERS.c.collection, KEPT_ANSWERS.c.question))
            return {(row.collection, row.question) for row in rows}


class TestStanding:
    @pytest.fixture
    def documents(self) -> Documents:
        return Documents()

    @pytest.fixture
    def pinned(self, pins: Pins, documents: Documents) -> PinnedAnswers:
        nothing: Any = None
        return PinnedAnswers(
            pins, nothing, nothing, embedder=nothing, versions=documents, changes=documents
        )

    async def test_it_is_renewed_while_what_it_cites_says_the_same(
        self, pins: Pins, pinned: PinnedAnswers
    ) -> None:
        made = pins.put(pin("p"), AHEAD)
        entry = pins.load("p")
        assert entry is not None
        assert await pinned.stands(entry, 7)
        assert pins.pin("p") == replace(made, changes=7)

    @pytest.mark.parametrize(
        ("now", "why", "left"),
        [
            ({"d1": "v2"}, "document 'd1', which it cites, was changed", "Five days [1]."),
            ({}, "document 'd1', which it cites, is gone", ""),
        ],
    )
    async def test_what_nobody_told_of_is_seen_when_it_is_asked(
        self, pins: Pins, pinned: PinnedAnswers, documents: Documents, now: Any, why: str, left: str
    ) -> None:
        """As after a process that was killed before it could let the pin expire."""
        pins.put(pin("p"), AHEAD)
        entry = pins.load("p")
        assert entry is not None
        documents.now = now
        assert not await pinned.stands(entry, 4)
        [expired] = pins.pins(None, None)
        assert (expired.expired_because, expired.answer.text) == (why, left)

    async def test_one_that_was_removed_meanwhile_is_not_given(
        self, pins: Pins, pinned: PinnedAnswers
    ) -> None:
        pins.put(pin("p"), AHEAD)
        entry = pins.load("p")
        pins.remove("p", None)
        assert entry is not None
        assert not await pinned.stands(entry, 4)

    async def test_only_what_cites_it_and_only_once(
        self, pins: Pins, pinned: PinnedAnswers, documents: Documents
    ) -> None:
        pins.put(pin("p"), AHEAD)
        pins.put(pin("q", "What of fees?", versions={"d2": "v1"}), AHEAD)
        documents.now = {"d1": "v2", "d2": "v1"}
        assert await pinned.expire_made_from("other", ["d1"]) == 0
        assert await pinned.expire_made_from("help", ["d1", "d2"]) == 1
        assert await pinned.expire_made_from("help", ["d1", "d2"]) == 0
        assert [one.expired_at is None for one in pins.pins(None, None)] == [False, True]


class TestOtherWords:
    """By the real model; `place` holds kept answers beside the pins."""

    @pytest.fixture
    async def place(self, state_engine: Engine, embedder: PackagedEmbedder) -> Place:
        made = Place(state_engine, embedder)
        await made.keep(*OTHERS)
        return made

    async def find(self, place: Place, pins: Pins, asked: str, **own: Any) -> Alike | None:
        alike = AlikeQuestions(
            place.entries, place.verdicts, MAX_ERROR, 100, lambda: 0.5, pins=pins
        )
        question = Question(asked, "help", **own)
        [made] = await place.embedder.embed([Passage(asked, "question")])
        return alike.find(binding_of(question, TOKENS, "v1"), question, made.vector)

    async def put(self, place: Place, pins: Pins, made: Pin) -> None:
        [embedding] = await place.embedder.embed([Passage(made.question, "question")])
        pins.put(made, embedding.vector)

    async def test_a_pin_is_found_among_the_kept_answers(self, place: Place, pins: Pins) -> None:
        await self.put(place, pins, pin("p"))
        found = await self.find(place, pins, REWORDED)
        assert found is not None
        assert (found.entry.entry_id, found.decision.action) == ("p", "reuse")
        assert await self.find(place, pins, "How do I not reset my password?") is None
        for own in ({"tenant": "acme"}, {"filters": {"lang": ("en",)}}):
            assert await self.find(place, pins, REWORDED, **own) is None

    async def test_a_kept_answer_that_says_otherwise_speaks_against_it(
        self, place: Place, pins: Pins
    ) -> None:
        await self.put(place, pins, pin("p"))
        await place.keep("How might I reset my password?")
        found = await self.find(place, pins, REWORDED)
        assert found is not None
        assert found.decision.action == "ask"

    async def test_wrong_verdicts_end_its_giving_to_other_words(
        self, place: Place, pins: Pins
    ) -> None:
        await self.put(place, pins, pin("p"))
        for number in range(12):
            found = await self.find(place, pins, REWORDED)
            assert found is not None
            place.verdicts.note_given(f"ans_{number}", found.entry, found.score)
            place.verdicts.observe(f"ans_{number}", is_right=False)
        found = await self.find(place, pins, REWORDED)
        assert found is not None
        assert found.decision.action == "ask"
        assert pins.said_wrong() == {"p": 12}
        assert pins.load("p") is not None


def test_pins_stand_on_every_shelf_of_their_scope_until_they_are_gone() -> None:
    kept = [KeptQuestion(n, f"e{n}", f"b{n % 2}", "q", "s", AHEAD) for n in range(1, 5)]
    pinned = [KeptQuestion(1, "p", "scope", "q", "s", AHEAD)]
    questions = KeptQuestions(
        lambda after: kept[after:],
        100,
        lambda after: [one for one in pinned if one.position > after],
    )

    def names(binding: str, scope: str = "scope") -> set[str]:
        return {one.entry_id for one in questions.nearest(binding, AHEAD, 9, scope)}

    assert names("b0") == {"e2", "e4", "p"}
    assert names("b1") == {"e1", "e3", "p"}
    assert names("b2") == {"p"}, "nothing needs to be kept beside it"
    assert names("b3", "other") == set()
    questions.drop("b0", "p")
    assert names("b0") == {"e2", "e4"}
    assert names("b4") == set()
    pinned.append(KeptQuestion(2, "p2", "scope", "q", "s", AHEAD))
    assert names("b0") == {"e2", "e4", "p2"}


def test_many_pins_do_not_make_the_kept_questions_be_read_anew() -> None:
    asked = []
    pinned = [KeptQuestion(n, f"p{n}", "scope", "q", "s", AHEAD) for n in range(1, 20)]

    def after(position: int) -> list[KeptQuestion]:
        asked.append(position)
        return [] if position else [KeptQuestion(1, "e1", "b", "q", "s", AHEAD)]

    questions = KeptQuestions(after, 10, lambda position: pinned[position:])
    for _ in range(3):
        assert len(questions.nearest("b", AHEAD, 99, "scope")) == 20
    assert asked == [0, 1, 1]


def test_filters_are_equal_in_any_order_and_come_back() -> None:
    one = Question("q", "help", {"lang": ("en", "de"), "year": (2024,)})
    other = Question("q", "help", {"year": (2024,), "lang": ("de", "en")})
    assert filters_of(one) == filters_of(other)
    assert scope_of(one) == scope_of(other) != scope_of(Question("q", "help"))
    assert values_of(filters_of(one)) == {"lang": ("de", "en"), "year": (2024,)}
