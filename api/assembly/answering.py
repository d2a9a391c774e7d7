"""What writes answers and what they may cost, put together from the settings: a room of `build`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import SecretStr
from sqlalchemy import Engine

from api.assembly.deciding import Deciding, calibrators, typical_usage
from api.assembly.privacy import open_masking
from api.setting_groups.models import ModelSettings, WallSettings
from api.settings import Settings
from generation.confidence.judging import Judge
from generation.confidence.quoted import LogisticConfidence
from generation.deciding.cascade import CascadeGenerator, TierGenerator
from generation.deciding.tier_costs import TierCost, TierCosts
from generation.distilling.learning import LearningGenerator, LessonWriter
from generation.money.baseline import PremiumBaseline
from generation.money.budgets import Limits, Walls
from generation.money.gpu import GpuPricing
from generation.money.ledger import SqlLedger
from generation.money.metered import MeteredModel, MeterLimits
from generation.money.price_file import read_price_file
from generation.money.price_table import PriceTable
from generation.money.token_pricing import (
    TokenPricing,
    input_tokens_at_most,
    output_factor_of,
)
from generation.privacy.masked_model import MaskedModel
from generation.privacy.masking import Masking
from generation.privacy.staying import StayingGenerator
from generation.providers.anthropic_chat import ANTHROPIC_URL, AnthropicModel
from generation.providers.bounded import BoundedModel, CallLimits
from generation.providers.breaker import CircuitBreaker
from generation.providers.failover import FailoverModel
from generation.providers.openai_chat import OPENAI_URL, OpenAIChatModel
from generation.tiers.extractive import ExtractiveGenerator
from generation.tiers.written import WrittenGenerator
from generation.writing.languages import load_identifier
from rag.errors import SettingsError
from rag.ports import Compressor, Generator, LanguageModel, Pricing, TokenCounter
from rag.types import Tier

ANTHROPIC = "anthropic"
_ADDRESSES = {"openai": OPENAI_URL, ANTHROPIC: ANTHROPIC_URL}
_SILENCE_SHARE = 0.9
"""Of a call's time: how long a server may be silent. It ends before the deadline does, so that the
call fails with a line on the bill, and is not cut off by the clock."""
_LONGEST_WAIT_SHARE = 0.5
"""Of a call's time: how long it waits for others to give back what they reserved."""

_TYPICAL_SECONDS = 2.0
"""Of an answer, until some were made."""

Adapter = OpenAIChatModel | AnthropicModel
WatchModel = Callable[[LanguageModel], LanguageModel]
"""Puts around a model what looks on while it is called."""


@dataclass(frozen=True, slots=True)
class Answering:
    """The generator over all live tiers, with the prices, the ledger and the walls that it keeps.

    `quoting` is the tier that needs nothing and costs nothing; `judge` gives answers confidence.
    `local` is the model of that tier, bounded and metered, where there is one.
    `masking` is what prompts pass on their way to the premium tier, None where that is off.
    `breakers` are those of the models of each tier.
    """

    generator: Generator
    quoting: ExtractiveGenerator
    judge: Judge
    baseline: PremiumBaseline
    prices: PriceTable
    ledger: SqlLedger
    walls: Walls
    adapters: Sequence[Adapter]
    local: LanguageModel | None = None
    masking: Masking | None = None
    breakers: Mapping[Tier, Sequence[CircuitBreaker]] = field(default_factory=dict)

    def rests(self, tier: Tier) -> bool:
        """Whether all models of a tier have failed again and again, and are left alone now."""
        breakers = self.breakers.get(tier, ())
        return bool(breakers) and all(breaker.state == "open" for breaker in breakers)

    async def warm_up(self) -> None:
        """Load what the first answer of a model would wait for. Raises MissingExtraError."""
        if self.adapters:
            await asyncio.to_thread(load_identifier)

    async def close(self) -> None:
        """Close the connections."""
        for adapter in self.adapters:
            await adapter.close()


def open_ledger(settings: Settings, state: Engine) -> SqlLedger:
    """The ledger, and the walls before it."""
    ledger = SqlLedger(state, walls_of(settings))
    ledger.settle_lost()  # what processes that died have left
    return ledger


def quoting(settings: Settings) -> ExtractiveGenerator:
    """The tier that needs nothing and costs nothing."""
    return ExtractiveGenerator(LogisticConfidence.bundled(), settings.answers.abstain_below)


