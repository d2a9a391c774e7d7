"""Batches of questions, put together from the settings: a room of `build`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from api.assembly.answering import ANTHROPIC, Answering, address_of, key_of
from api.assembly.deciding import typical_usage
from api.assembly.paths import Path, Shared, limits_of
from api.setting_groups.models import ModelSettings
from api.settings import Settings
from api.state.turn import turn
from generation.batching.asking import BatchAsking
from generation.batching.batches import QuestionBatches
from generation.batching.choosing import ASKED, BatchChoosing
from generation.batching.collecting import Collecting
from generation.batching.gathering import Gathering
from generation.batching.records import BatchRecords
from generation.deciding.cascade import CascadeGenerator, TierGenerator
from generation.deciding.policy import PlainRule
from generation.deciding.tier_costs import TierCost, TierCosts
from generation.money.price_table import PriceTable
from generation.money.token_pricing import TokenPricing, input_tokens_at_most, output_factor_of
from generation.privacy.masked_batches import MaskedBatches, MaskedPricing
from rag.errors import InputError, SettingsError
from rag.ports import Compressor, TokenCounter
from rag.types import Tier

if TYPE_CHECKING:
    from generation.providers.anthropic_batches import AnthropicBatches
    from generation.providers.openai_batches import OpenAIBatches


@dataclass(frozen=True, slots=True)
class Batching:
    """The batches, and the endpoint that they go to, which is opened when it is needed first."""

    batches: QuestionBatches
    endpoint: LazyAsking

    async def close(self) -> None:
        """Close the connections."""
        await self.endpoint.close()


def open_batching(settings: Settings, shared: Shared, path: Path) -> Batching:
    """Batches by these settings. It opens no connection, and needs no model to be named."""
    answering, abstain_below = path.answering, settings.answers.abstain_below
    endpoint = LazyAsking(settings, answering, shared.counter)
    records = BatchRecords(shared.state)
    deciding = path.deciding
    costs = TierCosts(_taken_for(settings, answering.prices))
    batches = QuestionBatches(
        gathering=Gathering(
            retriever=path.retriever,
            compressor=path.compressor,
            quoting=_judged_quotes(answering, path.compressor, deciding.plain, abstain_below),
            baseline=answering.baseline,
            limits=limits_of(settings),
            max_context_tokens=settings.context.max_tokens,
        ),
        choosing=BatchChoosing(deciding.policy(costs), deciding.chances, abstain_below),
        open_asking=endpoint.open,
        collecting=Collecting(
            records=records,
            ledger=shared.ledger,
            revisions=shared.manifest,
            compressor=path.compressor,
            baseline=answering.baseline,
            judge=answering.judge,
            costs=costs,
            abstain_below=abstain_below,
        ),
        records=records,
        keep_days=settings.retention.batch_days,
        turn=partial(turn, shared.state),
    )
    return Batching(batches, endpoint)


def _judged_quotes(
    answering: Answering, compressor: Compressor, plain: PlainRule, abstain_below: float
) -> CascadeGenerator:
    """The quotes with the confidence that they have anywhere."""
    quoting = TierGenerator("extractive", answering.quoting)
    return CascadeGenerator([quoting], compressor, plain, abstain_below, judge=answering.judge)


def _taken_for(settings: Settings, prices: PriceTable) -> dict[Tier, TierCost]:
    """What an answer of a batch is taken to cost before the first one was made; nobody waits."""
    chosen = settings.premium
    price = None if chosen.model is None else prices.batch_price(chosen.provider, chosen.model)
    usd = None if price is None else price.cost_usd(typical_usage(settings))
    return {ASKED: TierCost(float(usd or 0), 0.0)}


class LazyAsking:
    """The batch endpoint of the first premium model, opened once."""

    def __init__(self, settings: Settings, answering: Answering, counter: TokenCounter) -> None:
        self._settings = settings
        self._answering = answering
        self._counter = counter
        self._opened: tuple[BatchAsking, OpenAIBatches | AnthropicBatches] | None = None

    def open(self) -> BatchAsking:
        """Raises InputError with the tier off, SettingsError for a model without a batch price."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened[0]

    async def close(self) -> None:
        """Close the connections, if there are any."""
        if self._opened is not None:
            await self._opened[1].close()

    def _open(self) -> tuple[BatchAsking, OpenAIBatches | AnthropicBatches]:
        chosen = self._settings.premium
        if chosen.model is None:
            raise InputError(
                "the premium tier is off, and a batch goes to its model: name one with "
                "RAG_PREMIUM__MODEL, or ask question by question"
            )
        model, provider, prices = chosen.model, chosen.provider, self._answering.prices
        if prices.batch_price(provider, model) is None:
            raise SettingsError(
                f"the model {model!r} of {provider!r} has no known batch price, and nothing may "
                "cost what nobody knows: write its price with batch_discount into a file, and name "
                "that with RAG_PRICES__FILE"
            )
        endpoint = _endpoint(chosen, chosen.timeout_s)
        pricing = TokenPricing(
            lambda: prices.batch_price(provider, model),
            input_tokens_at_most(provider, model, self._counter),
            output_factor_of(provider),
        )
        masking = self._answering.masking
        assert masking is not None  # the premium tier is on
        asking = BatchAsking(
            MaskedBatches(endpoint, masking),
            MaskedPricing(pricing, masking),
            self._answering.ledger,
            chosen.max_output_tokens,
            self._settings.answers.instructions,
        )
        return asking, endpoint


def _endpoint(chosen: ModelSettings, timeout_s: float) -> OpenAIBatches | AnthropicBatches:
    model, key, url = chosen.model or "", key_of(chosen) or "none", address_of(chosen)
    if chosen.provider == ANTHROPIC:
        from generation.providers.anthropic_batches import AnthropicBatches

        return AnthropicBatches(model, key, base_url=url, timeout_s=timeout_s)
    from generation.providers.openai_batches import OpenAIBatches

    return OpenAIBatches(model, key, base_url=url, provider=chosen.provider, timeout_s=timeout_s)
