"""Clauses: where a sentence is cut, and that nothing of it is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compression.clauses import clauses_of
from rag.types import Span

WORDS = st.sampled_from(
    "shop, opened; which and (in (1987) – - : the of a)b for 日本語、 استرداد 🙂 ``` | naïve "
    "e.g. 3.14 in, \u200b".split(" ")
)
SPACES = st.sampled_from([" ", "  ", "\n", "\t", "\u00a0", "\u2028"])
TEXTS = st.one_of(
    st.lists(st.tuples(WORDS, SPACES), max_size=60).map(lambda pairs: "".join(map("".join, pairs))),
    st.text(max_size=200),
).map(str.strip)


def cut(text: str, start: int = 0) -> list[str]:
    """The clauses as texts, of a sentence that begins at `start` of its document."""
    spans = clauses_of(text, Span(start, start + len(text)))
    return [text[span.start - start : span.end - start] for span in spans]


@settings(max_examples=300)
@given(TEXTS, st.integers(0, 1_000))
@example("", 7)
def test_clauses_tile_the_sentence_but_for_spaces(text: str, start: int) -> None:
    spans = list(clauses_of(text, Span(start, start + len(text))))
    assert spans[0].start == start
    assert spans[-1].end == start + len(text)
    for left, right in pairwise(spans):
        assert left.start < left.end < right.start
        assert text[left.end - start : right.start - start].isspace()
    assert "".join("".join(cut(text)).split()) == "".join(text.split())
    assert all(clause == clause.strip() for clause in cut(text))


@given(TEXTS)
def test_no_clause_of_a_cut_sentence_is_a_scrap(text: str) -> None:
    clauses = cut(text)
    assert len(clauses) == 1 or all(len(clause.split()) >= 6 for clause in clauses)


def test_behind_marks_and_before_words_that_open_a_clause() -> None:
    text = (
        "The shop on the corner opened its doors, after the council had argued about the noise; "
        "it was closed and sold again (so the owner says today) which nobody minds – or hardly a "
        "man in town."
    )
    assert cut(text) == [
        "The shop on the corner opened its doors,",
        "after the council had argued about the noise;",
        "it was closed and sold again",
        "(so the owner says today) which nobody minds",
        "– or hardly a man in town.",
    ]


def test_what_would_be_a_scrap_stays_with_its_neighbour() -> None:
    text = "The shop on the corner opened its doors (so the owner says today) when it was sold."
    assert cut(text) == [
        "The shop on the corner opened its doors",
        "(so the owner says today) when it was sold.",
    ]


def test_fourteen_words_stay_whole_and_fifteen_do_not() -> None:
    fourteen = "one two three four five six, seven eight nine ten eleven twelve thirteen fourteen"
    assert cut(fourteen) == [fourteen]
    assert cut(f"{fourteen} fifteen") == [
        "one two three four five six,",
        "seven eight nine ten eleven twelve thirteen fourteen fifteen",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "no place to cut " * 10,
        "没有收据不能退款、请保留收据三十天、商店每天营业到晚上八点、周日商店关门休息一天。",
        "هل تريد استرداد أموالك " * 8,
        "A" * 5_000,
    ],
)
def test_a_text_without_a_place_to_cut_stays_whole(text: str) -> None:
    assert cut(text.strip()) == [text.strip()]


def test_an_opening_word_inside_another_word_cuts_nothing() -> None:
    text = "one two three four five six seven inside android format atlas eleven twelve is was it"
    assert cut(text) == [text]


@pytest.mark.parametrize("run", [" " * 50_000, "and " * 12_000, ", " * 25_000, "( " * 25_000])
def test_long_runs_take_no_time(run: str) -> None:
    """A search that begins anew from each space of a run would take minutes."""
    text = (
        f"one two three four five six seven eight nine ten eleven twelve thirteen{run} end of it."
    )
    assert "".join("".join(cut(text)).split()) == "".join(text.split())
