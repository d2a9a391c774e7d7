"""How many answers are reused at which error, beside a cosine threshold and vCache.

    python -m benchmarks.reuse_streams --data ../shared/data

Streams of 4,000 questions of banking77, five drawn at random; two questions with the same intent
have the same answer. Each is answered again from the questions kept before, or afresh and kept.

- ours: the bound as the service has it, set to 1%, 2% and 5%
- a threshold on the cosine of the packaged vectors, the nearest kept question's answer is reused
  from it on: the one of 80 with the most hits whose error on this very stream was no higher than
  ours, and the one with the most hits whose error was no higher than the bound. So it is chosen in
  hindsight, as nobody can
- vCache as published (arXiv 2502.03771), in the settings of its own code: per kept question a
  logistic regression on the cosines of its verdicts

Error is counted strictly, wrong reuses among reuses; and as vCache counts, among all questions.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.publish import write_result
from benchmarks.reuse_bound import (
    LIMITS,
    STREAM,
    Labelled,
    Run,
    load_banking,
    packaged_embed,
    reuse,
)
from generation.reuse.bound import Bound

STREAMS = 5
THRESHOLDS = [round(0.6 + 0.005 * step, 3) for step in range(80)]
LOOSER_LIMITS = (0.08, 0.1, 0.12, 0.15, 0.18, 0.21, 0.23, 0.25, 0.28, 0.32, 0.36, 0.4, 0.45, 0.5)
"""Set beside `LIMITS` to compare at a given error among all questions."""
Runs = Mapping[float, Sequence[Run]]
"""By limit, one a stream."""
Error = Callable[[Run], float]
_FEWEST = 6
_QUANTILES = np.linspace(1e-6, 1 - 1e-6, 50)
_DEVIATIONS = np.array([NormalDist().inv_cdf(1 - one) for one in _QUANTILES])
_SEPARABLE = dict(
    zip(
        range(6, 49),
        # The variances of its published code for entries whose verdicts a threshold separates.
        (0.035445, 0.028285, 0.026436, 0.021349, 0.019371, 0.012615, 0.011433, 0.010228, 0.009963,
         0.009253, 0.011674, 0.013015, 0.010897, 0.011841, 0.013081, 0.010585, 0.014255, 0.012058,
         0.013002, 0.011715, 0.00839, 0.008839, 0.010628, 0.009899, 0.008033, 0.00457, 0.007335,
         0.008932, 0.00729, 0.007445, 0.00761, 0.011423, 0.011233, 0.006783, 0.005233, 0.00872,
         0.010005, 0.01199, 0.00977, 0.01891, 0.01513, 0.02109, 0.01531),
        strict=True,
    )
)  # fmt: skip


@dataclass(slots=True)
class VCacheEntry:
    """The verdicts of one kept question, and the chance of a fresh answer that they call for."""

    cosines: list[float] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    _fitted: tuple[float, float, float] | None = None

    def observe(self, cosine: float, is_same: bool) -> None:
        """Note a verdict."""
        self.cosines.append(round(cosine, 3))
        self.same.append(is_same)
        self._fitted = None

    def explore_chance(self, cosine: float, limit: float) -> float:
        """The published tau."""
        if len(self.same) < _FEWEST or len(set(self.same)) == 1:
            return 1.0
        if self._fitted is None:
            self._fitted = _vcache_fit(np.array(self.cosines), np.array(self.same, int))
        threshold, slope, variance = self._fitted
        thresholds = np.clip(threshold + _DEVIATIONS * math.sqrt(variance), 0.0, 1.0)
        right = 1 / (1 + np.exp(-np.clip(slope * (round(cosine, 3) - thresholds), -500, 500)))
        return float(np.min(1 - limit / (1 - (1 - _QUANTILES) * right)))


def _vcache_fit(
    cosines: npt.NDArray[np.float64], same: npt.NDArray[np.int64]
) -> tuple[float, float, float]:
    """Threshold, slope and the threshold's variance."""
    from sklearn.linear_model import LogisticRegression

    x = np.column_stack([np.ones(len(cosines)), cosines])
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000, fit_intercept=False)
    intercept, slope = model.fit(x, same).coef_[0]
    slope = max(slope, 1e-6)
    threshold = float(np.clip(-intercept / slope, 0.0, 1.0))
    if cosines[same == 1].min() > cosines[same == 0].max():
        return threshold, slope, _SEPARABLE.get(len(same), _SEPARABLE[48])
    chances = model.predict_proba(x)[:, 1]
    curvature = (x * (chances * (1 - chances))[:, None]).T @ x
    gradient = np.array([-1 / slope, intercept / slope**2])
    return threshold, slope, max(0.0, float(gradient @ np.linalg.inv(curvature) @ gradient))


