"""Fits the probability that an answer is right to outcomes: signals, and whether it was right.

A logistic regression gives a margin. Its probabilities are then set right on the margins of
outcomes that were left out, by a straight line through the log odds (Platt, 1999) or by a centered
isotonic curve (Oron and Flournoy, 2017), whichever has the lower log loss in a second
cross-validation. Curves need many outcomes (Niculescu-Mizil and Caruana, ICML 2005).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from generation.confidence.calibration import KIND, VERSION
from rag.errors import InputError, MissingExtraError

Array = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]
_Fold = tuple[_Rows, _Rows]

MIN_OUTCOMES = 100
MIN_OF_EACH = 10
"""The least that is fitted on, and the least of right and of wrong ones."""

_FOLDS = 5
_PENALTY = 30.0  # on the squared weights of signals in standard deviations
_QUANTILES = (*np.arange(10) / 10, 0.95, 0.99)  # the last for flags that are rarely set


@dataclass(frozen=True, slots=True)
class Outcome:
    """The signals of an answer, None where one is missing, and whether the answer was right.

    `weight` is how much it counts beside the others.
    """

    signals: Mapping[str, float | None]
    is_right: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """The record for a `Calibrator`, and the estimate of each outcome by what was not fitted on it.

    `held_out` are probabilities, in the order of the outcomes.
    """

    record: dict[str, Any]
    held_out: list[float]


def fit_calibrator(
    outcomes: Sequence[Outcome],
    tier: str,
    source: str,
    seed: int,
    rising: Collection[str] = (),
) -> Fit:
    """Fit the outcomes of a tier. `source` names them in the record.

    More of a signal in `rising` never makes an answer less likely right. A signal that never
    varies is left out. Raises InputError for too few outcomes, too few right or wrong ones, and
    signals that are no numbers; MissingExtraError without scikit-learn.
    """
    _check(outcomes, tier)
    right = np.array([outcome.is_right for outcome in outcomes], float)
    weights = np.array([outcome.weight for outcome in outcomes])
    table = _Table.of(outcomes, rising)
    if not table.names:
        raise InputError(
            f"no signal of the tier {tier} differs between its {len(right)} outcomes: "
            "give at least one that does"
        )
    folds = _folds(right, seed)
    margins = np.empty(len(right))
    for left_out, kept in folds:
        fitted = table.fit(kept, right, weights)
        margins[left_out] = table.margins(fitted, left_out)
    isotonic, held_out = _choose_mapping(margins, right, weights, folds)
    parameters = table.fit(np.arange(len(right)), right, weights)
    record = {
        "kind": KIND,
        "version": VERSION,
        "tier": tier,
        "source": source,
        "fitted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": len(right),
        "right": round(float(right.mean()), 4),
        "held_out": {
            "log_loss": round(_log_loss(held_out, right, weights), 4),
            "brier": round(float(np.average((held_out - right) ** 2, weights=weights)), 4),
        },
    }
    if isotonic:
        record |= table.facts(parameters) | {"curve": _curve(margins, right, weights)}
    else:
        offset, slope = _line(margins, right, weights)
        parameters = parameters * slope
        parameters[0] += offset
        record |= table.facts(parameters) | {"curve": None}
    return Fit(record, held_out.tolist())


def _check(outcomes: Sequence[Outcome], tier: str) -> None:
    for number, outcome in enumerate(outcomes, start=1):
        for name, value in outcome.signals.items():
            if value is not None and not math.isfinite(value):
                raise InputError(
                    f"{name} of outcome {number} is {value}, which is no number: leave it out"
                )
    right = sum(outcome.is_right for outcome in outcomes)
    for what, count, limit in (
        ("outcomes", len(outcomes), MIN_OUTCOMES),
        ("right answers", right, MIN_OF_EACH),
        ("wrong answers", len(outcomes) - right, MIN_OF_EACH),
    ):
        if count < limit:
            raise InputError(
                f"the tier {tier} has {count} {what}, at least {limit} are needed to fit its "
                "confidence: collect more verdicts, and keep the present estimate until then"
            )


@dataclass(frozen=True, slots=True)
class _Table:
    """The signals as columns in standard deviations from their mean, then which are missing."""

    names: tuple[str, ...]
    values: Array  # [n, signals], NaN where missing
    means: Array
    spreads: Array
    marked: tuple[int, ...]  # the signals whose absence has a column
    columns: Array
    bounds: tuple[tuple[float | None, float | None], ...]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], rising: Collection[str]) -> _Table:
        names = sorted({name for outcome in outcomes for name in outcome.signals})
        values = np.array(
            [[outcome.signals.get(name) for name in names] for outcome in outcomes], float
        ).reshape(len(outcomes), len(names))
        varies = [place for place, column in enumerate(values.T) if len(set(_known(column))) > 1]
        values = values[:, varies]
        names = [names[place] for place in varies]
        means, spreads = np.nanmean(values, 0), np.nanstd(values, 0)
        absent = np.isnan(values)
        marked = tuple(np.flatnonzero(absent.any(0)).tolist())
        columns = np.hstack(
            [np.where(absent, 0.0, (values - means) / spreads), absent[:, marked].astype(float)]
        )
        bounds = [(0.0, None) if name in rising else (None, None) for name in names]
        return cls(
            tuple(names),
            values,
            means,
            spreads,
            marked,
            columns,
            (*bounds, *[(None, None)] * len(marked)),
        )

    def fit(self, rows: _Rows, right: Array, weights: Array) -> Array:
        return _logistic(self.columns[rows], right[rows], weights[rows], _PENALTY, self.bounds)

    def margins(self, parameters: Array, rows: _Rows) -> Array:
        margins: Array = self.columns[rows] @ parameters[1:] + parameters[0]
        return margins

    def facts(self, parameters: Array) -> dict[str, Any]:
        """Intercept and signals as they stand in a record: weights per unit of the raw signal."""
        per_unit = parameters[1 : 1 + len(self.names)] / self.spreads
        absent = dict(zip(self.marked, parameters[1 + len(self.names) :], strict=True))
        signals = {
            name: {
                "weight": float(per_unit[place]),
                "when_missing": float(per_unit[place] * self.means[place] + absent.get(place, 0.0)),
                **_distribution(self.values[:, place]),
            }
            for place, name in enumerate(self.names)
        }
        return {
            "intercept": float(parameters[0] - per_unit @ self.means),
            "signals": signals,
        }


def _known(column: Array) -> Array:
    return column[~np.isnan(column)]


def _distribution(column: Array) -> dict[str, Any]:
    """Where the values begin, at quantiles, and the shares from there on; fewer where many are the
    same.
    """
    known = _known(column)
    edges = np.unique(np.quantile(known, _QUANTILES, method="higher"))
    counts = np.bincount(np.searchsorted(edges, known, "right") - 1, minlength=len(edges))
    return {
        "missing": 1 - len(known) / len(column),
        "edges": edges.tolist(),
        "high": float(known.max()),
        "shares": (counts / len(column)).tolist(),
    }


def _logistic(
    columns: Array,
    right: Array,
    weights: Array,
    penalty: float,
    bounds: Sequence[tuple[float | None, float | None]],
) -> Array:
    """Intercept and weights of least penalised log loss, the weights within their bounds.

    `right` is how far each is taken for right, 0 to 1.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise _missing() from None

    def loss(parameters: Array) -> tuple[float, Array]:
        margins = columns @ parameters[1:] + parameters[0]
        value = float(weights @ (np.logaddexp(0, margins) - right * margins))
        value += penalty / 2 * float(parameters[1:] @ parameters[1:])
        pull = weights * (_probability(margins) - right)
        return value, np.append(pull.sum(), columns.T @ pull + penalty * parameters[1:])

    found = minimize(
        loss,
        np.zeros(1 + columns.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), *bounds],
    )
    parameters: Array = found.x
    return parameters


