"""Fits the chance of each tier to be right to outcomes: questions, and which tiers were right.

What is fitted stands in `routing`: for each tier a penalised logistic regression over closeness to
landmarks, which are some of the questions themselves. How sure the chances are is set right on
outcomes left out in a cross-validation (Platt, 1999), by one slope for all tiers: what decides is
the difference between tiers, and slopes of their own would put their noise into it. The outcome of
one tier may be known without those of the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generation.deciding.asked import Asked, measures
from generation.deciding.routing import (
    Array,
    Columns,
    Directions,
    Landmarks,
    Router,
    TierWeights,
)
from rag.errors import InputError, MissingExtraError

_Rows = npt.NDArray[np.int64]

MIN_OUTCOMES = 100
MIN_OF_EACH = 10
"""The least that is fitted on for a tier, and the least of right and of wrong ones."""

_DIRECTIONS = 32
_LANDMARKS = 300
_REACH = 0.7  # of a landmark, in median distances between questions
_GROUP_SCALE = 0.4**0.5  # so that offsets of groups vary about as much as a part of the question
_VARIANCE = 0.15  # prior, of the log odds that a part of the question makes
_FREE = 1e6  # a prior variance that holds nothing back
_FOLDS = 5
_UNUSUAL = 0.01  # the share of questions that count as unlike the others
_ITSELF = 1 - 1e-6  # the cosine of a question to itself or to its copy
_SMALLEST = 1e-3  # directions between landmarks that matter less are noise


@dataclass(frozen=True, slots=True)
class RoutingExample:
    """A question, and by the name of the tier whether its answer was right, where that is known."""

    asked: Asked
    right: Mapping[str, bool]


def fit_router(
    examples: Sequence[RoutingExample], seed: int, embedding: str = "", source: str = ""
) -> Router:
    """Fit the tiers that have outcomes. `embedding` is the fingerprint of the vectors' model.

    `source` names the examples in the record. Raises InputError for too few outcomes of a tier, too
    few right or wrong ones, vectors of different dimensions and numbers that are none;
    MissingExtraError without scikit-learn.
    """
    _check(examples)
    rng = np.random.default_rng(seed)
    vectors = np.array([example.asked.vector for example in examples], float)
    texts = [measures(example.asked.question) for example in examples]
    signals = [example.asked.signals for example in examples]
    directions = _directions(vectors)
    text_columns, signal_columns = _columns(texts), _columns(signals)
    places = {
        "vector": np.array([directions.place(vector) for vector in vectors]),
        "text": np.array([text_columns.place(values) for values in texts]),
        "signals": np.array([signal_columns.place(values) for values in signals]),
    }
    parts = {part: _Part.of(placed, rng) for part, placed in places.items() if placed.shape[1]}
    known = vectors[np.sort(rng.permutation(len(vectors))[:_LANDMARKS])]
    design = _Design.of(parts, [example.asked.group for example in examples])
    right = {
        tier: np.array([_label(example, tier) for example in examples]) for tier in _tiers(examples)
    }
    return Router(
        embedding=embedding,
        source=source,
        directions=directions,
        text=text_columns,
        signals=signal_columns,
        landmarks={part: fitted.landmarks for part, fitted in parts.items()},
        known=known,
        least_cosine=_least_cosine(vectors, known),
        tiers=_fit_tiers(design, right, rng),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Smooth functions of one part of what is known: `features` `[questions, functions]` of unit
    prior variance, and `back` `[landmarks, functions]`, which turns their weights into those of the
    landmarks.
    """

    landmarks: Landmarks
    features: Array
    back: Array

    @classmethod
    def of(cls, places: Array, rng: np.random.Generator) -> _Part:
        """Landmarks are questions drawn at random (Nyström's approximation)."""
        chosen = np.sort(rng.permutation(len(places))[:_LANDMARKS])
        landmarks = Landmarks(places[chosen], _REACH * _median_distance(places[chosen]))
        spread, directions = np.linalg.eigh(landmarks.closeness(places[chosen]))
        kept = spread > _SMALLEST
        back: Array = directions[:, kept] / np.sqrt(spread[kept])
        return cls(landmarks, landmarks.closeness(places) @ back, back)