def open_answering(
    settings: Settings,
    ledger: SqlLedger,
    compressor: Compressor,
    counter: TokenCounter,
    deciding: Deciding,
    *,
    learning: LessonWriter,
    watch_model: WatchModel,
) -> Answering:
    """All tiers that the settings turn on.

    `learning` keeps what the premium tier teaches; `watch_model` sees every attempt of a call.

    Raises MissingExtraError without the clients or without what masks personal data, SettingsError
    for a model without a key or a price, and for a file of prices that cannot be used.
    """
    prices = open_prices(settings)
    quotes = quoting(settings)
    models = _Models(settings, learning)
    if settings.local.base_url is not None:
        models.add_local(ledger, watch_model)
    if settings.premium.model is not None:
        models.add_premium(ledger, prices, counter, watch_model)
    judge = Judge(calibrators(settings))
    costs = TierCosts(_taken_for(settings, prices))
    cascade = CascadeGenerator(
        [TierGenerator("extractive", quotes), *models.tiers],
        compressor,
        deciding.policy(costs),
        settings.answers.abstain_below,
        judge=judge,
        costs=costs,
    )
    return Answering(
        StayingGenerator(cascade, settings.privacy.stays_here),
        quotes,
        judge,
        PremiumBaseline(counter, settings.baseline.model, settings.baseline.chunks, prices),
        prices,
        ledger,
        walls_of(settings),
        models.adapters,
        local=models.local,
        masking=models.masking,
        breakers=models.breakers,
    )


class _Models:
    """The tiers that language models write for, and what belongs to them."""

    def __init__(self, settings: Settings, learning: LessonWriter) -> None:
        self._settings = settings
        self._learning = learning
        self._own = settings.answers.instructions
        self.tiers: list[TierGenerator] = []
        self.adapters: list[Adapter] = []
        self.breakers: dict[Tier, list[CircuitBreaker]] = {}
        self.local: LanguageModel | None = None
        self.masking: Masking | None = None

    def add_local(self, ledger: SqlLedger, watch_model: WatchModel) -> None:
        """The tier of one's own server."""
        chosen = self._settings.local
        breaker = CircuitBreaker(f"the local server {chosen.base_url}")
        self.local, adapter = _local(self._settings, ledger, watch_model, breaker)
        self.adapters.append(adapter)
        self.breakers["local"] = [breaker]
        written = WrittenGenerator(self.local, "local", chosen.max_output_tokens, self._own)
        self.tiers.append(TierGenerator("local", written))

    def add_premium(
        self, ledger: SqlLedger, prices: PriceTable, counter: TokenCounter, watch_model: WatchModel
    ) -> None:
        """The tier of paid models; prompts are masked on their way there."""
        offers: list[tuple[LanguageModel, Pricing]] = []
        self.breakers["premium"] = []
        for chosen in self._settings.premium.models():
            breaker = CircuitBreaker(f"{chosen.model} at {chosen.provider}")
            bounded, pricing, adapter = _premium(
                chosen, self._settings, prices, ledger, counter,
                breaker=breaker, watch_model=watch_model,
            )  # fmt: skip
            offers.append((bounded, pricing))
            self.adapters.append(adapter)
            self.breakers["premium"].append(breaker)
        model = offers[0][0] if len(offers) == 1 else FailoverModel(offers)
        self.masking = open_masking(self._settings)
        output = self._settings.premium.max_output_tokens
        masked = MaskedModel(model, self.masking)
        written = WrittenGenerator(masked, "premium", output, self._own)
        taught = LearningGenerator(written, self._learning, self._own)
        self.tiers.append(TierGenerator("premium", taught))


def _taken_for(settings: Settings, prices: PriceTable) -> dict[Tier, TierCost]:
    """What an answer of each tier is taken to cost before the first one was made."""
    gpu = float(settings.local.gpu_usd_per_hour or 0) / 3600
    found: dict[Tier, TierCost] = {"local": TierCost(gpu * _TYPICAL_SECONDS, _TYPICAL_SECONDS)}
    chosen = settings.premium
    price = None if chosen.model is None else prices.price(chosen.provider, chosen.model)
    if price is not None:
        usd = price.cost_usd(typical_usage(settings))
        found["premium"] = TierCost(float(usd or 0), _TYPICAL_SECONDS)
    return found


def open_prices(settings: Settings) -> PriceTable:
    """The prices in force. Raises SettingsError for a file that cannot be used."""
    file = settings.prices.file
    return PriceTable(None if file is None else read_price_file(file, datetime.now(UTC).date()))


