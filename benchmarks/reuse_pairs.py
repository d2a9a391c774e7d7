"""Can it be told that two questions want the same answer?

    python -m benchmarks.reuse_pairs --data ../shared/data

The pairs of covid_question_similarity, half of them alike by people's judgement; nothing is fitted
on them. The first questions are taken as kept, so that their mean is the topic, and the nearest of
the others is the rival. Measured is the recall at which the precision is still 99, 97 and 95%, for

- a threshold on the cosine of the packaged model, which is what one would do;
- the same once the topic is taken off both vectors;
- the bundled score, with and without the rival, and without the pairs with a difference;
- as a bound, a regression over the same signals fitted on these very pairs, cross-validated.

Besides, precision and recall at the bundled threshold, and the time of differences and score.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from benchmarks.made_pairs.questions import covid_pairs, vectors_of
from benchmarks.publish import write_result
from generation.reuse.comparing.reading import read
from generation.reuse.differences import differences
from generation.reuse.sameness import Background, Sameness, signals_of

PRECISIONS = (0.99, 0.97, 0.95)
FOLDS = 5
_NEVER = -99.0
Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


def recalls(scores: Scores, is_same: Labels) -> list[float]:
    """The highest recall at each of the precisions; equal scores are told apart by no threshold."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(is_same[order])
    is_last = np.append(np.diff(scores[order]) != 0, True)
    precision = right / np.arange(1, len(order) + 1)
    recall = right / is_same.sum()
    return [
        round(float(recall[is_last & (precision >= wanted)].max(initial=0.0)), 4)
        for wanted in PRECISIONS
    ]


async def measure(data: Path, language: str) -> dict[str, Any]:
    """All methods on the pairs of one language."""
    pairs = covid_pairs(data, language)
    kept, asked, same = zip(*pairs, strict=True)
    is_same = np.array(same)
    distinct = list(dict.fromkeys(kept))
    kept_vectors, asked_vectors = await vectors_of(kept), await vectors_of(asked)
    known = await vectors_of(distinct)
    background = Background.of(known)
    near = background.centred(asked_vectors) @ background.centred(known).T
    places = np.array([distinct.index(question) for question in kept])
    cosines = near[np.arange(len(places)), places]
    near[np.arange(len(places)), places] = -1
    rivals = near.max(axis=1)
    sameness = Sameness.bundled()
    for question in distinct:
        read(question)
    scores, has_difference, seconds = [], [], []
    for one, other, cosine, rival in zip(kept, asked, cosines, rivals, strict=True):
        started = time.perf_counter()
        has_difference.append(bool(differences(one, other)))
        scores.append(sameness.score(one, other, float(cosine), float(rival)))
        seconds.append(time.perf_counter() - started)
    alone = [
        sameness.score(one, other, float(cosine))
        for one, other, cosine in zip(kept, asked, cosines, strict=True)
    ]
    differs, score = np.array(has_difference), np.array(scores)
    signals = np.array(
        [
            list(signals_of(one, other, float(cosine), float(rival)).values())
            for one, other, cosine, rival in zip(kept, asked, cosines, rivals, strict=True)
        ]
    )
    reused = ~differs & (score >= sameness.threshold)
    plain = (kept_vectors * asked_vectors).sum(axis=1).astype(np.float64)
    return {
        "pairs": len(pairs),
        "same": int(is_same.sum()),
        "recall_at_precision": {
            "cosine threshold": recalls(plain, is_same),
            "cosine without the topic": recalls(cosines.astype(np.float64), is_same),
            "score": recalls(score, is_same),
            "score and differences, no rival": recalls(np.where(differs, _NEVER, alone), is_same),
            "ours: score and differences": recalls(np.where(differs, _NEVER, score), is_same),
            "bound: fitted on these pairs": recalls(
                np.where(differs, _NEVER, _fitted_here(signals, is_same)), is_same
            ),
        },
        "with_a_difference": {
            "same": round(float(differs[is_same].mean()), 4),
            "not_same": round(float(differs[~is_same].mean()), 4),
        },
        "at_the_threshold": {
            "threshold": sameness.threshold,
            "precision": round(float(is_same[reused].mean()), 4) if reused.any() else None,
            "recall": round(float(reused[is_same].mean()), 4),
        },
        "ms_a_pair": {
            "median": round(statistics.median(seconds) * 1000, 3),
            "p99": round(float(np.quantile(seconds, 0.99)) * 1000, 3),
        },
    }


def _fitted_here(signals: Scores, is_same: Labels) -> Scores:
    odds: Scores = cross_val_predict(
        LogisticRegression(C=100), signals, is_same, cv=FOLDS, method="decision_function"
    )
    return odds


def figures(data: Path) -> dict[str, Any]:
    """English, which everything is made for, and German, which may not be hurt."""

    async def both() -> dict[str, Any]:
        return {name: await measure(data, code) for name, code in _LANGUAGES.items()}

    return {"precisions": list(PRECISIONS), **asyncio.run(both())}


_LANGUAGES = {"English": "en", "German": "de"}


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    write_result("reuse_pairs", figures(parser.parse_args().data))


if __name__ == "__main__":
    main()