def vcache(stream: Labelled, limit: float, seed: int) -> Run:
    """A right entry that was checked is not kept twice, as in its code."""
    draws = random.Random(seed)
    cosines = stream.vectors @ stream.vectors.T
    kept: list[int] = []
    entries: list[VCacheEntry] = []
    hits = wrong = 0
    for asked, answer in enumerate(stream.answers):
        if kept:
            place = int(np.argmax(cosines[asked, kept]))
            is_same = stream.answers[kept[place]] == answer
            cosine = float(cosines[asked, kept[place]])
            if draws.random() > entries[place].explore_chance(cosine, limit):
                hits += 1
                wrong += not is_same
                continue
            entries[place].observe(cosine, is_same)
            if is_same:
                continue
        kept.append(asked)
        entries.append(VCacheEntry())
    return Run(len(stream.texts), hits, wrong)


def over_threshold(stream: Labelled) -> list[Run]:
    """What each threshold would have done."""
    cosines = stream.vectors @ stream.vectors.T
    runs = []
    for threshold in THRESHOLDS:
        kept = np.zeros(len(stream.texts), bool)
        hits = wrong = 0
        for asked, answer in enumerate(stream.answers):
            row = np.where(kept, cosines[asked], -2.0)
            near = int(row.argmax())
            if row[near] >= threshold:
                hits += 1
                wrong += stream.answers[near] != answer
            else:
                kept[asked] = True
        runs.append(Run(len(stream.texts), hits, wrong))
    return runs


def most_hits(runs: Sequence[Run], error: Error, limit: float) -> Run:
    """The run with the most hits within an error; one without hits if there is none."""
    within = [run for run in runs if error(run) <= limit]
    return max(within, key=lambda run: run.hits, default=Run(runs[0].questions, 0, 0))


def at_limits(ours: Runs, published: Runs, cosine: Sequence[Sequence[Run]]) -> dict[str, Any]:
    """Each bound as it was set, and the thresholds that come to the same error among reuses."""
    figures = {}
    for limit in LIMITS:
        at_our_error = [
            most_hits(runs, wrong_share, run.wrong_share)
            for run, runs in zip(ours[limit], cosine, strict=True)
        ]
        at_limit = [most_hits(runs, wrong_share, limit) for runs in cosine]
        figures[str(limit)] = {
            "ours": figure(ours[limit]),
            "vcache": figure(published[limit]),
            "cosine_at_our_error": figure(at_our_error),
            "cosine_at_the_limit": figure(at_limit),
            "times_at_our_error": times(ours[limit], at_our_error),
            "times_at_the_limit": times(ours[limit], at_limit),
        }
    return figures


def of_all(ours: Runs, cosine: Sequence[Sequence[Run]]) -> dict[str, Any]:
    """At a given error among all questions, both chosen in hindsight."""
    figures = {}
    by_stream = list(zip(*ours.values(), strict=True))
    for limit in LIMITS:
        best = [most_hits(runs, wrong_of_all, limit) for runs in by_stream]
        at_limit = [most_hits(runs, wrong_of_all, limit) for runs in cosine]
        figures[str(limit)] = {
            "ours": figure(best),
            "cosine": figure(at_limit),
            "times": times(best, at_limit),
        }
    return figures


def wrong_share(run: Run) -> float:
    """Wrong reuses among reuses."""
    return run.wrong_share


def wrong_of_all(run: Run) -> float:
    """Wrong reuses among questions."""
    return run.wrong_of_all


def figure(runs: Sequence[Run]) -> dict[str, float]:
    """Hits a stream, and the errors, over all streams together."""
    hits, wrong = sum(run.hits for run in runs), sum(run.wrong for run in runs)
    return {
        "hits": round(hits / len(runs), 1),
        "wrong_share": round(wrong / max(1, hits), 5),
        "wrong_of_all": round(wrong / sum(run.questions for run in runs), 5),
    }


def times(ours: Sequence[Run], others: Sequence[Run]) -> float | None:
    """How many times as many hits; None where the others have none."""
    hits = sum(run.hits for run in others)
    return round(sum(run.hits for run in ours) / hits, 2) if hits else None


def measure(data: Path, count: int) -> dict[str, Any]:
    """Everything on the same streams."""
    banking = load_banking(data, packaged_embed)
    streams = [banking.sample(STREAM, seed) for seed in range(count)]
    ours = {
        limit: [reuse(stream, Bound(limit), seed) for seed, stream in enumerate(streams)]
        for limit in (*LIMITS, *LOOSER_LIMITS)
    }
    published = {
        limit: [vcache(stream, limit, seed) for seed, stream in enumerate(streams)]
        for limit in LIMITS
    }
    cosine = [over_threshold(stream) for stream in streams]
    return {
        "set": "banking77",
        "questions": STREAM,
        "seeds": list(range(count)),
        "limits": at_limits(ours, published, cosine),
        "error_of_all": of_all(ours, cosine),
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--streams", type=int, default=STREAMS)
    arguments = parser.parse_args()
    write_result("reuse_streams", measure(arguments.data, arguments.streams))


if __name__ == "__main__":
    main()
