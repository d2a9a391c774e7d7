"""How likely a quoted answer is right and supported: a first, fitted estimate.

A logistic regression over a few signals of question, hits and quotes, which cost no model call.
The coefficients, and the data and labels they were fitted on, stand in `quoted.json`;
`benchmarks/fit_confidence.py` writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Signals:
    """What the estimate is made of.

    - `quote_cosine`: the highest cosine of question and quoted sentence, -1 to 1
    - `sparse_score`: the highest of the hits' BM25 shares, 0 to 1

    The best hit's score and its margin before the next, the terms in the quotes, the usefulness of
    the best part, the question's words in the hit quoted first and the kind of answer that is asked
    for were tried beside these: none made it better on all sets.
    """

    quote_cosine: float
    sparse_score: float


class LogisticConfidence:
    """Probability, 0 to 1, that the answer is right, from its signals."""

    def __init__(self, intercept: float, weights: Mapping[str, float]) -> None:
        self._intercept = intercept
        self._weights = dict(weights)

    @classmethod
    def bundled(cls) -> LogisticConfidence:
        """The coefficients that come with the project."""
        record = json.loads(files(__package__).joinpath("quoted.json").read_text())
        return cls(record["intercept"], record["weights"])

    def estimate(self, signals: Signals) -> float:
        """The probability for these signals."""
        values = asdict(signals)
        total = self._intercept + sum(
            weight * values[name] for name, weight in self._weights.items()
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
