"""The settings of language models and of what they may cost, group by group."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from api.setting_groups.group import Group

NAME_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"


def _check_base_url(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError(
            "give http:// or https://, a host and a path, such as http://127.0.0.1:8001/v1; the "
            "key has a setting of its own"
        )
    return url.rstrip("/")


def _dollars(description: str) -> Any:
    return Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False, description=description)


BaseUrl = Annotated[str | None, AfterValidator(_check_base_url)]


class LocalSettings(Group):
    """The local tier: a model on a server of one's own."""

    base_url: BaseUrl = Field(
        default=None,
        description="Address of an OpenAI-compatible server, such as http://127.0.0.1:8001/v1 of "
        "vLLM; setting it turns the local tier on.",
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="Model to ask there; unset takes the first that the server lists.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key of that server, if it wants one; it is never shown."
    )
    max_output_tokens: int = Field(
        default=400, ge=1, le=100_000, description="Tokens that an answer may have."
    )
    timeout_s: float = Field(
        default=60,
        gt=0,
        le=3_600,
        description="Seconds that a call may take, with all its waits and retries.",
    )
    max_attempts: int = Field(
        default=2, ge=1, le=20, description="Times that a call which may succeed later is made."
    )
    max_concurrent: int = Field(
        default=32, ge=1, le=10_000, description="Calls at once; more of them wait."
    )
    gpu_usd_per_hour: Decimal | None = _dollars(
        "Dollars an hour of the GPU that serves the model, from which answers are "
        "priced; unset leaves their cost unknown, and no budget counts them."
    )
    gpu_watts: float | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="Watts that the GPU draws at work, from which energy is estimated.",
    )


class ModelSettings(Group):
    """A model of a provider."""

    model: str | None = Field(
        default=None,
        min_length=1,
        description="Model that answers where the others are not sure; setting it turns the "
        "premium tier on, and calls cost money from then on.",
    )
    provider: str = Field(
        default="openai",
        pattern=NAME_PATTERN,
        description="Who serves it: `anthropic`, which has a protocol of its own, or any other, "
        "which speaks that of OpenAI. Prices are looked up by this name.",
    )
    base_url: BaseUrl = Field(
        default=None,
        description="Address of the provider; unset takes that of OpenAI or Anthropic.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Key of the provider; unset takes the variable that is named after it, such as "
        "OPENAI_API_KEY. It is never shown.",
    )


class PremiumSettings(ModelSettings):
    """The premium tier: models that cost money by the token. Off unless a model is named."""

    others: tuple[ModelSettings, ...] = Field(
        default=(),
        description="More models, each a table of model, provider, base_url and api_key: the one "
        "that is expected to cost least is asked first, and the next when it fails.",
    )
    max_output_tokens: int = Field(
        default=600,
        ge=1,
        le=100_000,
        description="Tokens that an answer may have, with what the model thinks before.",
    )
    timeout_s: float = Field(
        default=60,
        gt=0,
        le=3_600,
        description="Seconds that a call may take, with all its waits and retries.",
    )
    max_attempts: int = Field(
        default=3, ge=1, le=20, description="Times that a call which may succeed later is made."
    )
    max_concurrent: int = Field(
        default=16, ge=1, le=10_000, description="Calls at once; more of them wait."
    )

    def models(self) -> list[ModelSettings]:
        """All models, the first one first; none when the tier is off."""
        return [] if self.model is None else [self, *self.others]


class WallSettings(Group):
    """The walls of one tenant or one key."""

    day_usd: Decimal | None = _dollars("Dollars in a day.")
    month_usd: Decimal | None = _dollars("Dollars in a month.")


class BudgetSettings(Group):
    """Walls that no spending passes. Days and months are those of UTC."""

    request_usd: Decimal | None = _dollars("Dollars that one answer may cost.")
    day_usd: Decimal | None = _dollars("Dollars that all answers of a day may cost.")
    month_usd: Decimal | None = _dollars("Dollars that all answers of a month may cost.")
    tenant_day_usd: Decimal | None = _dollars("Dollars a day of each tenant.")
    tenant_month_usd: Decimal | None = _dollars("Dollars a month of each tenant.")
    key_day_usd: Decimal | None = _dollars("Dollars a day of each key.")
    key_month_usd: Decimal | None = _dollars("Dollars a month of each key.")
    tenants: Mapping[str, WallSettings] = Field(
        default={},
        description="Tenants with walls of their own, as `{acme = {day_usd = 5}}` in `rag.toml`.",
    )
    keys: Mapping[str, WallSettings] = Field(
        default={}, description="Keys with walls of their own, written as those of tenants."
    )


class DecisionSettings(Group):
    """Who answers, by expected dollars. Unset, `answers.escalate_below` alone decides."""

    error_usd: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        allow_inf_nan=False,
        description="Dollars that a wrong answer costs: a dearer tier is asked where it is "
        "expected to save more than it costs.",
    )
    error_usd_of: Mapping[str, Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]] = (
        Field(
            default={},
            description="Collections in which a wrong answer costs something else, as "
            "`{medicine = 20}` in `rag.toml`.",
        )
    )
    quality_floor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Instead of `error_usd`: share of questions that shall get a right answer, "
        "from which the price of an error is solved, and kept as traffic changes.",
    )
    usd_per_1000_answers: float | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        allow_inf_nan=False,
        description="Instead of `error_usd`: dollars that 1,000 answers may cost on average. It is "
        "a dial, not a wall: walls are the budgets.",
    )
    wait_usd_per_s: float = Field(
        default=0.0005,
        ge=0,
        le=1_000,
        allow_inf_nan=False,
        description="Dollars that a second of waiting for an answer costs.",
    )


class PriceSettings(Group):
    """What tokens cost."""

    file: Path | None = Field(
        default=None,
        description="TOML file of prices that go before those that come with the project.",
    )
