"""Which lessons are worth training on."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.distilling.choosing import Choice, Rules, choose
from generation.distilling.lessons import JudgedLesson
from generation.writing.prompt import NO_ANSWER

USUAL = Rules()


def lesson(name: str, **own: object) -> JudgedLesson:
    plain: dict[str, object] = {
        "answer_id": name, "at": f"2026-10-05T{name}", "question": f"What of {name}?",
        "answer": f"Answer {name} [1].", "evidence": f"evidence {name}", "is_abstained": False,
        "was_given": True, "confidence": 0.9, "is_right": None,
    }  # fmt: skip
    return JudgedLesson(**(plain | own))  # type: ignore[arg-type]


def abstention(name: str, **own: object) -> JudgedLesson:
    return lesson(name, answer=NO_ANSWER, is_abstained=True, confidence=0.0, **own)


def taken(*lessons: JudgedLesson, rules: Rules = USUAL) -> str:
    return "".join(one.answer_id for one in choose(lessons, rules).lessons)


def left_out(*lessons: JudgedLesson, rules: Rules = USUAL) -> dict[str, int]:
    return dict(choose(lessons, rules).left_out)


class TestFit:
    def test_what_is_left_out_and_why(self) -> None:
        lessons = [
            lesson("a"),
            lesson("b", was_given=False, is_right=True),
            lesson("c", is_right=False, confidence=0.99),
            lesson("d", confidence=0.69),
            lesson("e", confidence=0.7),
            lesson("f", confidence=0.1, is_right=True),
            lesson("g", question="What of a?", evidence="evidence a"),
        ]
        assert taken(*lessons) == "efg"
        assert left_out(*lessons) == {
            "another answer was given": 1,
            "judged wrong": 1,
            "below the confidence": 1,
            "duplicate": 1,
        }

    def test_only_what_somebody_found_right(self) -> None:
        rules = Rules(verified_only=True)
        lessons = [lesson("a"), lesson("b", is_right=True), lesson("c", is_right=False)]
        assert taken(*lessons, rules=rules) == "b"
        assert left_out(*lessons, rules=rules) == {"not judged right": 1, "judged wrong": 1}

    def test_what_is_wrong_does_not_stand_for_what_is_right(self) -> None:
        same = {"question": "What?", "evidence": "e", "answer": "a"}
        assert taken(lesson("a", **same), lesson("b", is_right=False, **same)) == "a"


class TestDuplicates:
    @pytest.mark.parametrize(
        "same",
        [
            {"question": "what of it", "evidence": "e"},
            {"question": "what of it", "answer": "a"},
            {"evidence": "e", "answer": "a"},
        ],
        ids=["question and context", "question and answer", "context and answer"],
    )
    def test_two_of_three_make_one(self, same: dict[str, object]) -> None:
        assert taken(lesson("a", **same), lesson("b", **same)) == "b"

    @pytest.mark.parametrize("same", [{"question": "x"}, {"evidence": "e"}, {"answer": "a"}])
    def test_one_of_three_does_not(self, same: dict[str, object]) -> None:
        assert taken(lesson("a", **same), lesson("b", **same)) == "ab"

    def test_questions_are_compared_without_their_manners(self) -> None:
        asked = ["Hello, when do you open, please?", "When do you open?"]
        first, second = (
            lesson(n, question=q, answer="a") for n, q in zip("ab", asked, strict=True)
        )
        assert taken(first, second) == "b"

    def test_abstentions_on_one_context_are_not_the_same(self) -> None:
        answers = [lesson(str(n)) for n in range(9)]
        one, two = abstention("x", evidence="e"), abstention("y", evidence="e")
        assert taken(*answers, one, two).endswith("xy")
        again = abstention("z", question="Please, what of x?", evidence="other")
        assert taken(*answers, one, again).endswith("8z")

    def test_one_that_was_found_right_stays_then_the_newest(self) -> None:
        same = {"question": "What?", "evidence": "e"}
        assert taken(lesson("a", is_right=True, **same), lesson("b", **same)) == "a"
        assert taken(lesson("a", confidence=1.0, **same), lesson("b", **same)) == "b"
        at = {"at": "2026-10-05", **same}
        assert taken(lesson("a", confidence=1.0, **at), lesson("b", **at)) == "a"


class TestAbstentions:
    @pytest.mark.parametrize(
        ("answers", "share", "most"),
        [
            (8, 0.2, 2),
            (7, 0.2, 1),
            (80, 0.2, 20),
            (9, 0.1, 1),
            (9, 0.0, 0),
            (0, 0.2, 0),
            (1, 0.9, 9),
        ],
    )
    def test_they_are_at_most_their_share(self, answers: int, share: float, most: int) -> None:
        lessons = [lesson(f"a{n}") for n in range(answers)]
        lessons += [abstention(f"b{n:02}") for n in range(30)]
        choice = choose(lessons, Rules(max_abstentions=share))
        found = [one for one in choice.lessons if one.is_abstained]
        assert len(found) == most
        assert choice.left_out["abstentions above their share"] == 30 - most
        assert [one.answer_id for one in found] == [f"b{n:02}" for n in range(30 - most, 30)]

    def test_those_that_were_found_right_come_first(self) -> None:
        answers = [lesson(str(n)) for n in range(4)]
        found = taken(*answers, abstention("x", is_right=True), abstention("y"))
        assert found.endswith("x")


@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_it_does_not_matter_in_which_order_they_come(chance: random.Random, count: int) -> None:
    lessons: Sequence[JudgedLesson] = [
        JudgedLesson(
            answer_id=f"{number:02}",
            at=f"2026-10-0{chance.randrange(1, 4)}",
            question=chance.choice("abc"),
            answer=NO_ANSWER if (is_abstained := chance.random() < 0.3) else chance.choice("xyz"),
            evidence=chance.choice("def"),
            is_abstained=is_abstained,
            was_given=chance.random() < 0.9,
            confidence=chance.choice([0.2, 0.8, 0.9]),
            is_right=chance.choice([True, False, None]),
        )
        for number in range(count)
    ]

    def chosen(some: Sequence[JudgedLesson]) -> Choice:
        return choose(some, Rules())

    first = chosen(lessons)
    assert first == chosen(chance.sample(lessons, len(lessons)))
    assert len(first.lessons) + sum(first.left_out.values()) == count
    assert all(one.is_right is not False and one.was_given for one in first.lessons)
    pairs = [(one.question, one.evidence) for one in first.lessons]
    assert len(set(pairs)) == len(pairs)
