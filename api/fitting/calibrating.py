"""Fits confidence and routing to a user's own outcomes. What was fitted is kept in one file."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from api.assembly.deciding import CALIBRATION, read_calibration
from api.fitting.outcomes import Outcome
from api.settings import Settings
from evaluation.measures.confidence import Rows, expected_calibration_error
from generation.confidence import fitting
from generation.confidence.risk import RiskLimit, limit_risk
from generation.deciding.asked import Asked
from generation.deciding.chances import Traits, bundled_chances, traits_of
from generation.deciding.fitting_routes import (
    MIN_OF_EACH,
    MIN_OUTCOMES,
    RoutingExample,
    fit_router,
)
from generation.deciding.routing import Router
from rag.errors import InputError
from rag.ports import Embedder
from rag.types import Passage, Tier, Vector

TIERS: tuple[Tier, ...] = ("extractive", "local", "premium")
_RISING = ("quote_confidence", "quote_cosine", "sparse_score", "top_score", "supported",
           "low_logprob", "mean_logprob")  # fmt: skip
_AT_ONCE = 64
_DELTA = 0.01
"""The chance that a risk limit does not hold."""


@dataclass(frozen=True, slots=True)
class TierFit:
    """What came of a tier in a collection, "" for all of them together.

    `refused` says why nothing was fitted, empty where it was. `before` and `after` have shape
    `[answers, 2]`: confidence, and 1 for right; before only where it was known, and after by what
    was not fitted on the answer. `limit` is the confidence from which on errors stay below a limit,
    None where nothing was fitted.
    """

    tier: Tier
    collection: str
    outcomes: int
    right: int
    before: Rows
    after: Rows
    refused: str
    limit: RiskLimit | None = None

    def ece(self) -> tuple[float | None, float | None]:
        """The calibration error before and after."""
        return expected_calibration_error(self.before), expected_calibration_error(self.after)


@dataclass(frozen=True, slots=True)
class Calibration:
    """All of it. `record` is what is kept; empty where nothing could be fitted."""

    tiers: tuple[TierFit, ...]
    router: Router | None
    router_refused: str
    record: Mapping[str, Any]


async def calibrate(
    outcomes: Sequence[Outcome], source: str, embedder: Embedder, max_error: float, seed: int
) -> Calibration:
    """Fit what there is enough data for; the rest is refused with its reason.

    `max_error`, between 0 and 1, is the share of wrong answers that is looked for. Raises
    InputError where there is too little for anything, and MissingExtraError.
    """
    tiers: list[TierFit] = []
    calibrators: list[dict[str, Any]] = []
    for tier, collection in _parts(outcomes):
        mine = [one for one in outcomes if one.tier == tier and collection in ("", one.collection)]
        fit, record = _fit_tier((tier, collection), mine, source, max_error, seed)
        tiers.append(fit)
        if record is not None:
            calibrators.append({"tier": tier, "collection": collection, "record": record})
    router, refused = await _fit_router(outcomes, source, embedder, seed)
    if not calibrators and router is None:
        reasons = [fit.refused for fit in tiers if fit.refused]
        raise InputError(reasons[0] if reasons else refused)
    judged = with_calibrated(outcomes, seed)
    record = {
        "source": source,
        "fitted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "calibrators": calibrators,
        "traits": {tier: asdict(told) for tier, told in traits_from(judged).items()},
        "router": None if router is None else router.to_record(),
    }
    return Calibration(tuple(tiers), router, refused, record)


def with_calibrated(outcomes: Sequence[Outcome], seed: int) -> list[Outcome]:
    """The outcomes with the confidence that a calibration not fitted on them would give.

    Those of a tier with too little to fit stay as they are. Raises MissingExtraError.
    """
    found: list[Outcome] = []
    for tier in TIERS:
        mine = [one for one in outcomes if one.tier == tier]
        known = [one for one in mine if one.signals]
        try:
            fitted = fitting.fit_calibrator(_to_fit(known), tier, "", seed, _RISING)
        except InputError:
            found += mine
            continue
        found += [one for one in mine if not one.signals]
        found += [
            replace(one, confidence=told) for told, one in zip(fitted.held_out, known, strict=True)
        ]
    return found


async def asked_of(
    questions: Mapping[tuple[str, str], Sequence[Outcome]], embedder: Embedder
) -> list[Asked]:
    """By question and collection, what is known before a model is asked, in order."""
    keys = list(questions)
    vectors: list[Vector] = []
    for first in range(0, len(keys), _AT_ONCE):
        some = keys[first : first + _AT_ONCE]
        embedded = await embedder.embed([Passage(text, "question") for text, _ in some])
        vectors += [one.vector for one in embedded]
    return [
        Asked(text, vector, collection, _of_retrieval(questions[text, collection]))
        for (text, collection), vector in zip(keys, vectors, strict=True)
    ]


def write_calibration(fitted: Calibration, settings: Settings) -> Path:
    """Keep what was fitted, in one step; what was refused stays as it was. Raises InputError."""
    data_dir = settings.data_dir
    path = data_dir / CALIBRATION
    record = _over(read_calibration(data_dir) or {}, fitted.record)
    partial = path.with_suffix(".part")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(record), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): mend that") from None
    return path


def _over(kept: Mapping[str, Any], fitted: Mapping[str, Any]) -> dict[str, Any]:
    """What was fitted now, and of what was kept that which it does not replace."""
    new = {(one["tier"], one["collection"]) for one in fitted["calibrators"]}
    old = [
        one for one in kept.get("calibrators", ()) if (one["tier"], one["collection"]) not in new
    ]
    return {
        **fitted,
        "calibrators": [*old, *fitted["calibrators"]],
        "router": fitted["router"] or kept.get("router"),
    }


def _parts(outcomes: Sequence[Outcome]) -> list[tuple[Tier, str]]:
    """What is fitted: each tier, and, where there are several, each of its collections too."""
    found: list[tuple[Tier, str]] = []
    for tier in TIERS:
        collections = sorted({one.collection for one in outcomes if one.tier == tier})
        found += [(tier, "")] if collections else []
        found += [(tier, collection) for collection in collections if len(collections) > 1]
    return found


def _fit_tier(
    part: tuple[Tier, str], mine: Sequence[Outcome], source: str, max_error: float, seed: int
) -> tuple[TierFit, dict[str, Any] | None]:
    tier, collection = part
    known = [one for one in mine if one.signals]
    before = _rows([(one.confidence, one.is_right) for one in mine if one.confidence is not None])
    right = sum(one.is_right for one in mine)
    try:
        fitted = fitting.fit_calibrator(_to_fit(known), tier, source, seed, _RISING)
    except InputError as error:
        return TierFit(tier, collection, len(mine), right, before, _rows([]), str(error)), None
    after = _rows([(p, one.is_right) for p, one in zip(fitted.held_out, known, strict=True)])
    limit = limit_risk(fitted.held_out, [one.is_right for one in known], max_error, _DELTA)
    return TierFit(tier, collection, len(mine), right, before, after, "", limit), fitted.record


def _to_fit(outcomes: Sequence[Outcome]) -> list[fitting.Outcome]:
    return [fitting.Outcome(dict(one.signals), one.is_right) for one in outcomes]


async def _fit_router(
    outcomes: Sequence[Outcome], source: str, embedder: Embedder, seed: int
) -> tuple[Router | None, str]:
    """The router over the questions that are known, and why there is none."""
    written = [one for one in outcomes if one.tier != "extractive"]
    if not written:
        return None, "no outcome is of a model: there is nothing to route to"
    asked = _by_question(_enough([one for one in written if one.question]))
    if not asked:
        return None, (
            f"no model has {MIN_OUTCOMES} outcomes that name their question, with {MIN_OF_EACH} "
            "right and wrong ones: give more"
        )
    examples = [
        RoutingExample(one, {told.tier: told.is_right for told in same})
        for one, same in zip(await asked_of(asked, embedder), asked.values(), strict=True)
    ]
    try:
        return fit_router(examples, seed, embedder.fingerprint, source), ""
    except InputError as error:
        return None, str(error)


def _enough(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those of tiers that have enough for a routing."""
    found: list[Outcome] = []
    for tier in TIERS:
        mine = [one for one in outcomes if one.tier == tier]
        right = sum(one.is_right for one in mine)
        if len(mine) >= MIN_OUTCOMES and MIN_OF_EACH <= right <= len(mine) - MIN_OF_EACH:
            found += mine
    return found


