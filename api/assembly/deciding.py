"""Who decides which tier answers, put together from the settings: a room of `build`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from api.settings import Settings
from generation.confidence.calibration import Calibrator
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
from generation.deciding.traffic import KeptTraffic
from generation.privacy.staying import StayingPolicy
from rag.errors import SettingsError
from rag.ports import Embedder
from rag.types import Tier, Usage

CALIBRATION = "calibration.json"
"""In the data folder: what `rag calibrate` has fitted."""

_START_ERROR_USD = 0.05
"""Until a floor of quality has seen some questions."""
_PROMPT_TOKENS, _OUTPUT_TOKENS = 350, 120
"""Of a typical call; the prompt without its context."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """What all decisions share. `price_of_error` is None where the settings tell of none.

    The premium tier is not asked about collections that `stay_here`.
    """

    chances: ChanceEstimator
    price_of_error: PriceOfError | None
    plain: PlainRule
    stay_here: tuple[str, ...] = ()

    def policy(self, costs: TierCosts) -> Policy:
        """The plain rule, unless the settings say what an error costs."""
        policy: Policy = self.plain
        if self.price_of_error is not None:
            policy = ExpectedCost(self.chances, costs, self.price_of_error, self.plain)
        return StayingPolicy(policy, self.stay_here)


def open_deciding(settings: Settings, embedder: Embedder, state: Engine) -> Deciding:
    """By these settings; where they say what an error costs, also by what was fitted to outcomes.

    What a dial has solved is kept in the `state`. Raises SettingsError for a calibration that
    cannot be used, StateError.
    """
    price_of_error = _price_of_error(settings, KeptTraffic(state))
    fitted = {} if price_of_error is None else read_calibration(settings.data_dir) or {}
    bundled = bundled_chances()
    router = fitted.get("router")
    estimator = ChanceEstimator(
        Calibrator.from_record(bundled["holds_answer"]),
        traits_of(bundled) | _traits(fitted),
        embedder,
        None if router is None else _router(router, embedder),
    )
    plain = PlainRule(settings.answers.escalate_below)
    return Deciding(estimator, price_of_error, plain, settings.privacy.stays_here)


def _router(record: dict[str, Any], embedder: Embedder) -> Router:
    router = Router.from_record(record)
    if router.embedding != embedder.fingerprint:
        raise SettingsError(
            f"the routing was fitted with the embedding model {router.embedding}, and "
            f"{embedder.fingerprint} is in use: run rag calibrate again"
        )
    return router


def typical_usage(settings: Settings) -> Usage:
    """What a call is taken to read and write until some were made."""
    return Usage(
        input_tokens=_PROMPT_TOKENS + settings.context.max_tokens // 2,
        output_tokens=_OUTPUT_TOKENS,
    )


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


def _price_of_error(settings: Settings, kept: KeptTraffic | None) -> PriceOfError | None:
    chosen = settings.decision
    dials = (chosen.error_usd, chosen.quality_floor, chosen.usd_per_1000_answers)
    if all(dial is None for dial in dials):
        return None
    stakes = Stakes(
        error_usd=chosen.error_usd or _START_ERROR_USD,
        wait_usd_per_s=chosen.wait_usd_per_s,
        abstain_below=settings.answers.abstain_below,
    )
    if chosen.quality_floor is not None:
        return DialledPrice(Floor(chosen.quality_floor), stakes, kept)
    if chosen.usd_per_1000_answers is not None:
        careful = replace(stakes, error_usd=LEAST_ERROR_USD)  # nothing is spent before it is solved
        return DialledPrice(Allowance(chosen.usd_per_1000_answers), careful, kept)
    return StatedPrice(stakes, chosen.error_usd_of)
