"""How useful a part is: its signals by hand, and what the bundled weights make of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_hits import BY_COSINE, hit_of, hits_of

from compression.usefulness import SIGNALS, Usefulness, signals
from rag.types import Hit, Question

RECORD = json.loads(files("compression").joinpath("usefulness.json").read_text())
BUNDLED = Usefulness.bundled()
LONG = (
    "The shop on the corner opened its doors to the public in the year 1987, "
    "after the town council had argued about the noise for several months."
)


def rows(question: str, hits: Sequence[Hit]) -> list[dict[str, float]]:
    """The signals of each clause, by name."""
    _, found = signals(Question(question, "help"), hits)
    return [dict(zip(SIGNALS, row, strict=True)) for row in found.tolist()]


def column(name: str, question: str, hits: Sequence[Hit]) -> list[float]:
    return [row[name] for row in rows(question, hits)]


class TestRecord:
    def test_there_is_a_weight_for_each_signal_and_no_other(self) -> None:
        assert set(RECORD["weights"]) == set(SIGNALS)
        assert all(np.isfinite([RECORD["intercept"], *RECORD["weights"].values()]))

    def test_it_says_what_it_was_fitted_on(self) -> None:
        assert RECORD["what"]
        assert all(count >= 1_000 for count in RECORD["fitted_on"].values())

    def test_a_missing_weight_is_no_silent_zero(self) -> None:
        with pytest.raises(KeyError, match="opens_document"):
            Usefulness(0, {name: 1 for name in SIGNALS if name != "opens_document"})


class TestSignals:
    def test_parts_are_the_clauses_in_order(self) -> None:
        hits = [hit_of(f"It is so. {LONG}", "a"), hit_of("Not so.", "b")]
        parts, found = signals(Question("When?", "help"), hits)
        assert found.shape == (4, len(SIGNALS))
        assert found.dtype == np.float64
        assert [(p.rank, p.position, p.text) for p in parts] == [
            (0, 0, "It is so."),
            (0, 1, "The shop on the corner opened its doors to the public"),
            (0, 1, LONG[LONG.index("in the year") :]),
            (1, 0, "Not so."),
        ]

    def test_cosines_are_those_of_the_sentence_for_each_of_its_clauses(self) -> None:
        hits = [hit_of(f"It is so. {LONG}", scores=[0.3, 0.8])]
        assert column("sentence_cosine", "When?", hits) == [0.3, 0.8, 0.8]

    def test_a_hit_without_sentence_scores_has_its_own_for_all(self) -> None:
        bare = replace(hit_of("One is here. Two is here."), sentence_scores=(), dense_score=0.4)
        assert column("sentence_cosine", "When?", [bare]) == [0.4, 0.4]

    def test_gaps_are_those_to_the_best_hit_wherever_it_ranks(self) -> None:
        one, two = hit_of("One is here.", "a"), hit_of("Two is here.", "b")
        one, two = (
            replace(one, dense_score=0.5, score=0.9),
            replace(two, dense_score=0.7, score=0.6),
        )
        assert column("cosine_gap", "x", [one, two]) == pytest.approx([-0.2, 0.0])
        assert column("score_gap", "x", [one, two]) == pytest.approx([0.0, -0.3])

    def test_terms_that_the_heading_says_are_not_looked_for(self) -> None:
        hits = [hit_of("They take five days. Cards are charged.", prefix="Refunds")]
        asked = "How many days do refunds take?"  # days; "take" is in both of the hits' halves
        by_name = rows(asked, hits)
        assert by_name[0]["new_terms"] == pytest.approx(1)
        assert by_name[1]["new_terms"] == pytest.approx(0)
        assert [row["chunk_new_terms"] for row in by_name] == pytest.approx([1, 1])

    def test_rare_terms_weigh_more(self) -> None:
        texts = ["Refunds are here.", "Refunds of cards.", "Refunds for all. Samarkand is far."]
        hits = [hit_of(text, f"doc{n}", prefix="") for n, text in enumerate(texts)]
        *_, common, rare = column("new_terms", "refunds to Samarkand", hits)
        assert 0 < common < 0.5 < rare < 1
        assert common + rare == pytest.approx(1)

    @pytest.mark.parametrize("asked", ["", "???", "🙂"])
    def test_where_nothing_is_looked_for_all_have_it(self, asked: str) -> None:
        assert column("new_terms", asked, [hit_of("It is so. It is not so.")]) == [1, 1]

    def test_a_question_that_the_heading_says_whole_asks_for_nothing_new(self) -> None:
        hits = [hit_of("They take five days. So do we.", prefix="Refunds")]
        assert column("new_terms", "refunds?", hits) == [1, 1]

    def test_a_question_of_stop_words_only_looks_for_those(self) -> None:
        hits = [hit_of("What you can do. Something else.", prefix="")]
        assert column("new_terms", "What can you do?", hits) == pytest.approx([1, 0])

    def test_the_kind_in_the_clause_and_in_its_chunk(self) -> None:
        hits = [hit_of("It opened in 1987. It is red.", "a"), hit_of("It is blue.", "b")]
        assert column("holds_kind", "When was it?", hits) == [1, 0, 0]
        assert column("chunk_holds_kind", "When was it?", hits) == [1, 1, 0]
        assert column("wants_no_kind", "When was it?", hits) == [0, 0, 0]
        assert column("holds_kind", "What is it?", hits) == [0, 0, 0]
        assert column("wants_no_kind", "What is it?", hits) == [1, 1, 1]

    def test_words_up_to_forty(self) -> None:
        hits = [hit_of("Word " * 20 + "end. " + "Word " * 99 + "end. One.")]
        assert column("words", "x", hits) == pytest.approx([21 / 40, 1, 1 / 40])

    def test_openings(self) -> None:
        first, second = hits_of([f"It is so. {LONG} ", "Not so."])
        assert column("opens_sentence", "x", [first, second]) == [1, 1, 0, 1]
        assert column("opens_document", "x", [first, second]) == [1, 0, 0, 0]
        assert column("opens_document", "x", [second]) == [0]

    def test_no_hits_and_hits_without_a_sentence(self) -> None:
        for hits in ([], [hit_of(" \n ")], [hit_of("| a | b |\n|---|---|")]):
            parts, found = signals(Question("When?", "help"), hits)
            assert parts == []
            assert found.shape == (0, len(SIGNALS))
            assert BUNDLED.estimate(Question("When?", "help"), hits) == []


WORDS = st.sampled_from(
    "refund Paris 1987 days: the of who, and - # ``` | 没有收据。 استرداد 🙂 e.g. \n\n".split(" ")
)
TEXTS = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)
QUESTIONS = st.one_of(TEXTS, st.sampled_from(["", "who", "when was it", "How many days?", "the"]))
COSINES = st.floats(-1, 1)


@st.composite
def any_hits(draw: st.DrawFn) -> list[Hit]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        hit = hit_of(draw(TEXTS), f"doc{number}", draw(st.sampled_from(["", "Title", "refund"])))
        scores = tuple(draw(COSINES) for _ in hit.chunk.sentences)
        dense, score = draw(COSINES), draw(st.floats(0, 1))
        made.append(replace(hit, dense_score=dense, score=score, sentence_scores=scores))
    return made


@settings(max_examples=100)
@given(QUESTIONS, any_hits())
def test_signals_are_in_range_and_estimates_are_probabilities(
    question: str, hits: list[Hit]
) -> None:
    for row in rows(question, hits):
        for name in SIGNALS:
            low = {"sentence_cosine": -1, "cosine_gap": -2, "score_gap": -1}.get(name, 0)
            high = 0 if name.endswith("_gap") else 1
            assert low - 1e-9 <= row[name] <= high + 1e-9, name
        assert row["holds_kind"] <= row["chunk_holds_kind"] <= 1 - row["wants_no_kind"]
        assert row["new_terms"] <= row["chunk_new_terms"] + 1e-9
    estimates = BUNDLED.estimate(Question(question, "help"), hits)
    assert all(0 < usefulness < 1 for _, usefulness in estimates)
    assert len({(part.rank, part.span) for part, _ in estimates}) == len(estimates)


class TestEstimate:
    def estimate(self, question: str, *hits: Hit) -> list[float]:
        return [value for _, value in BUNDLED.estimate(Question(question, "help"), hits)]

    def test_by_hand(self) -> None:
        [(_, usefulness)] = BY_COSINE.estimate(
            Question("x", "help"), [hit_of("One is here.", scores=[0.5])]
        )
        assert usefulness == pytest.approx(0.5)

    @pytest.mark.parametrize("intercept", [1e9, -1e9])
    def test_extremes_do_not_overflow(self, intercept: float) -> None:
        extreme = Usefulness(intercept, dict.fromkeys(SIGNALS, 0.0))
        [(_, usefulness)] = extreme.estimate(Question("x", "help"), [hit_of("One is here.")])
        assert usefulness == pytest.approx(float(intercept > 0))

    @pytest.mark.parametrize("low", [-0.5, 0.0, 0.5])
    def test_a_higher_cosine_is_more_useful(self, low: float) -> None:
        text = "It takes five days. It takes six days."
        less, more = self.estimate("How long?", hit_of(text, scores=[low, low + 0.3]))
        assert less < more

    @pytest.mark.parametrize("field", ["score", "dense_score"])
    def test_a_better_hit_is_more_useful(self, field: str) -> None:
        def made(name: str, value: float) -> Hit:
            fields: dict[str, Any] = {"score": 0.5, "dense_score": 0.5, field: value}
            return replace(hit_of("It takes five days.", name), **fields)

        better, worse = self.estimate("How long?", made("a", 0.8), made("b", 0.4))
        assert better > worse

    def test_the_words_of_the_question_and_the_kind_of_its_answer_make_it_more_useful(self) -> None:
        text = "It is known to all. The bridge was opened in 1987. The bridge was opened by then."
        hit = hit_of(text, prefix="", scores=[0.5] * 3)
        neither, both, words = self.estimate("When was the bridge opened?", hit)
        assert both > words > neither