@dataclass(frozen=True, slots=True)
class _Design:
    """What the regressions of all tiers are over: the functions of the parts, then the groups."""

    parts: Mapping[str, _Part]
    groups: tuple[str, ...]
    columns: Array

    @classmethod
    def of(cls, parts: Mapping[str, _Part], group_of: Sequence[str]) -> _Design:
        groups = tuple(sorted(set(group_of)))
        belongs = np.array([[group == name for name in groups] for group in group_of], float)
        features = [part.features for part in parts.values()]
        return cls(parts, groups, np.hstack([*features, belongs * _GROUP_SCALE]))

    def by_landmark(self, weights: Array) -> dict[str, Array]:
        """The weights of the landmarks of each part."""
        ends = np.cumsum([part.features.shape[1] for part in self.parts.values()])
        of_parts = np.split(weights, ends)[:-1]
        return {
            name: part.back @ of_part
            for (name, part), of_part in zip(self.parts.items(), of_parts, strict=True)
        }

    def by_group(self, weights: Array) -> dict[str, float]:
        """The offset of each group."""
        offsets = weights[-len(self.groups) :] * _GROUP_SCALE
        return dict(zip(self.groups, offsets.tolist(), strict=True))


def _fit_tiers(
    design: _Design, right: Mapping[str, Array], rng: np.random.Generator
) -> dict[str, TierWeights]:
    """The weights of each tier, from labels that are NaN where they are not known."""
    folds = rng.permutation(len(design.columns)) % _FOLDS
    held_out = {tier: _held_out(design.columns, labels, folds) for tier, labels in right.items()}
    slope, offsets = _line(held_out, right)
    tiers = {}
    for tier, labels in right.items():
        known = ~np.isnan(labels)
        intercept, weights = _logistic(design.columns[known], labels[known], _VARIANCE)
        share = float(labels[known].mean())
        tiers[tier] = TierWeights(
            intercept=offsets[tier] + slope * intercept,
            groups=design.by_group(slope * weights),
            weights=design.by_landmark(slope * weights),
            rows=int(known.sum()),
            right=share,
            log_loss=_log_loss(offsets[tier] + slope * held_out[tier][known], labels[known]),
            base_log_loss=_log_loss(np.full(known.sum(), _log_odds(share)), labels[known]),
        )
    return tiers


def _check(examples: Sequence[RoutingExample]) -> None:
    if not examples:
        raise InputError(f"no outcomes to fit a router on: give at least {MIN_OUTCOMES} of a tier")
    dimension = examples[0].asked.vector.size
    for number, example in enumerate(examples, start=1):
        vector = example.asked.vector
        if vector.shape != (dimension,) or not np.isfinite(vector).all():
            raise InputError(
                f"the vector of question {number} is not {dimension} finite numbers, as the first "
                "one's: embed all questions with the same model"
            )
        for name, value in example.asked.signals.items():
            if value is not None and not math.isfinite(value):
                raise InputError(
                    f"{name} of question {number} is {value}, which is no number: leave it out"
                )
    for tier in _tiers(examples):
        right = [example.right[tier] for example in examples if tier in example.right]
        for what, count, limit in (
            ("outcomes", len(right), MIN_OUTCOMES),
            ("right answers", sum(right), MIN_OF_EACH),
            ("wrong answers", len(right) - sum(right), MIN_OF_EACH),
        ):
            if count < limit:
                raise InputError(
                    f"the tier {tier} has {count} {what}, at least {limit} are needed to fit its "
                    "chances: collect more verdicts, or leave this tier out"
                )


