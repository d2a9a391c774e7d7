"""Measures against values worked out by hand, and against the libraries that define them."""

from __future__ import annotations

import math
import random
from decimal import Decimal

import ir_measures
import numpy as np
import pytest
from evaluation_fakes import make_record
from sklearn.metrics import roc_auc_score

from evaluation.measures.confidence import (
    auroc,
    expected_calibration_error,
    reliability,
    trade_off,
)
from evaluation.measures.judging import fault_of, is_right
from evaluation.measures.places import covered, overlapping, within
from evaluation.measures.ranking import ndcg, recall, reciprocal_rank
from evaluation.measures.table import MEASURES, observe, value
from evaluation.measures.wording import exact_match, holds, token_f1, words
from evaluation.questions import EvaluationQuestion, Place

ASKED = EvaluationQuestion("q", "q?")


def test_measures_of_a_ranking_by_hand() -> None:
    ranked = ["a", "x", "b", "y"]
    gold = ("a", "b", "c")
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(ranked, gold, 10) == pytest.approx((1 + 1 / math.log2(4)) / ideal)
    assert ndcg(ranked, gold, 2) == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert recall(ranked, gold, 1) == pytest.approx(1 / 3)
    assert recall(ranked, gold, 10) == pytest.approx(2 / 3)
    assert reciprocal_rank(ranked, ("b",)) == pytest.approx(1 / 3)
    assert reciprocal_rank(ranked, ("z",)) == 0


def test_measures_of_a_ranking_are_those_of_ir_measures() -> None:
    chooser = random.Random(1)
    names = [f"d{number}" for number in range(40)]
    for _ in range(50):
        ranked = chooser.sample(names, chooser.randint(1, 30))
        gold = chooser.sample(names, chooser.randint(1, 15))
        run = {"q": {name: 100.0 - rank for rank, name in enumerate(ranked)}}
        qrels = {"q": dict.fromkeys(gold, 1)}
        wanted = ir_measures.calc_aggregate(
            [ir_measures.nDCG @ 10, ir_measures.R @ 5, ir_measures.RR], qrels, run
        )
        assert ndcg(ranked, gold, 10) == pytest.approx(wanted[ir_measures.nDCG @ 10])
        assert recall(ranked, gold, 5) == pytest.approx(wanted[ir_measures.R @ 5])
        assert reciprocal_rank(ranked, gold) == pytest.approx(wanted[ir_measures.RR])


def test_several_chunks_of_a_document_count_where_the_best_stands() -> None:
    hits = (Place("a", 0, 9), Place("b", 0, 9), Place("a", 9, 20), Place("c", 0, 9))
    assert make_record(hits=hits).ranked_documents == ["a", "b", "c"]


def test_words_are_compared_as_squad_compares_them() -> None:
    assert words("The answer: An  APPLE, a pear. [12]") == ["answer", "apple", "pear"]
    assert exact_match("The Eiffel Tower! [1]", ["eiffel tower"]) == 1
    assert exact_match("Eiffel Tower in Paris", ["eiffel tower"]) == 0
    assert token_f1("the cat sat", ["a cat sat down"]) == pytest.approx(2 * 2 / 5)
    assert token_f1("cat", ["dog", "cat"]) == 1
    assert token_f1("", ["dog"]) == 0
    assert holds("They paid 1,000 euros.", ["1000 Euros"])
    assert not holds("They paid 11000 euros.", ["1000 euros"]), "whole words only"
    assert not holds("anything", ["the"]), "an answer without words stands nowhere"


def test_spans_are_counted_in_characters_each_once() -> None:
    gold = [Place("d", 0, 10), Place("d", 5, 20)]
    assert covered(gold, [Place("d", 0, 5), Place("d", 0, 5), Place("e", 5, 20)]) == 5 / 20
    assert covered(gold, []) == 0
    cited = [Place("d", 19, 30), Place("d", 20, 30), Place("e", 0, 9)]
    assert overlapping(cited, gold) == pytest.approx(1 / 3)
    assert within(cited, {"e"}) == pytest.approx(1 / 3)


def test_auroc_is_that_of_scikit_learn_ties_included() -> None:
    chooser = np.random.default_rng(1)
    for _ in range(20):
        rows = np.column_stack([chooser.integers(0, 8, 60) / 8, chooser.integers(0, 2, 60)]).astype(
            float
        )
        assert auroc(rows) == pytest.approx(roc_auc_score(rows[:, 1], rows[:, 0]))
    assert auroc(np.array([[0.5, 1.0], [0.7, 1.0]])) is None


