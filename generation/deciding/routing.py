"""How likely each tier is to answer a question rightly, before anything is generated.

For each tier a logistic regression over smooth functions of the question: how close it is to some
fitted questions (landmarks) in its vector, in the measures of its text and in its signals, and an
offset of its group. This is a Gaussian process with an additive kernel, approximated by landmarks
(Williams and Seeger, NIPS 2000), so that a question close to what was asked before borrows from it,
and a group with few outcomes is drawn towards the others. All of it stands in a record that
`fitting_routes` writes; using it takes numpy alone.

It knows what it does not know: a question unlike those it was fitted on, or a signal that is
missing though it never was, still gives numbers, but ones that say that they are out of range.
Whoever decides should then fall back to a rule that is safe without them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from generation.deciding.asked import Asked, measures
from rag.errors import ModelError
from rag.types import Vector

Array = npt.NDArray[np.float64]

KIND = "router"
VERSION = 1
ENOUGH_MISSING = 10
"""So many questions without a signal must have been fitted on for its absence to be known."""

_FURTHEST = 3.0  # in standard deviations: beyond, a column tells no more
_DIGITS = 6
_VECTOR_DIGITS = 3  # enough for a cosine, and most of a record


@dataclass(frozen=True, slots=True)
class RouteEstimate:
    """Each tier's chance to be right, 0 to 1; `is_in_range` when they rest on what was fitted; if
    not, `why`.
    """

    chances: dict[str, float]
    is_in_range: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Directions:
    """Where a vector lies along the main directions of those fitted on.

    `mean` has shape `[dimension]`, `axes` `[n, dimension]`.
    """

    mean: Array
    axes: Array

    def place(self, vector: Vector | Array) -> Array:
        """Shape `[n]`, of a length of at most 1."""
        centred = vector - self.mean
        place: Array = self.axes @ centred / max(float(np.linalg.norm(centred)), 1e-12)
        return place


@dataclass(frozen=True, slots=True)
class Columns:
    """Named numbers in standard deviations from their mean, then which of some are missing.

    `means`, `spreads`, `lows` and `highs` are of the numbers as they came, `missing` counts the
    questions without each. A number that is missing counts as the mean.
    """

    names: tuple[str, ...]
    means: Array
    spreads: Array
    lows: Array
    highs: Array
    missing: tuple[int, ...]

    def place(self, values: Mapping[str, float | None]) -> Array:
        """Shape `[columns]`."""
        given = self._given(values)
        is_missing = np.isnan(given)
        standard = np.where(is_missing, 0.0, (given - self.means) / self.spreads)
        marked = is_missing[np.array(self.missing, bool)]
        return np.concatenate([np.clip(standard, -_FURTHEST, _FURTHEST), marked.astype(float)])

    def doubts(self, values: Mapping[str, float | None]) -> list[str]:
        """Why these values are not like those fitted on; empty when they are."""
        given = self._given(values)
        doubts = [
            f"{name} is missing"
            for name, value, missing in zip(self.names, given, self.missing, strict=True)
            if math.isnan(value) and missing < ENOUGH_MISSING
        ]
        outside = (given < self.lows - self.spreads) | (given > self.highs + self.spreads)
        return doubts + [
            f"{name} is {value:.3g}, fitted on {low:.3g} to {high:.3g}"
            for name, value, low, high, is_outside in zip(
                self.names, given, self.lows, self.highs, outside, strict=True
            )
            if is_outside
        ]

    def _given(self, values: Mapping[str, float | None]) -> Array:
        return np.array([values.get(name) for name in self.names], float)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Some places of fitted questions, shape `[n, columns]`, and how far each of them reaches."""

    places: Array
    width: float

    def closeness(self, places: Array) -> Array:
        """0 to 1, shape `[..., n]`, of places of shape `[..., columns]`."""
        square = np.sum(places**2, -1)[..., None] + np.sum(self.places**2, -1)
        away = np.maximum(square - 2 * places @ self.places.T, 0)
        closeness: Array = np.exp(-away / (2 * self.width**2))
        return closeness


@dataclass(frozen=True, slots=True)
class TierWeights:
    """The log odds of a tier: weights of the landmarks of each part, and offsets of the groups.

    `rows` is how many outcomes it was fitted on, `right` the share of right ones among them.
    `log_loss` is that of outcomes left out, `base_log_loss` that of always saying `right`.
    """

    intercept: float
    groups: Mapping[str, float]
    weights: Mapping[str, Array]
    rows: int
    right: float
    log_loss: float
    base_log_loss: float


