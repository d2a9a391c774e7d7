"""How likely two questions want the same answer, by their vectors and words.

Questions of one collection have their topic in common, and a plain cosine takes that for likeness.
So the mean of the kept questions is taken off both vectors first (Mu and Viswanath, 1702.01417),
and a question that lies nearly as close to a kept one with another answer counts for less (the idea
of cross-domain similarity local scaling, Conneau et al., 1710.04087). A logistic regression makes
one number of both and of the words in common; its weights, and what they were fitted on, stand in
`sameness.json`, which `benchmarks/fit_sameness.py` writes.

It knows nothing of numbers, names and "not"s: `differences` sees those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

import numpy as np

from generation.reuse.comparing.matching import match
from generation.reuse.comparing.reading import read
from generation.reuse.differences import MOST_WORDS
from rag.types import Vector

_FEW = 5
"""The mean of so many questions of no topic is mixed in, so that a few do not make one."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What the kept questions of a collection have in common; `mean` has the vectors' dimension."""

    mean: Vector

    @classmethod
    def of(cls, vectors: Vector) -> Self:
        """From the unit vectors of the kept questions, shape `[n, dimension]`; n may be 0."""
        mean: Vector = (vectors.sum(axis=0) / (len(vectors) + _FEW)).astype(np.float32)
        return cls(mean)

    def cosines(self, kept: Vector, asked: Vector) -> Vector:
        """Shape `[n]`, -1 to 1: of vectors `[n, dimension]` and one `[dimension]`."""
        cosines: Vector = self.centred(kept) @ self.centred(asked)
        return cosines

    def centred(self, vectors: Vector) -> Vector:
        """Unit vectors without what is common, shape `[n, dimension]` or `[dimension]`."""
        rest = vectors - self.mean
        norms = np.linalg.norm(rest, axis=-1, keepdims=True)
        unit: Vector = (rest / np.maximum(norms, 1e-9)).astype(np.float32)
        return unit


class Sameness:
    """Scores pairs of questions with fitted weights; `threshold` is a score to begin with.

    From the threshold on, 98% of the pairs that it was fitted on, and in which no difference was
    seen, were the same: a mixture of question sets, which says little about any one collection.
    """

    def __init__(self, intercept: float, weights: Mapping[str, float], threshold: float) -> None:
        self._intercept = intercept
        self._weights = dict(weights)
        self.threshold = threshold

    @classmethod
    def bundled(cls) -> Self:
        """The weights that come with the project."""
        record = json.loads(files(__package__).joinpath("sameness.json").read_text("utf-8"))
        return cls(record["intercept"], record["weights"], record["threshold"])

    def score(self, kept: str, asked: str, cosine: float, rival: float = 0.0) -> float:
        """0 to 1 that an answer to the kept question is one to the asked.

        Both numbers are cosines that `Background.cosines` gives: `cosine` of the asked and the kept
        question, `rival` the highest of the asked question and any that was kept with another
        answer; 0 where there is none.
        """
        signals = signals_of(kept, asked, cosine, rival)
        total = self._intercept + sum(
            weight * signals[name] for name, weight in self._weights.items()
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def signals_of(kept: str, asked: str, cosine: float, rival: float) -> dict[str, float]:
    """What the score is made of: both cosines, and the share of the words that are the same.

    That share is 0 for long questions, which `differences` does not compare.
    """
    before, now = read(kept), read(asked)
    is_long = max(len(before.words), len(now.words)) > MOST_WORDS
    words = 0.0 if is_long else match(before, now).share
    return {"cosine": cosine, "rival": max(rival, 0.0), "words": words}