def _by_question(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    asked: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        asked[one.question, one.collection].append(one)
    return asked


def _of_retrieval(same: Sequence[Outcome]) -> dict[str, float | None]:
    """The signals that were known before any of these answers was made."""
    known = ("quote_confidence", "quote_cosine", "sparse_score", "top_score", "margin",
             "top_cosine")  # fmt: skip
    told = {name: value for one in same for name, value in one.signals.items()}
    return {name: told[name] for name in known if name in told}


def traits_from(outcomes: Sequence[Outcome]) -> dict[Tier, Traits]:
    """How much the confidence of a tier tells, and what its chance is where the one below erred.

    What the outcomes do not tell stays as it is stated in the project.
    """
    traits = traits_of(bundled_chances())
    for tier, stated in traits.items():
        sure = _rows(
            [
                (one.confidence, one.is_right)
                for one in outcomes
                if one.tier == tier and one.confidence is not None
            ]
        )
        right = sure[:, 1]
        if min(right.sum(), (1 - right).sum()) >= fitting.MIN_OF_EACH:
            told = float(np.corrcoef(sure[:, 0], right)[0, 1]) if sure[:, 0].std() else 0.0
            traits[tier] = replace(stated, sharpness=min(max(told, 0.0), 1.0))
    both = [
        {one.tier: one.is_right for one in same}
        for same in _by_question([one for one in outcomes if one.question]).values()
    ]
    both = [one for one in both if {"local", "premium"} <= set(one)]
    erred = [one["premium"] for one in both if not one["local"]]
    if len(erred) >= fitting.MIN_OF_EACH and any(one["premium"] for one in both):
        chance = np.mean([one["premium"] for one in both])
        traits["premium"] = replace(traits["premium"], after_error=float(np.mean(erred) / chance))
    return traits


def _rows(pairs: Sequence[tuple[float, bool]]) -> Rows:
    return np.array(pairs, float).reshape(len(pairs), 2)
