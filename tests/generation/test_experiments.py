"""Experiments over the real state: who gets which arm, what is told of it, and what is stopped."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert

from generation.deciding.feedback import Feedback, Use
from generation.experiments.assignment import Arm, Experiment, assign
from generation.experiments.findings import ArmResult, Rules
from generation.experiments.records import read_records
from generation.experiments.stopping import ArmAssigner, StoppedArms
from generation.experiments.watching import ExperimentWatch
from generation.experiments.worth import Worths
from generation.money.tables import ANSWERS
from rag.errors import NotFoundError
from rag.types import Question

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
TONE = Experiment("tone", (Arm("control", 0.5), Arm("short", 0.5)))
WORTHS = Worths(used_usd=2.0, edited_usd=0.5, ignored_usd=-0.25)


class Clock:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def answer_all(
    engine: Engine,
    label: str,
    costs: Sequence[float | None],
    *,
    tier: str = "local",
    status: str = "answered",
    talks: Sequence[str | None] | None = None,
) -> list[str]:
    """Answers of an arm that cost so many dollars each, and their talks; gives their ids."""
    rows = [
        {
            "answer_id": f"{label}/{tier}/{number:06}", "at": BEGAN.isoformat(), "tenant": "",
            "key": "", "collection": "default", "tier": tier, "status": status,
            "confidence": 0.5, "spent_pico_usd": None if usd is None else round(usd * 1e12),
            "baseline_pico_usd": None, "ms": 20.0, "because": "", "signals": "{}", "arm": label,
            "conversation": talk,
        }
        for number, (usd, talk) in enumerate(zip(costs, talks or [None] * len(costs), strict=True))
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(ANSWERS), rows)
    return [str(row["answer_id"]) for row in rows]


def tell(feedback: Feedback, arm: str, right: int, wrong: int, engine: Engine) -> None:
    """Verdicts on so many answers of an arm of the experiment, the wrong ones spread evenly."""
    count = right + wrong
    ids = answer_all(engine, TONE.label(arm), [0.001] * count)
    for number, answer_id in enumerate(ids):
        is_wrong = (number + 1) * wrong // count > number * wrong // count
        feedback.record(answer_id, is_right=not is_wrong)


def tell_uses(feedback: Feedback, ids: Sequence[str], uses: Sequence[Use]) -> None:
    for answer_id, use in zip(ids, uses, strict=True):
        feedback.record(answer_id, use=use)


class TestAssignment:
    def test_a_conversation_keeps_its_arm(self) -> None:
        again = Experiment("tone", (Arm("control", 0.5), Arm("short", 0.5)), error=0.01)
        for number in range(200):
            assert assign(TONE, f"c{number}") == assign(again, f"c{number}")

    def test_arms_get_their_shares(self) -> None:
        shares = {"control": 0.7, "short": 0.2, "long": 0.1}
        experiment = Experiment("tone", tuple(Arm(*one) for one in shares.items()))
        counts = Counter(assign(experiment, f"c{number}") for number in range(20_000))
        for name, share in shares.items():
            assert counts[name] / 20_000 == pytest.approx(share, abs=0.01)

    def test_another_experiment_divides_anew(self) -> None:
        other = Experiment("length", TONE.arms)
        both = Counter(
            (assign(TONE, f"c{number}"), assign(other, f"c{number}")) for number in range(20_000)
        )
        for count in both.values():
            assert count / 20_000 == pytest.approx(0.25, abs=0.015)

    async def test_the_control_serves_for_a_stopped_arm(
        self, state_engine: Engine, clock: Clock
    ) -> None:
        stopped = StoppedArms(state_engine, clock)
        assigner = ArmAssigner(TONE, stopped)
        asked = [Question("Why?", "default", conversation_id=f"c{n}") for n in range(50)]
        before = [await assigner.arm_of(question) for question in asked]
        assert set(before) == {"control", "short"}
        assert before == [assign(TONE, question.conversation_id) for question in asked]
        assert stopped.stop("tone", "short", "it is worse")
        assert {await assigner.arm_of(question) for question in asked} == {"control"}
        other = ArmAssigner(Experiment("length", TONE.arms), stopped)
        assert {await other.arm_of(question) for question in asked} == {"control", "short"}

    async def test_a_question_outside_conversations_is_one_of_its_own(
        self, state_engine: Engine
    ) -> None:
        assigner = ArmAssigner(TONE, StoppedArms(state_engine))
        alone = [await assigner.arm_of(Question("Why?", "default")) for _ in range(50)]
        assert set(alone) == {"control", "short"}
        named = Question("Why?", "default", answer_id="ans_7")
        assert await assigner.arm_of(named) == assign(TONE, "ans_7")


class TestFeedback:
    def test_what_is_not_told_stays_as_it_was(self, state_engine: Engine, clock: Clock) -> None:
        feedback = Feedback(state_engine, clock)
        [first, second] = answer_all(state_engine, "tone/short", [0.1, 0.1])
        feedback.record(first, use="edited")
        assert feedback.verdicts() == {}
        feedback.record(second, is_right=True)
        feedback.record(first, is_right=False)
        assert list(feedback.verdicts().items()) == [(second, True), (first, False)]
        feedback.record(second, use="ignored")
        feedback.record(first, is_right=True)
        assert list(feedback.verdicts().items()) == [(second, True), (first, True)]
        _, short = read_records(state_engine, TONE)
        assert short.uses == ("edited", "ignored")

    def test_a_verdict_that_is_changed_keeps_its_place(
        self, state_engine: Engine, clock: Clock
    ) -> None:
        feedback = Feedback(state_engine, clock)
        [first, second] = answer_all(state_engine, "tone/short", [0.1, 0.1])
        for answer_id, is_right in ((first, True), (second, True), (first, False)):
            feedback.record(answer_id, is_right=is_right, use="used")
        _, short = read_records(state_engine, TONE)
        assert short.verdicts == (False, True)

    def test_an_answer_that_nobody_gave_is_told(self, state_engine: Engine) -> None:
        with pytest.raises(NotFoundError, match="there is no answer 'ans_x'"):
            Feedback(state_engine).record("ans_x", use="used")


class TestRecords:
    def test_costs_tiers_and_words_are_summed(self, state_engine: Engine, clock: Clock) -> None:
        answer_all(state_engine, "tone/short", [0.001, 0.002, None], tier="local")
        answer_all(state_engine, "tone/short", [0.006], tier="premium", status="degraded")
        answer_all(state_engine, "other/short", [5.0])
        answer_all(state_engine, "tone/control", [None])
        control, short = read_records(state_engine, TONE)
        assert (short.arm, short.answers, short.ms) == ("short", 4, pytest.approx(20))
        assert short.tiers == {"local": 3, "premium": 1}
        assert short.statuses == {"answered": 3, "degraded": 1}
        assert (short.priced, short.cost.count) == (3, 3)
        assert short.cost.mean == pytest.approx(0.003)
        assert short.cost.variance == pytest.approx(7e-6)
        assert short.began == BEGAN
        assert (control.answers, control.priced, control.cost.count) == (1, 0, 0)

    def test_a_conversation_has_one_verdict_and_one_cost(
        self, state_engine: Engine, clock: Clock
    ) -> None:
        feedback = Feedback(state_engine, clock)
        talks = ["a", "a", "b", "a", None, None]
        ids = answer_all(
            state_engine, "tone/short", [0.001, 0.003, 0.004, 0.002, 0.0, 0.01], talks=talks
        )
        for answer_id in ids:
            feedback.record(answer_id, is_right=answer_id == ids[0], use="ignored")
        feedback.record(ids[1], is_right=True)
        _, short = read_records(state_engine, TONE)
        assert short.verdicts == (True, False, False, False), "a, b, and two of their own"
        assert short.uses == ("ignored",) * 4
        assert (short.priced, short.cost.count) == (6, 4)
        mean = 0.02 / 6
        assert short.cost.mean == pytest.approx(mean)
        off = [0.006 - 3 * mean, 0.004 - mean, -mean, 0.01 - mean]
        of_mean = sum(one**2 for one in off) / 3 * 4 / 6**2
        assert short.cost.variance / short.cost.count == pytest.approx(of_mean)

    def test_a_hundred_thousand_answers_take_less_than_a_second(self, state_engine: Engine) -> None:
        for arm in ("control", "short"):
            answer_all(state_engine, f"tone/{arm}", [0.001, 0.003] * 25_000)
        began = time.thread_time()
        control, _ = read_records(state_engine, TONE)
        assert time.thread_time() - began < 1
        assert control.cost.mean == pytest.approx(0.002)


class TestJudging:
    def results(
        self, engine: Engine, rules: Rules | None = None, days: float = 10
    ) -> list[ArmResult]:
        later = BEGAN + timedelta(days=days)
        return ExperimentWatch(engine, TONE, rules or Rules(), lambda: later).results()

    def test_nothing_is_said_of_arms_without_traffic(self, state_engine: Engine) -> None:
        control, short = self.results(state_engine)
        assert (control.state, control.findings) == ("control", None)
        assert short.state == "running"
        assert short.says == (
            "cannot be told yet: no verdict was given yet on answers of short and control"
        )

    def test_an_experiment_without_enough_traffic_is_told_so(
        self, state_engine: Engine, clock: Clock
    ) -> None:
        feedback = Feedback(state_engine, clock)
        tell(feedback, "control", 34, 6, state_engine)
        tell(feedback, "short", 32, 8, state_engine)
        _, short = self.results(state_engine, days=40)
        assert short.state == "running"
        assert short.findings is not None
        assert short.findings.quality is not None
        outlook = short.findings.quality.outlook
        assert outlook is not None
        assert outlook.days == pytest.approx(outlook.more / 2, rel=0.01), "one pair a day"
        assert short.says.startswith(
            "cannot be told yet: right in 80.0% of 40 verdicts, control right in 85.0% of 40 "
            "verdicts: -5.0 points ("
        )
        assert short.says.endswith(
            f"about {outlook.more:,} more verdicts prove such a difference, at the pace so far in "
            f"{outlook.days:,.0f} days: too little traffic, so give the arm a greater share or "
            "end the experiment"
        )
        assert "\n" not in short.says

    def test_what_cannot_be_compared_yet_is_told(self, state_engine: Engine, clock: Clock) -> None:
        feedback = Feedback(state_engine, clock)
        tell(feedback, "short", 2, 0, state_engine)
        _, short = self.results(state_engine)
        assert short.says.endswith(": no verdict was given yet on answers of control")
        tell(feedback, "control", 2, 0, state_engine)
        _, short = self.results(state_engine)
        assert short.says.endswith("; no difference is seen that more of them could prove")
        tenth = Experiment("tone", (Arm("control", 0.9), Arm("short", 0.1)))
        _, short = ExperimentWatch(state_engine, tenth, Rules(), clock).results()
        assert short.says == (
            "cannot be told yet: too few verdicts on answers of short and control to compare them"
        )

    def test_an_arm_that_is_better_goes_on(self, state_engine: Engine, clock: Clock) -> None:
        feedback = Feedback(state_engine, clock)
        tell(feedback, "control", 60, 60, state_engine)
        tell(feedback, "short", 110, 10, state_engine)
        _, short = self.results(state_engine)
        assert short.state == "better"
        assert short.says.startswith("better than control: right in 91.7% of 120 verdicts")
        watch = ExperimentWatch(state_engine, TONE, Rules(), clock)
        assert watch.look() == []

    def test_uses_are_compared_by_what_they_are_worth(
        self, state_engine: Engine, clock: Clock
    ) -> None:
        feedback = Feedback(state_engine, clock)
        ids = {
            arm: answer_all(state_engine, TONE.label(arm), [0.01, 0.03] * 100)
            for arm in ("control", "short")
        }
        tell_uses(feedback, ids["control"], ["used", "edited"] * 100)
        tell_uses(feedback, ids["short"], ["ignored", "edited"] * 100)
        control, short = self.results(state_engine, Rules(WORTHS))
        assert control.encs is not None
        assert control.encs.usd == pytest.approx(1.25 - 0.02)
        assert short.encs is not None
        assert short.encs.usd == pytest.approx(0.125 - 0.02)
        assert short.encs.low_usd is not None
        assert short.encs.high_usd is not None
        assert control.encs.low_usd is not None
        assert short.encs.low_usd < short.encs.usd < short.encs.high_usd < control.encs.low_usd
        assert short.state == "worse"
        assert "by 200 and 200 uses, it is worth -$1.125000 an answer (-$" in short.says
        _, unpriced = self.results(state_engine)
        assert (unpriced.encs, unpriced.state) == (None, "running"), "no worth was stated"

    def test_an_arm_that_is_too_dear_is_worse(self, state_engine: Engine) -> None:
        answer_all(state_engine, "tone/control", [0.001, 0.003] * 200)
        answer_all(state_engine, "tone/short", [0.004, 0.006] * 200)
        _, short = self.results(state_engine)
        assert short.state == "running"
        assert short.findings is not None
        assert short.findings.cost is not None
        assert short.findings.cost.value == pytest.approx(0.003)
        assert self.results(state_engine, Rules(max_cost_ratio=3))[1].state == "running"
        _, dear = self.results(state_engine, Rules(max_cost_ratio=2))
        assert dear.state == "worse"
        assert (
            "an answer costs $0.005000 and one of control $0.002000: above the limit" in dear.says
        )

    def test_the_error_is_divided_among_all_that_may_be_proven(
        self, state_engine: Engine, clock: Clock
    ) -> None:
        feedback = Feedback(state_engine, clock)
        tell(feedback, "control", 1, 0, state_engine)
        tell(feedback, "short", 1, 0, state_engine)

        def needed(experiment: Experiment, rules: Rules) -> float:
            results = ExperimentWatch(state_engine, experiment, rules, clock).results()
            found = results[1].findings
            assert found is not None
            assert found.quality is not None
            return found.quality.e_needed

        three = Experiment("tone", (*TONE.arms, Arm("long", 0.3)))
        assert needed(TONE, Rules()) == pytest.approx(40)
        assert needed(TONE, Rules(WORTHS)) == pytest.approx(80)
        assert needed(TONE, Rules(WORTHS, 2.0)) == pytest.approx(100)
        assert needed(three, Rules()) == pytest.approx(80)


class TestWatch:
    async def test_an_arm_that_hurts_is_stopped_once_and_for_good(
        self, state_engine: Engine, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        feedback = Feedback(state_engine, clock)
        watch = ExperimentWatch(state_engine, TONE, Rules(), clock)
        assert watch.look() == []
        tell(feedback, "control", 110, 10, state_engine)
        tell(feedback, "short", 60, 60, state_engine)
        with caplog.at_level(logging.WARNING):
            assert watch.look() == ["short"]
            assert watch.look() == []
        [told] = caplog.records
        line = told.getMessage()
        assert line.startswith("the arm short of experiment tone was stopped: worse than control")
        assert "right in 50.0% of 120 verdicts, control right in 91.7% of 120" in line
        assert "\n" not in line
        assigner = ArmAssigner(TONE, StoppedArms(state_engine))
        assert await assigner.arm_of(Question("Why?", "default")) == "control"
        _, short = watch.results()
        assert short.state == "stopped"
        assert short.says.startswith("stopped: worse than control: right in 50.0%")

    def test_two_processes_stop_it_once(self, state_engine: Engine, clock: Clock) -> None:
        first, second = (StoppedArms(state_engine, clock) for _ in range(2))
        assert [one.stop("tone", "short", "why") for one in (first, second)] == [True, False]
        assert first.of("tone") == {"short": "why"}
        assert first.of("length") == {}