@dataclass(frozen=True, slots=True)
class Router:
    """Estimates each tier's chance to be right from what is known of a question.

    `embedding` is the fingerprint of the model whose vectors it was fitted on. `landmarks` are by
    part: `vector`, `text`, and `signals`, as far as these differ between questions. `known` are
    the vectors of some questions fitted on, shape `[n, dimension]`: of those fitted on, 99 of 100
    had at least the cosine `least_cosine` to another one of these.
    """

    embedding: str
    source: str
    directions: Directions
    text: Columns
    signals: Columns
    landmarks: Mapping[str, Landmarks]
    known: Array
    least_cosine: float
    tiers: Mapping[str, TierWeights]

    def chances(self, asked: Asked) -> dict[str, float]:
        """Each tier's chance, 0 to 1, to answer rightly."""
        return self.estimate(asked).chances

    def estimate(self, asked: Asked) -> RouteEstimate:
        """The chances, and whether they rest on what was fitted.

        A group that was not fitted on counts as the mean of all. Raises ModelError for a vector of
        another dimension.
        """
        if asked.vector.shape != self.directions.mean.shape:
            raise ModelError(
                f"the question's vector has {asked.vector.size} numbers, the router was fitted on "
                f"{self.directions.mean.size}: fit it again with the present embedding model"
            )
        text = measures(asked.question)
        places = {
            "vector": self.directions.place(asked.vector),
            "text": self.text.place(text),
            "signals": self.signals.place(asked.signals),
        }
        close = {part: marks.closeness(places[part]) for part, marks in self.landmarks.items()}
        doubts = self.text.doubts(text) + self.signals.doubts(asked.signals)
        nearest = float((self.known @ asked.vector).max())
        if nearest < self.least_cosine:
            doubts.append(
                f"the question is unlike those fitted on (cosine {nearest:.2f} to the nearest, "
                f"usually at least {self.least_cosine:.2f})"
            )
        chances = {name: _chance(tier, asked.group, close) for name, tier in self.tiers.items()}
        return RouteEstimate(chances, not doubts, "; ".join(doubts))

    def to_record(self) -> dict[str, Any]:
        """What `from_record` reads, of JSON's types."""
        return {
            "kind": KIND,
            "version": VERSION,
            "embedding": self.embedding,
            "source": self.source,
            "directions": {
                "mean": _listed(self.directions.mean),
                "axes": _listed(self.directions.axes),
            },
            "text": _columns_record(self.text),
            "signals": _columns_record(self.signals),
            "landmarks": {
                part: {"places": _listed(landmarks.places), "width": landmarks.width}
                for part, landmarks in self.landmarks.items()
            },
            "known": _listed(self.known, _VECTOR_DIGITS),
            "least_cosine": self.least_cosine,
            "tiers": {name: _tier_record(tier) for name, tier in self.tiers.items()},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Router:
        """What `to_record` gave. Raises ModelError for anything else."""
        if (record.get("kind"), record.get("version")) != (KIND, VERSION):
            raise ModelError(
                f"this is {record.get('kind')!r} of version {record.get('version')!r}, not "
                f"{KIND!r} of version {VERSION}: fit it again"
            )
        try:
            return _router(record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"a router's record is damaged ({error!r}): fit it again") from error


def _chance(tier: TierWeights, group: str, close: Mapping[str, Array]) -> float:
    log_odds = tier.intercept + tier.groups.get(group, 0.0)
    log_odds += sum(float(close[part] @ weights) for part, weights in tier.weights.items())
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))


def _router(record: Mapping[str, Any]) -> Router:
    directions = record["directions"]
    return Router(
        embedding=record["embedding"],
        source=record["source"],
        directions=Directions(_array(directions["mean"]), _array(directions["axes"])),
        text=_columns(record["text"]),
        signals=_columns(record["signals"]),
        landmarks={
            part: Landmarks(_array(facts["places"]), float(facts["width"]))
            for part, facts in record["landmarks"].items()
        },
        known=_array(record["known"]),
        least_cosine=float(record["least_cosine"]),
        tiers={name: _tier(facts) for name, facts in record["tiers"].items()},
    )


def _columns(facts: Mapping[str, Any]) -> Columns:
    return Columns(
        names=tuple(facts["names"]),
        means=_array(facts["means"]),
        spreads=_array(facts["spreads"]),
        lows=_array(facts["lows"]),
        highs=_array(facts["highs"]),
        missing=tuple(facts["missing"]),
    )


def _columns_record(columns: Columns) -> dict[str, Any]:
    return {
        "names": list(columns.names),
        "means": _listed(columns.means),
        "spreads": _listed(columns.spreads),
        "lows": _listed(columns.lows),
        "highs": _listed(columns.highs),
        "missing": list(columns.missing),
    }


def _tier(facts: Mapping[str, Any]) -> TierWeights:
    weights = {part: _array(values) for part, values in facts["weights"].items()}
    return TierWeights(**{**facts, "weights": weights})


def _tier_record(tier: TierWeights) -> dict[str, Any]:
    weights = {part: _listed(values) for part, values in tier.weights.items()}
    return asdict(replace(tier, weights={})) | {"weights": weights}


def _array(values: Sequence[Any]) -> Array:
    return np.array(values, float)


def _listed(values: Array, digits: int = _DIGITS) -> Any:
    """Nested lists of numbers of so many digits."""
    if values.ndim > 1:
        return [_listed(row, digits) for row in values]
    return [float(f"{value:.{digits}g}") for value in values.tolist()]
