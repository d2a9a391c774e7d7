"""What came of a tuning: all trials, the one that is chosen, and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue, TypeAdapter

from evaluation.tuning.choosing import choose, contradicts
from evaluation.tuning.scoring import AS_IT_IS, Goal, Score

FORMAT = 1
FEW_QUESTIONS = 20

Check = Callable[[Score], Awaitable[tuple[Score, Score]]]
"""The scores of the present settings and of a trial on the questions to check by."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`changes` are the settings to set, none where the present ones are kept; `verdict` says why.

    `trials` are scored on the questions to choose by, the present settings first. `checked` are
    the present settings and the chosen trial on the other questions, where a trial was chosen.
    """

    changes: dict[str, JsonValue]
    verdict: str
    trials: tuple[Score, ...]
    checked: tuple[Score, Score] | None


@dataclass(frozen=True, slots=True)
class Tuning:
    """An outcome, and what it is the outcome of. `questions` have gold for `measure`."""

    format: int
    question_file: str
    collection: str
    documents: int
    version: str
    finished_at: str
    seed: int
    measure: str
    goal: str
    questions: int
    notes: tuple[str, ...]
    outcome: Outcome


async def conclude(scores: Sequence[Score], goal: Goal, check: Check) -> Outcome:
    """The outcome of trials; what is chosen must hold on the questions to check by too."""
    chosen = choose(scores)
    trials = tuple(scores)
    if not chosen.is_good_enough:
        verdict = (
            f"the settings stay as they are: no trial reaches {goal}; the best, "
            f"{_told(chosen)}, has {chosen.quality:.3f}"
        )
        return Outcome({}, verdict, trials, None)
    if chosen.name == AS_IT_IS:
        verdict = f"the settings stay as they are: nothing that has {goal} is cheaper"
        return Outcome({}, verdict, trials, None)
    present, checked = pair = await check(chosen)
    if contradicts(checked, goal):
        verdict = (
            f"the settings stay as they are: {_told(chosen)} seemed good enough, but on "
            f"the other questions {goal.measure.name} is {checked.quality:.3f}, and "
            f"{present.quality:.3f} as it is"
        )
        return Outcome({}, verdict, trials, pair)
    now, then = present.context_tokens, checked.context_tokens
    verdict = (
        f"{chosen.name}: on the questions that it was not chosen by, {then:,.0f} tokens of context "
        f"instead of {now:,.0f}, and {goal.measure.name} {checked.quality:.3f} instead of "
        f"{present.quality:.3f}"
    )
    if not checked.is_good_enough:
        verdict += ", which may be less than wanted, or chance: more questions would tell"
    return Outcome(dict(chosen.changes), verdict, trials, pair)


def tuning_as_json(tuning: Tuning) -> str:
    """The tuning as a JSON document."""
    return TypeAdapter(Tuning).dump_json(tuning, indent=1).decode()


def _told(score: Score) -> str:
    return "as it is" if score.name == AS_IT_IS else f"with {score.name}"
