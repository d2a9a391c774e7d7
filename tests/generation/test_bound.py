"""The bound on wrong reuses: what is proposed, when it is given again, and what verdicts teach."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.reuse.bound import Bound, Candidate, Proposal, Verdict, propose
from rag.errors import RangeError

CLEAR = Proposal("a", 0.9999)
LIKELY = Proposal("a", 0.97)
NOT_DRAWN, DRAWN = 0.5, 0.001
chances = st.floats(0, 1)


def verdicts(count: int, wrong_share: float, score: float = 0.97) -> Iterator[Verdict]:
    """So many verdicts at one score, each on an answer of its own."""
    drawn = random.Random(1)
    for number in range(count):
        yield Verdict(f"other {number}", score, drawn.random() >= wrong_share)


def mixed(count: int, seed: int) -> Iterator[Verdict]:
    """Verdicts at all scores, each as often right as its score says."""
    drawn = random.Random(seed)
    for number in range(count):
        score = drawn.random()
        yield Verdict(str(number), score, drawn.random() < score)


def test_the_answer_that_most_speaks_for_is_proposed() -> None:
    alone = propose([Candidate("a", 0.9)])
    assert alone is not None
    assert alone.answer == "a"
    assert alone.score == pytest.approx(0.9)


def test_questions_with_the_same_answer_speak_for_it_together() -> None:
    one = propose([Candidate("a", 0.9), Candidate("b", 0.8), Candidate("b", 0.8)])
    both = propose([Candidate("a", 0.9), Candidate("b", 0.85), Candidate("b", 0.85)])
    assert one is not None
    assert both is not None
    assert one.answer == "a"  # odds of 9 against 8
    assert both.answer == "b"  # odds of 9 against 11.3


def test_another_answer_close_by_makes_a_proposal_less_likely() -> None:
    alone, beside = (
        propose([Candidate("a", 0.99), *rivals]) for rivals in ([], [Candidate("b", 0.98)])
    )
    assert alone is not None
    assert beside is not None
    assert beside.answer == "a"
    assert beside.score < 0.7 < 0.98 < alone.score


def test_a_question_that_differs_is_heard_and_its_answer_not_given() -> None:
    differs = Candidate("b", 0.999, may_be_given=False)
    assert propose([differs]) is None
    beside = propose([Candidate("a", 0.99), differs])
    assert beside is not None
    assert beside.answer == "a"
    assert beside.score < 0.1


def test_a_question_that_differs_speaks_for_an_answer_that_another_one_may_give() -> None:
    proposal = propose([Candidate("a", 0.9), Candidate("a", 0.95, may_be_given=False)])
    assert proposal is not None
    assert proposal.score > 0.95


def test_without_candidates_nothing_is_proposed() -> None:
    assert propose([]) is None


def test_of_equal_answers_the_first_by_name_is_proposed() -> None:
    proposal = propose([Candidate("b", 0.9), Candidate("a", 0.9)])
    assert proposal is not None
    assert proposal.answer == "a"


def test_before_any_verdict_only_what_is_clear_is_reused() -> None:
    bound = Bound(0.01)
    assert bound.decide(CLEAR, NOT_DRAWN).action == "reuse"
    assert bound.decide(LIKELY, NOT_DRAWN).action == "ask"
    assert bound.decide(Proposal("a", 1.0), NOT_DRAWN).action == "reuse"
    assert bound.decide(Proposal("a", 0.0), NOT_DRAWN).action == "ask"


def test_a_decision_says_why_with_its_numbers() -> None:
    asked = Bound(0.01).decide(LIKELY, NOT_DRAWN)
    assert asked.chance_wrong > 0.01
    assert f"{asked.chance_wrong:.2%}" in asked.why
    assert "the limit is 1.00%" in asked.why


def test_a_limit_of_0_reuses_nothing() -> None:
    bound = Bound(0.0, verdicts(500, 0.0, 0.999999))
    assert bound.decide(Proposal("a", 1.0), NOT_DRAWN).action == "ask"


def test_a_share_of_what_could_be_reused_is_made_afresh() -> None:
    bound = Bound(0.01, explored=0.05)
    actions = [bound.decide(CLEAR, random.Random(i).random()).action for i in range(2_000)]
    assert set(actions) == {"reuse", "explore"}
    assert 60 <= actions.count("explore") <= 140
    assert Bound(0.01, explored=0.0).decide(CLEAR, 0.0).action == "reuse"
    assert bound.decide(LIKELY, DRAWN).action == "ask"


def test_right_verdicts_open_what_was_held_back() -> None:
    bound = Bound(0.02)
    before = bound.decide(LIKELY, NOT_DRAWN)
    for verdict in verdicts(600, 0.0):
        bound.observe(verdict)
    after = bound.decide(LIKELY, NOT_DRAWN)
    assert (before.action, after.action) == ("ask", "reuse")


def test_wrong_verdicts_close_what_was_open() -> None:
    bound = Bound(0.01)
    assert bound.decide(CLEAR, NOT_DRAWN).action == "reuse"
    for verdict in verdicts(100, 0.1, CLEAR.score):
        bound.observe(verdict)
    assert bound.decide(CLEAR, NOT_DRAWN).action == "ask"


def test_one_wrong_verdict_counts_more_for_its_own_answer() -> None:
    bound = Bound(0.05, mixed(400, seed=3))
    other = Proposal("b", LIKELY.score)
    bound.observe(Verdict("a", LIKELY.score, False))
    own, others = (bound.decide(one, NOT_DRAWN).chance_wrong for one in (LIKELY, other))
    assert own > 1.3 * others


def test_the_same_verdicts_lead_to_the_same_decisions() -> None:
    past = list(mixed(300, seed=5))
    at_once, one_by_one = Bound(0.02, past), Bound(0.02)
    for verdict in past:
        one_by_one.observe(verdict)
    for score in (0.5, 0.9, 0.99, 0.9999):
        proposal = Proposal("7", score)
        assert at_once.decide(proposal, 0.5) == one_by_one.decide(proposal, 0.5)


def test_what_is_said_of_true_scores_is_on_the_unsafe_side_and_not_far() -> None:
    bound = Bound(0.05, mixed(3_000, seed=7))
    for score in (0.8, 0.9, 0.95):
        said = bound.decide(Proposal("new", score), NOT_DRAWN).chance_wrong
        assert (1 - score) * 0.8 < said < (1 - score) * 2


@pytest.mark.parametrize("max_error", [0.01, 0.02, 0.05])
def test_the_bound_holds_where_scores_promise_too_much(max_error: float) -> None:
    """A stream whose scores say twice the log-odds that are true."""
    hits = wrong = 0
    for seed in range(20):
        drawn = random.Random(seed)
        bound, given_again, given_wrong = Bound(max_error), 0, 0
        for number in range(1_000):
            log_odds = drawn.gauss(2.0, 3.0)
            is_right = drawn.random() < 1 / (1 + math.e**-log_odds)
            proposal = Proposal(str(number % 50), 1 / (1 + math.e ** (-2 * log_odds)))
            if bound.decide(proposal, drawn.random()).action == "reuse":
                given_again += 1
                given_wrong += not is_right
            else:
                bound.observe(Verdict(proposal.answer, proposal.score, is_right))
        hits, wrong = hits + given_again, wrong + given_wrong
    assert hits > 500
    assert wrong <= max_error * hits


@given(st.lists(st.builds(Verdict, st.sampled_from("abc"), chances, st.booleans()), max_size=60))
def test_any_verdicts_leave_a_chance_that_falls_with_the_score(past: list[Verdict]) -> None:
    bound = Bound(0.02, past)
    for score in (0.0, 1e-9, 0.5, 1.0):
        assert 0 <= bound.decide(Proposal("a", score), NOT_DRAWN).chance_wrong <= 1


@given(st.lists(st.builds(Candidate, st.sampled_from("abc"), chances, st.booleans()), max_size=15))
def test_a_proposal_is_one_of_those_that_may_be_given(candidates: list[Candidate]) -> None:
    proposal = propose(candidates)
    fit = {candidate.answer for candidate in candidates if candidate.may_be_given}
    assert (proposal is None) == (not fit)
    if proposal is not None:
        assert proposal.answer in fit
        assert 0 <= proposal.score <= 1


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(RangeError, match="max_error"):
        Bound(value)
    with pytest.raises(RangeError, match="explored"):
        Bound(0.01, explored=value)


def test_deciding_takes_no_time_to_speak_of() -> None:
    bound = Bound(0.02, mixed(2_000, seed=9))
    candidates = [Candidate(str(number % 5), 0.9 - number / 50) for number in range(15)]
    times = []
    for _ in range(200):
        started = time.thread_time()
        proposal = propose(candidates)
        assert proposal is not None
        bound.decide(proposal, NOT_DRAWN)
        times.append(time.thread_time() - started)
    assert sorted(times)[100] < 0.001
