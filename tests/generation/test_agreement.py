"""Whether two answers say the same, and whether one says that it does not know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.confidence.agreement import agreement
from generation.confidence.doubt import hedging_phrases, unknowing_phrases

WHO = "who designed the garden city of New Earswick"
HOW_LONG = "How long may I send the goods back?"


class TestAgreement:
    def test_a_name_alone_agrees_with_a_sentence_that_gives_it(self) -> None:
        said = agreement(
            WHO, "Raymond Unwin", "New Earswick was designed by Raymond Unwin, a planner.", "en"
        )
        assert said.words == 1
        assert said.numbers is None

    def test_words_of_the_question_are_no_agreement(self) -> None:
        said = agreement(
            WHO,
            "The garden city of New Earswick was designed by Raymond Unwin.",
            "The garden city of New Earswick was designed by Ebenezer Howard.",
            "en",
        )
        assert said.words == 0
        assert said.names == 0

    def test_another_number_in_the_same_words(self) -> None:
        said = agreement(
            HOW_LONG, "You have 30 days after delivery.", "You have 14 days after delivery.", "en"
        )
        assert said.numbers == 0
        assert said.words is not None
        assert 0 < said.words < 1
        same = agreement(HOW_LONG, "30 days.", "Within 30 days after delivery.", "en")
        assert same.numbers == 1

    def test_a_not_more(self) -> None:
        said = agreement(
            "Is the invoice sent by post?",
            "Invoices are stored and printed.",
            "Invoices are not stored or printed.",
            "en",
        )
        same = agreement(
            "Is the invoice sent by post?",
            "Invoices are not stored.",
            "Invoices are not stored here.",
            "en",
        )
        assert said.polarity == 0
        assert same.polarity == 1

    def test_nothing_to_compare(self) -> None:
        said = agreement(WHO, "", "Raymond Unwin", "en")
        assert (said.words, said.names, said.numbers, said.polarity) == (None,) * 4

    @given(st.text(max_size=60), st.text(max_size=60))
    def test_the_order_makes_no_difference_and_all_is_a_share(
        self, first: str, second: str
    ) -> None:
        said = agreement(WHO, first, second, None)
        assert said == agreement(WHO, second, first, None)
        for share in (said.words, said.names, said.numbers, said.polarity):
            assert share is None or 0 <= share <= 1


class TestDoubt:
    @pytest.mark.parametrize(
        "answer",
        [
            "I'm sorry, I don't know.",
            "I couldn’t find any information on that.",
            "As an AI language model, I cannot tell.",
            "It is not known who did.",
            "There is no record of it; please provide more context.",
        ],
    )
    def test_unknowing(self, answer: str) -> None:
        assert unknowing_phrases(answer) > 0

    def test_hedging(self) -> None:
        assert hedging_phrases("It may be about 30, however it depends.") == 4

    @pytest.mark.parametrize("answer", ["", "Raymond Unwin", "The fee is 30 dollars a month."])
    def test_a_plain_answer_has_no_doubt(self, answer: str) -> None:
        assert unknowing_phrases(answer) == hedging_phrases(answer) == 0
