"""What the dashboard sums: held against the same sums made by hand, in both databases."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import quantiles

import pytest
from sqlalchemy import Engine, func, insert, select, update

from benchmarks.made_answers import UNANSWERED, write_answers
from generation.deciding.feedback import FEEDBACK
from generation.money.ledger import SqlLedger
from generation.money.sums import costs
from generation.money.tables import ANSWERS
from generation.overview.asked import (
    ASKED_QUESTIONS,
    AskedQuestions,
    QuestionKeepingLedger,
    forget_asked,
)
from generation.overview.changes import LEAST_ANSWERS, WEEK, Changes, changes
from generation.overview.over_time import over_time
from generation.overview.selection import Selection
from generation.overview.worth_a_look import dearest, unanswered, verdict_counts, worst_rated
from rag.errors import StateUnavailableError
from rag.types import Answer, Citation, Cost, CostLine, Question, Usage

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 20
WHOLE = Selection(UNTIL - timedelta(days=DAYS), UNTIL)
EVER = Selection(datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def engine(state_engine: Engine) -> Engine:
    """The answers of twenty days, in two collections."""
    write_answers(state_engine, 1_500, days=DAYS, until=UNTIL)
    write_answers(state_engine, 100, days=DAYS, until=UNTIL, seed=1, collection="other")
    return state_engine


def rows_of(engine: Engine, chosen: Selection = WHOLE) -> list[object]:
    with engine.connect() as connection:
        return list(connection.execute(select(ANSWERS).where(*chosen.of(ANSWERS))))


def compare(engine: Engine, chosen: Selection = WHOLE, most: int = 10) -> Changes:
    return changes(engine, chosen, chosen.until - 2 * WEEK, most)


def set_all(engine: Engine, since: datetime, **values: object) -> None:
    with engine.begin() as connection:
        later = ANSWERS.c.at >= since.isoformat(timespec="microseconds")
        connection.execute(update(ANSWERS).where(later).values(**values))


def test_the_points_add_up_to_what_the_ledger_says(engine: Engine) -> None:
    points, total = over_time(engine, WHOLE, "day")
    days = {row.name: row for row in costs(engine, WHOLE.since, WHOLE.until, "day")}
    assert [point.start for point in points] == sorted(days)
    for point in points:
        of_ledger = days[point.start]
        assert (point.answers, point.spent_usd) == (of_ledger.answers, of_ledger.spent_usd)
        assert (point.baseline_usd, point.saved_usd) == (
            of_ledger.baseline_usd,
            of_ledger.saved_usd,
        )
    assert total.answers == 1_600
    assert total.spent_usd == sum((point.spent_usd for point in points), Decimal(0)) > 0
    assert total.saved_usd == sum((point.saved_usd or 0 for point in points), Decimal(0))


def test_tiers_statuses_confidence_and_latency_are_those_of_the_answers(engine: Engine) -> None:
    rows = rows_of(engine)
    _, total = over_time(engine, WHOLE, "day")
    assert total.tiers == Counter(row.tier for row in rows)
    assert total.statuses == Counter(row.status for row in rows)
    assert total.confidence == pytest.approx(sum(row.confidence for row in rows) / len(rows))
    cuts = quantiles([row.ms for row in rows], n=20, method="inclusive")
    assert total.p50_ms == pytest.approx(cuts[9], rel=0.1)
    assert total.p95_ms == pytest.approx(cuts[18], rel=0.1)


def test_by_the_hour(engine: Engine) -> None:
    day = WHOLE.between(UNTIL - timedelta(days=1), UNTIL)
    points, total = over_time(engine, day, "hour")
    assert 5 < len(points) <= 24
    assert all(len(point.start) == len("2026-10-31T12") for point in points)
    assert total.answers == sum(point.answers for point in points) == len(rows_of(engine, day))


@pytest.mark.parametrize("ms", [0.0, 0.05, 1.0, 59_000.0, 10_000_000.0])
def test_any_latency_has_a_place(state_engine: Engine, ms: float) -> None:
    write_answers(state_engine, 3, days=DAYS, until=UNTIL)
    set_all(state_engine, WHOLE.since, ms=ms)
    _, total = over_time(state_engine, WHOLE, "day")
    assert total.p50_ms is not None
    assert total.p50_ms == pytest.approx(min(ms, 97_000), rel=0.2, abs=0.12)


def test_a_time_without_answers_is_empty(state_engine: Engine) -> None:
    points, total = over_time(state_engine, WHOLE, "day")
    assert points == []
    assert (total.answers, total.spent_usd) == (0, 0)
    told = (total.confidence, total.p50_ms, total.p95_ms, total.baseline_usd, total.saved_usd)
    assert told == (None,) * 5
    assert dearest(state_engine, WHOLE, 10) == []
    assert unanswered(state_engine, WHOLE, 10) == []
    assert verdict_counts(state_engine, WHOLE) == (0, 0)
    assert compare(state_engine).topics == []


def test_one_collection_and_one_tenant_alone(engine: Engine) -> None:
    other = Selection(WHOLE.since, UNTIL, collection="other")
    assert over_time(engine, other, "day")[1].answers == 100
    assert {line.collection for line in unanswered(engine, other, 50)} == {"other"}
    assert compare(engine, other).latest.answers < 100
    foreign = Selection(WHOLE.since, UNTIL, tenant="acme")
    assert over_time(engine, foreign, "day")[1].answers == 0
    assert dearest(engine, foreign, 10) == []
    assert verdict_counts(engine, foreign) == (0, 0)


def test_the_dearest_come_first(engine: Engine) -> None:
    spent = sorted((row.spent_pico_usd for row in rows_of(engine)), reverse=True)
    found = dearest(engine, WHOLE, 5)
    assert [line.spent_usd for line in found] == [Decimal(one).scaleb(-12) for one in spent[:5]]
    assert all(line.question for line in found)


def test_the_worst_rated_are_the_surest_of_the_wrong(engine: Engine) -> None:
    with engine.connect() as connection:
        query = select(FEEDBACK).where(FEEDBACK.c.is_right.is_(False))
        wrong = {row.answer_id for row in connection.execute(query)}
        judged = connection.scalar(select(func.count()).select_from(FEEDBACK))
    found = worst_rated(engine, WHOLE, 1_000)
    assert {line.answer_id for line in found} == wrong
    assert len(worst_rated(engine, WHOLE, 3)) == 3
    assert [line.confidence for line in found] == sorted(
        (x.confidence for x in found), reverse=True
    )
    assert verdict_counts(engine, WHOLE) == (judged, len(wrong))


def test_unanswered_questions_are_counted_by_their_words(engine: Engine) -> None:
    found = unanswered(engine, WHOLE, 10)
    assert len(found) == len(UNANSWERED) - 1, "one is another in other letters and spaces"
    assert [line.times for line in found] == sorted((x.times for x in found), reverse=True)
    assert found[0].question in ("Do you deliver to Norway?", "do you deliver to  norway?")
    abstained = sum(row.status == "abstained" for row in rows_of(engine))
    assert sum(line.times for line in found) == abstained


def test_without_words_unanswered_questions_are_the_newest(engine: Engine) -> None:
    AskedQuestions(engine).forget_all()
    found = unanswered(engine, WHOLE, 10)
    assert [line.question for line in found] == [None] * 10
    assert [line.times for line in found] == [1] * 10
    assert [line.at for line in found] == sorted((line.at for line in found), reverse=True)


def test_what_stays_the_same_is_stable(engine: Engine) -> None:
    set_all(engine, WHOLE.since, cited="doc_1", confidence=0.8)
    found = compare(engine, Selection(WHOLE.since, UNTIL, collection="default"))
    assert [one.name for one in found.numbers] == ["confidence", "top_score", "top_cosine"]
    assert [one.level for one in found.numbers] == ["stable"] * 3
    assert found.topic_level == "stable"
    assert found.topics[0].was == found.topics[0].now


def test_what_moves_is_seen(engine: Engine) -> None:
    last = UNTIL - WEEK
    set_all(engine, last, confidence=0.31, signals='{"top_score":0.05,"top_cosine":0.1}')
    set_all(engine, last, cited="new")
    found = compare(engine, Selection(WHOLE.since, UNTIL, collection="default"))
    assert [one.level for one in found.numbers] == ["drifted"] * 3
    assert found.numbers[0].now == pytest.approx(0.31)
    assert found.numbers[0].was > 0.5
    assert found.topic_level == "drifted"
    assert (found.topics[0].document_id, found.topics[0].was, found.topics[0].now) == ("new", 0, 1)


def test_the_made_story_has_a_new_topic(engine: Engine) -> None:
    found = compare(engine)
    assert found.topics[0].document_id == "doc_11"
    assert found.topics[0].now > found.topics[0].was + 0.1


def test_of_few_answers_nothing_is_said(state_engine: Engine) -> None:
    write_answers(state_engine, LEAST_ANSWERS - 1, days=14, until=UNTIL)
    found = compare(state_engine)
    assert {one.level for one in found.numbers} == {None}
    assert (found.topic_index, found.topic_level) == (None, None)


def test_answers_without_signals_do_not_count(engine: Engine) -> None:
    set_all(engine, WHOLE.since, signals=None, cited=None)
    found = compare(engine)
    assert [one.level is None for one in found.numbers] == [False, True, True]
    assert found.topic_level is None


def test_many_answers_are_sampled_the_same_way_each_time(state_engine: Engine) -> None:
    write_answers(state_engine, 12_000, days=14, until=UNTIL)
    chosen = Selection(UNTIL - timedelta(days=14), UNTIL)
    found = compare(state_engine, chosen)
    assert found.reference.answers + found.latest.answers == 12_000
    for week in (found.reference, found.latest):
        assert 1_800 < week.looked_at < 2_200
    assert compare(state_engine, chosen) == found


def an_answer(answer_id: str, *citations: Citation) -> Answer:
    cost = Cost((CostLine("generate", None, Decimal(0), 5.0),), None)
    told = (answer_id, "answered", "x", "extractive", "quote", 0.9, citations, Usage(), 9, cost)
    return Answer(*told)  # type: ignore[arg-type]


async def test_questions_are_kept_beside_their_answers_and_forgotten(state_engine: Engine) -> None:
    asked = AskedQuestions(state_engine)
    inner = SqlLedger(state_engine)
    ledger = QuestionKeepingLedger(inner, asked, days=30)
    for name in ("ans_1", "ans_2", "ans_3"):
        question = Question(f"Why \0{name}?", "help", answer_id=name)
        await ledger.record_answer(question, an_answer(name))
    inner.close()
    with state_engine.connect() as connection:
        words = list(connection.scalars(select(ASKED_QUESTIONS.c.question)))
    assert sorted(words) == ["Why ans_1?", "Why ans_2?", "Why ans_3?"]
    assert len(rows_of(state_engine, EVER)) == 3
    with state_engine.begin() as connection:
        assert forget_asked(connection, ANSWERS.c.answer_id.in_(["ans_1", "unknown"])) == 1
    assert asked.forget_all() == 2
    assert asked.forget_all() == 0


async def test_old_questions_go_when_another_is_kept(state_engine: Engine) -> None:
    old = {"answer_id": "ans_0", "question": "Old?", "at": "2020-01-01T00:00:00.000000+00:00"}
    with state_engine.begin() as connection:
        connection.execute(insert(ASKED_QUESTIONS), old)
    asked = AskedQuestions(state_engine)
    inner = SqlLedger(state_engine)
    question = Question("New?", "help", answer_id="ans_1")
    await QuestionKeepingLedger(inner, asked, days=30).record_answer(question, an_answer("ans_1"))
    inner.close()
    with state_engine.connect() as connection:
        assert list(connection.scalars(select(ASKED_QUESTIONS.c.question))) == ["New?"]


def test_questions_are_dropped_at_their_age(state_engine: Engine) -> None:
    now = UNTIL
    asked = AskedQuestions(state_engine, lambda: now)
    asked.keep("ans_1", "Why?")
    now += timedelta(days=2)
    assert asked.drop_older(2) == 0
    now += timedelta(seconds=1)
    assert asked.drop_older(2) == 1


class Away(AskedQuestions):
    """Kept questions in a database that cannot be reached."""

    def keep(self, answer_id: str, question: str) -> None:
        raise StateUnavailableError("the database cannot be reached")


async def test_an_answer_does_not_fail_when_its_question_is_not_kept(
    state_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    inner = SqlLedger(state_engine)
    ledger = QuestionKeepingLedger(inner, Away(state_engine), days=30)
    question = Question("Private?", "help", answer_id="ans_1")
    await ledger.record_answer(question, an_answer("ans_1"))
    inner.close()
    assert len(rows_of(state_engine, EVER)) == 1
    assert "the question of ans_1 was not kept" in caplog.text
    assert "Private" not in caplog.text


async def test_an_answer_remembers_the_document_that_it_cites_first(state_engine: Engine) -> None:
    ledger = SqlLedger(state_engine)
    cited = [Citation(n, f"doc_{n}", "T", "s", None, 0, 1, "q") for n in (1, 2)]
    await ledger.record_answer(Question("x", "help", answer_id="ans_1"), an_answer("ans_1", *cited))
    await ledger.record_answer(Question("x", "help", answer_id="ans_2"), an_answer("ans_2"))
    ledger.close()
    found = {row.answer_id: row.cited for row in rows_of(state_engine, EVER)}
    assert found == {"ans_1": "doc_1", "ans_2": None}
