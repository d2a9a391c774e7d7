"""Whether an earlier answer may be given again: only where it is hardly ever wrong, as was seen.

After vCache (arXiv 2502.03771): where an answer could have been given again and a fresh one was
made instead, the fresh one is a verdict on the old. A logistic model of the verdicts gives the
chance that the next reuse is wrong, with a band for what is not known yet, and a few answers that
could be given again are made afresh, so that learning does not end. Three things differ.

- vCache learns from each entry's own verdicts alone, and an entry needs many. Here all verdicts
  share one model, and what is known of one answer corrects it.
- What counts is the answer, not the entry. Entries with the same answer speak for it together, and
  those with other answers speak against it.
- vCache bounds the errors among all questions, and may give an answer that is likely wrong as long
  as it does so rarely. Here each answer that is given must itself keep the bound. So it holds among
  the answers given again, which is stricter.

The bound rests on the model, not on a proof: how often it held is measured in `benchmarks`. It does
not know whether a verdict is true, nor that tomorrow's questions are like today's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rag.errors import RangeError

_Column = npt.NDArray[np.float64]

HEARD = 15
"""So many of the kept questions nearest to the one asked are to be candidates. With 5, answers that
were not heard went unseen, and among reuses at a limit of 1% on banking77 1.2% were wrong."""

_MEAN = np.array([0.0, 1.0])
_SPREAD = np.array([0.5, 0.15])
"""Before any verdict a score is taken as it is: its log-odds, give or take .5 and 15% of them. With
the doubt below, a limit of 1% begins at a score of .998, 2% at .996 and 5% at .989. With the scores
of `sameness`, 0 of 286 proposals of banking77 and covid_question_similarity were wrong from .998
on, 2 of 642 from .995 and 9 of 1,088 from .99."""
_BAND = 1.0
"""Standard deviations that an estimate is moved to the unsafe side; 1 is exceeded by a sixth."""
_NEAR = 4.0
"""A verdict tells how true the estimates near the limit are up to so many times the limit."""
_DOUBTED, _EXPECTED = 4.0, 2.0
"""Before any verdict: so many were wrong where so many were to be expected."""
_ANSWERS_OWN = 2.0
"""As many of an answer's own verdicts, wrong as expected, are assumed before there are any."""
_FIRST_FIT, _GROWTH = 20, 1.05
"""Verdicts before the first fit, and how many times as many before the next."""
_MOST_STEPS, _CLOSE = 50, 1e-6
_LEAST_CHANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kept question that is much like the one asked.

    `answer` names its answer: equal for those that are answered the same. `score`, 0 to 1, is the
    chance that both questions want the same answer, before any verdict. A question that differs
    from the one asked in a number, a name or a "not" is heard for its answer and against others,
    but it `may_be_given` to nobody: leaving it out would hide how near another answer is.
    """

    answer: str
    score: float
    may_be_given: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """The answer that most speaks for. `score` is that of its candidates against all others."""

    answer: str
    score: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a proposal was right, as a fresh answer or a person says."""

    answer: str
    score: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a proposal, and why, in one sentence.

    - `reuse`: give the answer again
    - `explore`: it could be given again; make a fresh one all the same, and compare
    - `ask`: make a fresh one

    `chance_wrong`, 0 to 1, is on the unsafe side of what is known.
    """

    action: Literal["reuse", "explore", "ask"]
    chance_wrong: float
    why: str


def propose(candidates: Sequence[Candidate]) -> Proposal | None:
    """Of the answers that may be given, the one that most speaks for; None where there is none.

    Each candidate speaks with its odds. The score of an answer is its odds against those of the
    others and of an answer that is not kept yet, which are 1.
    """
    odds: dict[str, float] = {}
    for candidate in candidates:
        own = math.exp(_log_odds(candidate.score))
        odds[candidate.answer] = odds.get(candidate.answer, 0.0) + own
    fit = {candidate.answer for candidate in candidates if candidate.may_be_given}
    if not fit:
        return None
    answer = min(fit, key=lambda name: (-odds[name], name))
    return Proposal(answer, odds[answer] / (1.0 + sum(odds.values())))


class Bound:
    """Holds the chance that a reused answer is wrong within `max_error`, 0 to 1; 0 reuses nothing.

    `verdicts` are those so far, oldest first; the same ones always lead to the same decisions. A
    share `explored` of what could be reused is made afresh. Raises RangeError.
    """

    def __init__(
        self, max_error: float, verdicts: Iterable[Verdict] = (), *, explored: float = 0.05
    ) -> None:
        for name, value in (("max_error", max_error), ("explored", explored)):
            if not 0 <= value <= 1:
                raise RangeError(name, value, 0, 1)
        self.max_error = max_error
        self._explored = explored
        self._log_odds: list[float] = []
        self._is_right: list[bool] = []
        self._next_fit = _FIRST_FIT
        self._mean, self._covariance = _MEAN, np.diag(_SPREAD**2)
        self._near = _Tally(_DOUBTED, _EXPECTED)
        self._by_answer: dict[str, _Tally] = {}
        for verdict in verdicts:
            self.observe(verdict)

    def decide(self, proposal: Proposal, draw: float) -> Decision:
        """What to do with a proposal; `draw` is at random from 0 to 1."""
        chance = self._chance(proposal.answer, self._modelled(_log_odds(proposal.score)))
        said = f"the kept answer is wrong with a chance of at most {chance:.2%}"
        limit = f"the limit is {self.max_error:.2%}"
        if chance > self.max_error or self.max_error == 0:
            return Decision("ask", chance, f"not reused: {said}, {limit}")
        if draw < self._explored:
            return Decision("explore", chance, f"made afresh to check a kept answer: {said}")
        return Decision("reuse", chance, f"reused: {said}, {limit}")

    def observe(self, verdict: Verdict) -> None:
        """Learn from a verdict."""
        log_odds = _log_odds(verdict.score)
        modelled = self._modelled(log_odds)
        expected = min(1.0, modelled * self._near.ratio)
        if expected <= _NEAR * self.max_error:
            self._near.add(modelled, verdict.is_right)
        own = self._by_answer.setdefault(verdict.answer, _Tally(_ANSWERS_OWN, _ANSWERS_OWN))
        own.add(expected, verdict.is_right)
        self._log_odds.append(log_odds)
        self._is_right.append(verdict.is_right)
        if len(self._log_odds) >= self._next_fit:
            self._next_fit = math.ceil(len(self._log_odds) * _GROWTH)
            self._mean, self._covariance = _fit(
                np.array(self._log_odds), np.array(self._is_right, float)
            )

    def _modelled(self, log_odds: float) -> float:
        """The chance of being wrong that the model gives, at the unsafe end of its band."""
        x = np.array([1.0, log_odds])
        safe = x @ self._mean - _BAND * math.sqrt(x @ self._covariance @ x)
        return 1.0 / (1.0 + math.exp(min(float(safe), 50.0)))

    def _chance(self, answer: str, modelled: float) -> float:
        """What the model says, corrected by how often it was wrong near the limit and here."""
        chance = min(1.0, modelled * self._near.ratio)
        own = self._by_answer.get(answer)
        return chance if own is None else min(1.0, chance * own.ratio)


class _Tally:
    """How many verdicts were wrong, beside how many were to be, each with a number before any.

    The ratio is the mean of a gamma-Poisson model.
    """

    def __init__(self, wrong: float, expected: float) -> None:
        self._wrong = wrong
        self._expected = expected

    def add(self, expected: float, is_right: bool) -> None:
        self._expected += expected
        self._wrong += not is_right

    @property
    def ratio(self) -> float:
        return self._wrong / self._expected


def _log_odds(score: float) -> float:
    chance = min(max(score, _LEAST_CHANCE), 1.0 - _LEAST_CHANCE)
    return math.log(chance / (1.0 - chance))


def _fit(log_odds: _Column, is_right: _Column) -> tuple[_Column, _Column]:
    """Mean and covariance of intercept and slope: logistic regression from the prior, by Newton."""
    x = np.column_stack([np.ones_like(log_odds), log_odds])
    precision = np.diag(_SPREAD**-2)

    def loss(mean: _Column) -> float:
        margins = np.where(is_right > 0, x @ mean, -(x @ mean))
        apart = mean - _MEAN
        return float(np.logaddexp(0.0, -margins).sum() + apart @ precision @ apart / 2)

    mean = _MEAN
    for _ in range(_MOST_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ mean, -50.0, 50.0)))
        curvature = (x * (chance * (1.0 - chance))[:, None]).T @ x + precision
        step = np.linalg.solve(curvature, x.T @ (is_right - chance) - precision @ (mean - _MEAN))
        while loss(mean + step) > loss(mean) and np.abs(step).max() > _CLOSE:
            step = step / 2  # from a flat place the whole step leads too far
        mean = mean + step
        if np.abs(step).max() <= _CLOSE:
            break
    return mean, np.linalg.inv(curvature)
