"""Which tiers can write an answer, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass

from api.setting_groups.models import LocalSettings
from api.settings import Settings
from generation.money.gpu import GpuPricing
from rag.errors import InputError
from rag.types import Tier


@dataclass(frozen=True, slots=True)
class TierState:
    """Whether a tier is live; `why` is a line for a person."""

    name: Tier
    is_live: bool
    why: str


def tiers(settings: Settings) -> list[TierState]:
    """Every tier, cheapest first."""
    return [
        _cache(settings),
        TierState("extractive", True, "always: quoting needs no key and no GPU, and costs nothing"),
        _local(settings),
        _premium(settings),
    ]


def check_tier(settings: Settings, wanted: Tier | None) -> None:
    """Raises InputError for a tier that writes no answers; None wants none in particular."""
    live = [tier.name for tier in tiers(settings) if tier.is_live and tier.name != "cache"]
    if wanted is not None and wanted not in live:
        raise InputError(
            f"tier {wanted!r} is not configured on this service: leave it out, or give "
            f"{' or '.join(live)}"
        )


def _cache(settings: Settings) -> TierState:
    if not settings.reuse.enabled:
        return TierState("cache", False, "RAG_REUSE__ENABLED is false")
    return TierState("cache", True, "earlier answers, as long as nothing they rest on has changed")


def _local(settings: Settings) -> TierState:
    chosen = settings.local
    if chosen.base_url is None:
        return TierState("local", False, "RAG_LOCAL__BASE_URL names no server")
    price = (
        "at an unknown price, since RAG_LOCAL__GPU_USD_PER_HOUR is unset"
        if chosen.gpu_usd_per_hour is None
        else f"at ${chosen.gpu_usd_per_hour} an hour, ${_most_of_a_call(chosen)} a call at most"
    )
    model = chosen.model or "the first model there"
    return TierState("local", True, f"{model} on {chosen.base_url}, {price}")


def _most_of_a_call(chosen: LocalSettings) -> str:
    """Dollars that a budget must have left for a local call to begin."""
    at_most = GpuPricing(chosen.gpu_usd_per_hour, chosen.timeout_s).longest_call_usd
    return "unknown" if at_most is None else f"{at_most:.4f}"


def _premium(settings: Settings) -> TierState:
    models = settings.premium.models()
    if not models:
        return TierState(
            "premium", False, "RAG_PREMIUM__MODEL names no model: no paid call is possible"
        )
    names = ", ".join(f"{chosen.model} of {chosen.provider}" for chosen in models)
    return TierState("premium", True, f"{names}; every call costs money, within the budgets")
