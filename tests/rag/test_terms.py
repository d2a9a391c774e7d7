"""The words of a question that carry its meaning."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.terms import content_terms, coverage, question_terms, term_weights, text_terms


class TestQuestionTerms:
    def test_function_words_are_left_out(self) -> None:
        assert question_terms("How do I configure the webhook?") == text_terms("configure webhook")

    def test_a_question_of_function_words_keeps_them(self) -> None:
        assert question_terms("What can you do?") == {"what", "can", "you", "do"}

    @pytest.mark.parametrize("text", ["", "???", "— … 🙂"])
    def test_no_word_no_term(self, text: str) -> None:
        assert question_terms(text) == frozenset()

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            ("configure", "configuration"),
            ("REFUNDS", "refund"),
            ("authenticate", "authentication"),
            ("limits", "limit"),
            ("keys", "key"),
            ("cancelled", "cancel"),
            ("KÜNDIGUNG", "Kündigung"),
        ],
    )
    def test_forms_of_a_word_are_one_term(self, left: str, right: str) -> None:
        assert question_terms(left) == text_terms(right)

    @pytest.mark.parametrize(
        ("left", "right"),
        [("1998", "1999"), ("1000000", "1000001"), ("TW-409", "TW-408"), ("8080", "80801")],
    )
    def test_numbers_are_compared_whole(self, left: str, right: str) -> None:
        assert question_terms(left) != text_terms(right)

    @pytest.mark.parametrize(
        ("left", "right"), [("invoice", "voice"), ("import", "export"), ("owner", "won")]
    )
    def test_other_words_are_other_terms(self, left: str, right: str) -> None:
        assert not question_terms(left) & text_terms(right)

    def test_an_apostrophe_does_not_cut_a_word(self) -> None:
        assert len(text_terms("don't")) == len(text_terms("don’t")) == 1

    def test_a_name_of_code_is_cut_at_its_marks(self) -> None:
        assert text_terms("scrape_interval, rag.toml") == text_terms("scrape interval rag toml")


class TestContentTerms:
    def test_only_words_that_carry_meaning(self) -> None:
        assert content_terms("The Bank of England") == text_terms("bank england")

    @pytest.mark.parametrize("text", ["", "The", "what I do", "— 🙂"])
    def test_there_may_be_none(self, text: str) -> None:
        assert content_terms(text) == frozenset()

    @pytest.mark.parametrize("text", ["How do I configure it?", "Größe der Datei", "limits"])
    def test_where_there_are_some_they_are_those_of_a_question(self, text: str) -> None:
        assert content_terms(text) == question_terms(text) != frozenset()


class TestWeights:
    def test_rare_words_weigh_more(self) -> None:
        texts = [{"refund", "days"}, {"refund"}, {"refund"}]
        weights = term_weights({"refund", "days"}, texts)
        idf = {"refund": math.log(1 + 0.5 / 3.5), "days": math.log(1 + 2.5 / 1.5)}
        total = sum(idf.values())
        assert weights == pytest.approx({term: one / total for term, one in idf.items()})
        assert weights["days"] > weights["refund"]

    def test_they_sum_to_one(self) -> None:
        weights = term_weights({"a", "b", "c"}, [{"a"}, {"a", "b"}, set()])
        assert sum(weights.values()) == pytest.approx(1)

    def test_no_terms(self) -> None:
        assert term_weights(frozenset(), [{"a"}]) == {}

    def test_no_texts(self) -> None:
        assert term_weights({"a", "b"}, []) == pytest.approx({"a": 0.5, "b": 0.5})

    def test_coverage_is_the_weight_that_is_there(self) -> None:
        weights = {"refund": 0.3, "days": 0.7}
        assert coverage(weights, {"days", "other"}) == pytest.approx(0.7)
        assert coverage(weights, {"refund", "days"}) == pytest.approx(1)
        assert coverage(weights, set()) == 0
        assert coverage({}, {"days"}) == 0


def test_many_threads_cut_words_as_one_does() -> None:
    """Stemmers keep the word that they work on; questions are answered side by side."""
    texts = [f"configurations{n} cancelled{n} limits{n} payments keys" for n in range(300)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(text_terms, texts))
    assert together == [text_terms(text) for text in texts]
    assert together[7] >= {"key", "payment"}