def _folds(right: Array, seed: int) -> list[_Fold]:
    """Rows left out and rows kept, with as many right ones in each fold as can be."""
    shuffled = np.random.default_rng(seed).permutation(len(right))
    ordered = shuffled[np.argsort(right[shuffled], kind="stable")]
    fold_of = np.empty(len(right), int)
    fold_of[ordered] = np.arange(len(right)) % _FOLDS
    return [
        (np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)) for fold in range(_FOLDS)
    ]


def _choose_mapping(
    margins: Array, right: Array, weights: Array, folds: Sequence[_Fold]
) -> tuple[bool, Array]:
    """Whether a curve beats the line, and the better one's probabilities of what it did not see."""
    line, curve = np.empty(len(right)), np.empty(len(right))
    for left_out, kept in folds:
        of_fold = margins[kept], right[kept], weights[kept]
        offset, slope = _line(*of_fold)
        line[left_out] = _probability(offset + slope * margins[left_out])
        points = _curve(*of_fold)
        curve[left_out] = np.interp(margins[left_out], points["margins"], points["probabilities"])
    is_better = _log_loss(curve, right, weights) < _log_loss(line, right, weights)
    least = 1 / (len(right) + 2)
    return is_better, np.clip(curve if is_better else line, least, 1 - least)


def _line(margins: Array, right: Array, weights: Array) -> Array:
    """Offset and slope of the log odds over the margins, for verdicts that are not quite sure.

    Platt's targets: without them, margins that part right from wrong would make it sure for ever.
    """
    likely = (right.sum() + 1) / (right.sum() + 2)
    unlikely = 1 / (len(right) - right.sum() + 2)
    targets = np.where(right > 0, likely, unlikely)
    return _logistic(margins[:, None], targets, weights, 0.0, [(0.0, None)])


def _curve(margins: Array, right: Array, weights: Array) -> dict[str, list[float]]:
    """The isotonic curve, straight between the middles of its steps."""
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError:
        raise _missing() from None
    least = 1 / (len(right) + 2)  # no surer than so many outcomes allow (Laplace)
    isotonic = IsotonicRegression(y_min=least, y_max=1 - least).fit(margins, right, weights)
    levels, step_of = np.unique(isotonic.predict(margins), return_inverse=True)
    middles = np.bincount(step_of, weights * margins) / np.bincount(step_of, weights)
    return {"margins": middles.tolist(), "probabilities": levels.tolist()}


def _probability(margins: Array) -> Array:
    probabilities: Array = 1 / (1 + np.exp(-np.clip(margins, -30, 30)))
    return probabilities


def _log_loss(probabilities: Array, right: Array, weights: Array) -> float:
    likely = np.where(right > 0, probabilities, 1 - probabilities)
    return float(np.average(-np.log(np.maximum(likely, 1e-12)), weights=weights))


def _missing() -> MissingExtraError:
    return MissingExtraError(
        "scikit-learn, which fitting a confidence needs,", "pip install 'thrifty-rag[evaluate]'"
    )
