"""Fits the score by which an answer is given again to a question in other words.

    python -m benchmarks.fit_sameness --data ../shared/data

Streams of questions, each beside the kept question that is nearest to it: banking77 with 100, 500
and 1,500 kept questions, where the same intent is taken as the same answer; the questions of
nq_open and evouna, where a common short answer is; and harmless rewordings made by rule
(`benchmarks.made_pairs`, the seen words). Only pairs without a difference count, and each stream
has the same weight. The threshold is the lowest at which 98% of what is above it is the same.
Nothing of covid_question_similarity is used, on which the score is tested.

It writes generation/reuse/sameness.json, and comparing/confusable.json: the words of the packaged
model's vocabulary that are one letter from another one.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.made_pairs.questions import asked_questions, vectors_of
from benchmarks.made_pairs.rewordings import rewordings
from benchmarks.made_pairs.words import vocabulary
from generation.reuse.comparing.lexicon import form_of
from generation.reuse.differences import differences
from generation.reuse.sameness import Background, signals_of
from indexing.embedding.packaged import model_dir
from rag.types import Vector

ROOT = Path(__file__).parent.parent
REUSE = ROOT / "generation" / "reuse"
SIGNALS = ("cosine", "rival", "words")
PRECISION = 0.98
ASKED = 1_000
REWORDINGS_PER_KIND = 60
_MIN_LETTERS = 5
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Stream:
    """Pairs without a difference: their signals, shape `[n, 3]`, and whether they are the same."""

    name: str
    signals: Vector
    is_same: np.ndarray
    with_difference: int


async def nearest_pairs(
    name: str,
    kept: Sequence[str],
    asked: Sequence[str],
    is_same: Callable[[str, str], bool],
) -> Stream:
    """Each asked question with the kept one that is nearest."""
    kept_vectors, asked_vectors = await vectors_of(kept), await vectors_of(asked)
    background = Background.of(kept_vectors)
    pairs = []
    for question, vector in zip(asked, asked_vectors, strict=True):
        cosines = background.cosines(kept_vectors, vector)
        order = np.argsort(-cosines, kind="stable")
        best = kept[order[0]]
        rival = next((cosines[one] for one in order[1:] if not is_same(best, kept[one])), 0.0)
        pairs.append((best, question, cosines[order[0]], rival, is_same(best, question)))
    return _stream(name, pairs)


def _stream(name: str, pairs: Sequence[tuple[str, str, float, float, bool]]) -> Stream:
    alike = [pair for pair in pairs if not differences(pair[0], pair[1])]
    signals = [signals_of(*map(str, pair[:2]), *map(float, pair[2:4])) for pair in alike]
    rows = np.array([[one[name] for name in SIGNALS] for one in signals], np.float32)
    return Stream(name, rows, np.array([pair[4] for pair in alike]), len(pairs) - len(alike))


async def banking(data: Path, kept: int, seed: int) -> Stream:
    """A stream of support questions."""
    intents = {
        row["text"]: row["category"]
        for part in ("train", "test")
        for row in csv.DictReader((data / "banking77" / f"{part}.csv").open(encoding="utf-8"))
    }
    chosen = random.Random(seed).sample(sorted(intents), kept + ASKED)
    return await nearest_pairs(
        f"banking77, {kept} kept",
        chosen[:kept],
        chosen[kept:],
        lambda left, right: intents[left] == intents[right],
    )


async def natural(data: Path) -> Stream:
    """Questions of nq_open and evouna, half of them kept."""
    answers: dict[str, set[str]] = {}
    for file, text, gold in (
        ("nq_open/queries.jsonl", "text", "answers"),
        ("evouna/NQ.jsonl", "question", "gold"),
    ):
        for line in (data / file).read_text("utf-8").splitlines():
            row = json.loads(line)
            answers.setdefault(row[text], {answer.lower() for answer in row[gold]})
    chosen = random.Random(0).sample(sorted(answers), len(answers))
    middle = len(chosen) // 2
    return await nearest_pairs(
        "nq_open and evouna",
        chosen[:middle],
        chosen[middle:],
        lambda left, right: bool(answers[left] & answers[right]),
    )


async def reworded(data: Path) -> Stream:
    """Rewordings made by rule, beside the questions that they are made from."""
    pairs: list[tuple[str, str, float, float, bool]] = []
    for questions in asked_questions(data).values():
        vectors = await vectors_of(questions)
        background = Background.of(vectors)
        made = rewordings(questions, REWORDINGS_PER_KIND, vocabulary("seen"), seed=0)
        kept = await vectors_of([pair.kept for pair in made])
        asked = await vectors_of([pair.asked for pair in made])
        for pair, before, now in zip(made, kept, asked, strict=True):
            others = background.cosines(vectors, now)
            others[questions.index(pair.source)] = -1
            cosine = background.cosines(before[None], now)[0]
            pairs.append((pair.kept, pair.asked, cosine, others.max(), True))
    return _stream("rewordings", pairs)


def fitted(streams: Sequence[Stream]) -> tuple[LogisticRegression, float]:
    """The regression, and the threshold as log-odds."""
    rows = np.concatenate([stream.signals for stream in streams])
    is_same = np.concatenate([stream.is_same for stream in streams])
    weights = np.concatenate([np.full(len(one.is_same), 1 / len(one.is_same)) for one in streams])
    weights *= len(is_same) / len(streams)
    model = LogisticRegression(C=100, max_iter=5_000).fit(rows, is_same, sample_weight=weights)
    odds = model.decision_function(rows)
    order = np.argsort(-odds, kind="stable")
    precision = np.cumsum((is_same * weights)[order]) / np.cumsum(weights[order])
    return model, float(odds[order][np.flatnonzero(precision >= PRECISION)[-1]])


def confusable() -> list[str]:
    """Words of the vocabulary with another one, of another stem, one letter away."""
    vocabulary = json.loads((model_dir() / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    known = {
        word
        for word in vocabulary
        if word.isascii() and word.isalpha() and len(word) >= _MIN_LETTERS
    }
    return sorted(
        word
        for word in known
        if any(form_of(other) != form_of(word) for other in _one_letter_away(word) & known)
    )


def _one_letter_away(word: str) -> set[str]:
    """Behind the first letter: one less, one more, another one, or two exchanged."""
    return {
        changed
        for at in range(1, len(word) + 1)
        for changed in (
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
            *(word[:at] + letter + word[at + 1 :] for letter in _LETTERS),
            *(word[:at] + letter + word[at:] for letter in _LETTERS),
        )
        if changed != word
    }


async def fit(data: Path) -> dict[str, Any]:
    """The record of the score."""
    streams = [
        await banking(data, 100, seed=0),
        await banking(data, 500, seed=1),
        await banking(data, 1_500, seed=2),
        await natural(data),
        await reworded(data),
    ]
    model, threshold = fitted(streams)
    return {
        "fitted_on": {
            stream.name: {
                "pairs": len(stream.is_same),
                "same": round(float(stream.is_same.mean()), 4),
                "left_out_for_a_difference": stream.with_difference,
                **_above(stream, model, threshold),
            }
            for stream in streams
        },
        "intercept": round(float(model.intercept_[0]), 4),
        "weights": {
            name: round(float(weight), 4)
            for name, weight in zip(SIGNALS, model.coef_[0], strict=True)
        },
        "precision_wanted": PRECISION,
        "threshold": round(float(1 / (1 + np.exp(-threshold))), 4),
    }


def _above(stream: Stream, model: LogisticRegression, threshold: float) -> dict[str, float]:
    above = model.decision_function(stream.signals) >= threshold
    return {
        "reused": round(float(above.mean()), 4),
        "precision": round(float(stream.is_same[above].mean()), 4) if above.any() else 1.0,
    }


def main() -> None:
    """Fit and write both records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    words = textwrap.fill(", ".join(map(json.dumps, confusable())), 98)
    (REUSE / "comparing" / "confusable.json").write_text(f'{{"words": [\n{words}\n]}}\n', "utf-8")
    record = json.dumps(asyncio.run(fit(data)), indent=2)
    (REUSE / "sameness.json").write_text(f"{record}\n", "utf-8")
    print(record)


if __name__ == "__main__":
    main()