def test_calibration_by_hand() -> None:
    rows = np.array([[0.95, 1], [0.91, 0], [1.0, 1], [0.25, 0]], dtype=float)
    gap = abs((0.95 + 0.91 + 1.0) - 2) + 0.25
    assert expected_calibration_error(rows) == pytest.approx(gap / 4)
    low, high = reliability(rows)
    assert (low.n, low.right, low.low) == (1, 0, 0.2)
    assert (high.n, high.right, high.high) == (3, pytest.approx(2 / 3), 1.0)
    points = trade_off(rows, asked=8)
    assert [(point.answered, point.right) for point in points][:2] == [(0.5, 0.5), (3 / 8, 2 / 3)]


def test_right_is_what_holds_a_reference_or_cites_a_span() -> None:
    with_answer = EvaluationQuestion("q", "q?", answers=("14 days",))
    assert is_right(with_answer, make_record()) is True
    assert is_right(with_answer, make_record(answer="In 3 days.")) is False
    assert is_right(with_answer, make_record(status="abstained")) is None
    with_span = EvaluationQuestion("q", "q?", documents=("d",), spans=(Place("d", 20, 30),))
    assert is_right(with_span, make_record()) is True
    assert is_right(with_span, make_record(citations=(Place("d", 0, 20),))) is False
    assert is_right(EvaluationQuestion("q", "q?", documents=("d",)), make_record()) is None
    assert is_right(EvaluationQuestion("q", "q?", answerable=False), make_record()) is False


def test_what_lacks_gold_is_unknown_and_never_zero() -> None:
    record = make_record(usd=None, baseline_usd=None, ms={})
    told = {one.name: value(one.name, [ASKED], [record]) for one in MEASURES}
    assert {name for name, figure in told.items() if figure is not None} == {"context tokens"}


def test_each_measure_stands_on_the_questions_that_have_its_gold() -> None:
    questions = [
        EvaluationQuestion("with", "?", answers=("14 days",)),
        EvaluationQuestion("without", "?"),
        EvaluationQuestion("refused", "?", answers=("14 days",)),
        EvaluationQuestion("none", "?", answerable=False),
    ]
    silent = {"status": "abstained", "answer": "The documents do not say.", "citations": ()}
    records = [
        make_record("with"),
        make_record("without"),
        make_record("refused", **silent),
        make_record("none", confidence=0.1, **silent),
    ]
    by_name = {one.name: one for one in MEASURES}

    def seen(name: str) -> dict[str, tuple[float, ...]]:
        return observe(by_name[name], questions, records)

    assert seen("token F1") == {"with": (pytest.approx(4 / 6),), "refused": (0,)}
    assert seen("right when answered") == {"with": (1,)}
    assert seen("answered") == {"with": (1,), "refused": (0,)}
    assert seen("refused rightly") == {"none": (1,)}
    assert seen("abstention AUROC") == {"with": (0.8, 1), "refused": (0.8, 1), "none": (0.1, 0)}
    assert seen("citation precision") == {}
    assert value("abstention AUROC", questions, records) == 1
    assert value("retrieve ms, median", questions, records) == 2


def test_dollars_that_are_unknown_are_left_out_of_the_mean() -> None:
    questions = [ASKED, EvaluationQuestion("r", "r?")]
    records = [make_record(usd=None), make_record("r", usd=Decimal("0.002"))]
    assert value("cost", questions, records) == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("question", "fields", "words"),
    [
        ({"answerable": False}, {}, "answered, though the documents do not answer it"),
        ({"answers": ("9",), "documents": ("d",)}, {}, "answered wrong: gold document at rank 1"),
        ({"answers": ("9",), "documents": ("e",)}, {}, "wrong: no gold document among 1 hits"),
        (
            {"answers": ("14 days",), "documents": ("d",)},
            {"status": "abstained"},
            "refused, though answerable: gold document at rank 1, answer in the context",
        ),
        (
            {"documents": ("d",), "spans": (Place("d", 40, 60),)},
            {"status": "abstained"},
            "50% of the gold span in the context",
        ),
        ({"documents": ("e",)}, {"hits": (Place("d", 0, 5), Place("e", 0, 5))}, "at rank 2"),
    ],
)
def test_a_fault_names_the_stage_that_lost_the_gold(question, fields, words) -> None:
    fault = fault_of(EvaluationQuestion("q", "q?", **question), make_record(**fields))
    assert fault is not None
    assert words in fault.why


def test_what_is_right_has_no_fault() -> None:
    right = EvaluationQuestion("q", "q?", answers=("14 days",), documents=("d",))
    assert fault_of(right, make_record()) is None
    assert fault_of(ASKED, make_record()) is None