def _tiers(examples: Sequence[RoutingExample]) -> list[str]:
    tiers = sorted({tier for example in examples for tier in example.right})
    if not tiers:
        raise InputError(
            f"none of {len(examples)} questions has an outcome: give at least one tier's"
        )
    return tiers


def _label(example: RoutingExample, tier: str) -> float:
    return float(example.right[tier]) if tier in example.right else math.nan


def _directions(vectors: Array) -> Directions:
    mean = vectors.mean(0)
    centred = vectors - mean
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:_DIRECTIONS]
    return Directions(mean, axes)


def _columns(rows: Sequence[Mapping[str, float | None]]) -> Columns:
    """Those of the numbers that differ between questions."""
    names = sorted({name for row in rows for name in row})
    values = np.array([[row.get(name) for name in names] for row in rows], float)
    values = values.reshape(len(rows), len(names))
    varies = [i for i, column in enumerate(values.T) if len(set(column[~np.isnan(column)])) > 1]
    values = values[:, varies]
    return Columns(
        names=tuple(names[i] for i in varies),
        means=np.nanmean(values, 0),
        spreads=np.nanstd(values, 0),
        lows=np.nanmin(values, 0),
        highs=np.nanmax(values, 0),
        missing=tuple(np.isnan(values).sum(0).tolist()),
    )


def _median_distance(places: Array) -> float:
    """Between two of them, 1 where most are the same."""
    square = np.sum(places**2, 1)
    away = np.maximum(square[:, None] + square - 2 * places @ places.T, 0)
    return float(np.median(np.sqrt(away[np.triu_indices(len(places), 1)]))) or 1.0


def _least_cosine(vectors: Array, known: Array) -> float:
    """What all but a few questions have to the nearest of those known, themselves left out."""
    cosines = vectors @ known.T
    cosines[cosines > _ITSELF] = -1
    return float(np.quantile(cosines.max(1), _UNUSUAL))


def _held_out(columns: Array, labels: Array, folds: _Rows) -> Array:
    """The log odds of each question by what was not fitted on it, NaN where it has no outcome."""
    log_odds = np.full(len(labels), math.nan)
    known = ~np.isnan(labels)
    for fold in range(_FOLDS):
        fitted, left_out = known & (folds != fold), known & (folds == fold)
        intercept, weights = _logistic(columns[fitted], labels[fitted], _VARIANCE)
        log_odds[left_out] = intercept + columns[left_out] @ weights
    return log_odds


def _line(
    held_out: Mapping[str, Array], right: Mapping[str, Array]
) -> tuple[float, dict[str, float]]:
    """The slope of all tiers and the offset of each: 0 and the plain log odds where what was fitted
    tells nothing of outcomes left out.
    """
    known = {tier: ~np.isnan(labels) for tier, labels in right.items()}
    labels = np.concatenate([right[tier][known[tier]] for tier in right])
    log_odds = np.concatenate([held_out[tier][known[tier]] for tier in right])
    of_tier = np.repeat(np.eye(len(right)), [known[tier].sum() for tier in right], axis=0)
    columns = np.column_stack([log_odds, of_tier])
    intercept, weights = _logistic(columns, labels, _FREE)
    if weights[0] <= 0:
        return 0.0, {tier: _log_odds(float(right[tier][known[tier]].mean())) for tier in right}
    return float(weights[0]), dict(zip(right, (intercept + weights[1:]).tolist(), strict=True))


def _logistic(columns: Array, labels: Array, variance: float) -> tuple[float, Array]:
    """Intercept and weights, each weight of a prior variance."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtraError(
            "scikit-learn, which fitting a router needs,", "pip install 'thrifty-rag[evaluate]'"
        ) from None
    fitted: Any = LogisticRegression(C=variance, max_iter=1_000).fit(columns, labels)
    return float(fitted.intercept_[0]), np.array(fitted.coef_[0], float)


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def _log_loss(log_odds: Array, labels: Array) -> float:
    return float(np.logaddexp(0, (1 - 2 * labels) * log_odds).mean())