def walls_of(settings: Settings) -> Walls:
    """The walls that the settings build."""
    chosen = settings.budgets
    return Walls(
        request_usd=chosen.request_usd,
        day_usd=chosen.day_usd,
        month_usd=chosen.month_usd,
        tenant_day_usd=chosen.tenant_day_usd,
        tenant_month_usd=chosen.tenant_month_usd,
        key_day_usd=chosen.key_day_usd,
        key_month_usd=chosen.key_month_usd,
        tenants={name: _limits(own) for name, own in chosen.tenants.items()},
        keys={name: _limits(own) for name, own in chosen.keys.items()},
    )


def _limits(own: WallSettings) -> Limits:
    return own.day_usd, own.month_usd


def _local(
    settings: Settings, ledger: SqlLedger, watch_model: WatchModel, breaker: CircuitBreaker
) -> tuple[LanguageModel, Adapter]:
    chosen = settings.local
    assert chosen.base_url is not None
    adapter = OpenAIChatModel(
        chosen.base_url,
        chosen.model,
        _secret(chosen.api_key),
        provider="local",
        timeout_s=chosen.timeout_s * _SILENCE_SHARE,
    )
    pricing = GpuPricing(chosen.gpu_usd_per_hour, chosen.timeout_s)
    metered = MeteredModel(
        adapter, pricing, ledger, _meter_limits(chosen.timeout_s), chosen.gpu_watts
    )
    limits = CallLimits(chosen.max_concurrent, chosen.timeout_s, chosen.max_attempts)
    return BoundedModel(watch_model(metered), limits, breaker), adapter


def _premium(
    chosen: ModelSettings,
    settings: Settings,
    prices: PriceTable,
    ledger: SqlLedger,
    counter: TokenCounter,
    *,
    breaker: CircuitBreaker,
    watch_model: WatchModel,
) -> tuple[LanguageModel, Pricing, Adapter]:
    model, provider, tier = chosen.model or "", chosen.provider, settings.premium
    if prices.price(provider, model) is None:
        raise SettingsError(
            f"the premium model {model!r} of {provider!r} has no known price, and nothing may cost "
            "what nobody knows: write its price into a file, and name that with RAG_PRICES__FILE"
        )
    adapter = _adapter(chosen, tier.timeout_s * _SILENCE_SHARE)
    pricing = TokenPricing(
        lambda: prices.price(provider, model),
        input_tokens_at_most(provider, model, counter),
        output_factor_of(provider),
    )
    metered = MeteredModel(adapter, pricing, ledger, _meter_limits(tier.timeout_s))
    limits = CallLimits(tier.max_concurrent, tier.timeout_s, tier.max_attempts)
    bounded = BoundedModel(watch_model(metered), limits, breaker)
    return bounded, pricing, adapter


def _adapter(chosen: ModelSettings, timeout_s: float) -> Adapter:
    model, provider, key = chosen.model or "", chosen.provider, key_of(chosen)
    if provider == ANTHROPIC:
        return AnthropicModel(address_of(chosen), model, key or "none", timeout_s=timeout_s)
    return OpenAIChatModel(address_of(chosen), model, key, provider=provider, timeout_s=timeout_s)


def address_of(chosen: ModelSettings) -> str:
    """Where a premium model is. Raises SettingsError where nobody tells."""
    url = chosen.base_url or _ADDRESSES.get(chosen.provider)
    if url is None:
        raise SettingsError(
            f"the premium model {chosen.model!r} is of {chosen.provider!r}, whose address is not "
            "known here: give its base_url"
        )
    return url


def key_of(chosen: ModelSettings) -> str | None:
    """The key of a premium model; None where it needs none. Raises SettingsError."""
    key = _secret(chosen.api_key) or os.environ.get(_key_variable(chosen.provider))
    if key is None and chosen.base_url is None:
        raise SettingsError(
            f"the premium model {chosen.model!r} has no key: give RAG_PREMIUM__API_KEY, or "
            f"{_key_variable(chosen.provider)}"
        )
    return key


def _key_variable(provider: str) -> str:
    return f"{provider.upper().replace('-', '_').replace('.', '_')}_API_KEY"


def _meter_limits(timeout_s: float) -> MeterLimits:
    return MeterLimits(timeout_s, timeout_s * _LONGEST_WAIT_SHARE)


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
