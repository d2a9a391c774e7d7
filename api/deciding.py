"""Who decides which tier answers, put together from the settings: a room of `build`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.settings import Settings
from generation.deciding.calibration import Calibrator
from generation.deciding.chances import ChanceEstimator, Traits, bundled_chances, traits_of
from generation.deciding.decision import Stakes
from generation.deciding.dials import LEAST_ERROR_USD
from generation.deciding.expected_cost import ExpectedCost
from generation.deciding.policy import PlainRule, Policy
from generation.deciding.price_of_error import (
    Allowance,
    DialledPrice,
    Floor,
    PriceOfError,
    StatedPrice,
)
from generation.deciding.routing import Router
from generation.deciding.tier_costs import TierCosts
from rag.errors import SettingsError
from rag.ports import Embedder
from rag.types import Tier

CALIBRATION = "calibration.json"
"""In the data folder: what `rag calibrate` has fitted."""

_START_ERROR_USD = 0.05
"""Until a floor of quality has seen some questions."""


def open_policy(settings: Settings, embedder: Embedder, costs: TierCosts) -> Policy:
    """The plain rule, unless the settings say what an error costs.

    Raises SettingsError for a calibration that cannot be read.
    """
    plain = PlainRule(settings.answers.escalate_below)
    chosen = settings.decision
    dials = (chosen.error_usd, chosen.quality_floor, chosen.usd_per_1000_answers)
    if all(dial is None for dial in dials):
        return plain
    fitted = read_calibration(settings.data_dir) or {}
    bundled = bundled_chances()
    router = fitted.get("router")
    estimator = ChanceEstimator(
        Calibrator.from_record(bundled["holds_answer"]),
        traits_of(bundled) | _traits(fitted),
        embedder,
        None if router is None else _router(router, embedder),
    )
    return ExpectedCost(estimator, costs, _price_of_error(settings), plain)


def _router(record: dict[str, Any], embedder: Embedder) -> Router:
    router = Router.from_record(record)
    if router.embedding != embedder.fingerprint:
        raise SettingsError(
            f"the routing was fitted with the embedding model {router.embedding}, and "
            f"{embedder.fingerprint} is in use: run rag calibrate again"
        )
    return router


def read_calibration(data_dir: Path) -> dict[str, Any] | None:
    """What was fitted to outcomes; None where nothing was. Raises SettingsError."""
    path = data_dir / CALIBRATION
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{path} cannot be read ({type(error).__name__}): run rag calibrate again, or remove it"
        ) from None
    return record


def fitted_at(settings: Settings) -> str:
    """When it was fitted, empty where nothing was: what was decided before may be decided anew."""
    return str((read_calibration(settings.data_dir) or {}).get("fitted_at", ""))


def calibrators(settings: Settings) -> dict[tuple[Tier, str], Calibrator]:
    """What turns the signals of answers into a confidence, where it was fitted.

    By tier and collection; "" is for collections without one of their own.
    """
    fitted = read_calibration(settings.data_dir) or {}
    return {
        (one["tier"], one["collection"]): Calibrator.from_record(one["record"])
        for one in fitted.get("calibrators", ())
    }


def _traits(fitted: Mapping[str, Any]) -> dict[Tier, Traits]:
    return traits_of(fitted) if "traits" in fitted else {}


def _price_of_error(settings: Settings) -> PriceOfError:
    chosen = settings.decision
    stakes = Stakes(
        error_usd=chosen.error_usd or _START_ERROR_USD,
        wait_usd_per_s=chosen.wait_usd_per_s,
        abstain_below=settings.answers.abstain_below,
    )
    if chosen.quality_floor is not None:
        return DialledPrice(Floor(chosen.quality_floor), stakes)
    if chosen.usd_per_1000_answers is not None:
        careful = replace(stakes, error_usd=LEAST_ERROR_USD)  # nothing is spent before it is solved
        return DialledPrice(Allowance(chosen.usd_per_1000_answers), careful)
    return StatedPrice(stakes, chosen.error_usd_of)
