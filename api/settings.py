"""Every setting of the project, in one table of models.

A value comes from a variable `RAG_<GROUP>__<NAME>`, else from `rag.toml` in the working directory,
else from its default. A name that no setting has stops the start: a misspelt wall is no wall.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from api.setting_groups.answers import (
    AnswerSettings,
    BaselineSettings,
    ContextSettings,
    RetrievalSettings,
    ReuseSettings,
)
from api.setting_groups.conversations import ConversationSettings
from api.setting_groups.dashboard import DashboardSettings
from api.setting_groups.distillation import DistillationSettings
from api.setting_groups.documents import EmbeddingSettings, IngestionSettings, StoreSettings
from api.setting_groups.experiment import CONTROL, ExperimentSettings
from api.setting_groups.group import COLLECTION_PATTERN, Group
from api.setting_groups.handoff import HandoffSettings
from api.setting_groups.models import (
    BudgetSettings,
    DecisionSettings,
    LocalSettings,
    PremiumSettings,
    PriceSettings,
)
from api.setting_groups.privacy import PrivacySettings
from api.setting_groups.retention import RetentionSettings
from api.setting_groups.server import LogSettings, ServerSettings
from api.setting_groups.traces import TracingSettings
from rag.errors import SettingsError

TOML_FILE = "rag.toml"
PREFIX = "RAG_"
NESTING = "__"
_SECRETS = ("api_key", "state_url", "webhook", "redis_url")  # no message repeats them


def _check_state_url(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("postgresql://", "postgresql+psycopg://")):
        raise ValueError(
            "give postgresql://user:password@host:5432/database, or leave it unset for a file"
        )
    return url


class Settings(BaseSettings):
    """All settings, checked."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTING,
        env_ignore_empty=True,
        toml_file=TOML_FILE,
        extra="forbid",
        frozen=True,
    )

    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default=Path(".rag"),
        description="Folder that holds all state: the store, manifest and uploads.",
    )
    state_url: Annotated[SecretStr, AfterValidator(_check_state_url)] | None = Field(
        default=None,
        description="PostgreSQL database for the manifest, the jobs and the ledger, as "
        "`postgresql://user:password@host:5432/database`; unset keeps them in a SQLite file in "
        "`data_dir`, which then belongs to one machine.",
    )
    collection: str = Field(
        default="default",
        pattern=COLLECTION_PATTERN,
        description="Collection of a call that names none.",
    )
    embedding: EmbeddingSettings = EmbeddingSettings()
    ingestion: IngestionSettings = IngestionSettings()
    store: StoreSettings = StoreSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    context: ContextSettings = ContextSettings()
    answers: AnswerSettings = AnswerSettings()
    reuse: ReuseSettings = ReuseSettings()
    conversations: ConversationSettings = ConversationSettings()
    local: LocalSettings = LocalSettings()
    premium: PremiumSettings = PremiumSettings()
    budgets: BudgetSettings = BudgetSettings()
    prices: PriceSettings = PriceSettings()
    decision: DecisionSettings = DecisionSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    distillation: DistillationSettings = DistillationSettings()
    privacy: PrivacySettings = PrivacySettings()
    handoff: HandoffSettings = HandoffSettings()
    dashboard: DashboardSettings = DashboardSettings()
    retention: RetentionSettings = RetentionSettings()
    server: ServerSettings = ServerSettings()
    baseline: BaselineSettings = BaselineSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _check_contradictions(self) -> Settings:
        if self.retrieval.chunks > 2 * self.retrieval.candidates:
            raise ValueError(
                f"retrieval.chunks is {self.retrieval.chunks}, more than both searches find with "
                f"retrieval.candidates {self.retrieval.candidates}: raise the candidates"
            )
        if self.premium.model is None and self.premium.others:
            raise ValueError(
                f"premium.others names {len(self.premium.others)} models and premium.model none: "
                "name the first, which turns the premium tier on"
            )
        if any(other.model is None for other in self.premium.others):
            raise ValueError("one of premium.others has no model: name it")
        dials = ("error_usd", "quality_floor", "usd_per_1000_answers")
        turned = [name for name in dials if getattr(self.decision, name) is not None]
        if len(turned) > 1:
            raise ValueError(
                f"decision.{turned[0]} and decision.{turned[1]} are both set, and one of them says "
                "what an error costs: keep one"
            )
        if self.decision.error_usd_of and self.decision.error_usd is None:
            raise ValueError(
                "decision.error_usd_of is set and decision.error_usd is not: say what an error "
                "costs in all other collections"
            )
        _check_experiment(self.experiment)
        taught = set(self.distillation.collections) & set(self.privacy.stays_here)
        if taught:
            raise ValueError(
                f"{min(taught)!r} is in privacy.stays_here and in distillation.collections, and "
                "nothing is learnt of what the premium tier is never asked: keep it in one"
            )
        if self.store.write_consistency > self.store.replicas:
            raise ValueError(
                f"store.write_consistency is {self.store.write_consistency}, more than "
                f"store.replicas {self.store.replicas}: raise the replicas"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller gives, then variables, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def _check_experiment(chosen: ExperimentSettings) -> None:
    if chosen.name is None:
        if chosen.arms:
            raise ValueError("experiment.arms is set and experiment.name is not: name it")
        return
    if not chosen.arms:
        raise ValueError(
            f"experiment {chosen.name!r} has no arm beside {CONTROL!r}: give experiment.arms one"
        )
    if CONTROL in chosen.arms:
        raise ValueError(
            f"experiment.arms has one named {CONTROL!r}, which is the settings as they are: call "
            "it otherwise"
        )
    total = sum(arm.share for arm in chosen.arms.values())
    if total >= 1:
        raise ValueError(
            f"the shares of experiment.arms add up to {total:g}, and {CONTROL!r} gets the rest: "
            "stay below 1"
        )
    worths = (chosen.used_usd, chosen.edited_usd, chosen.ignored_usd)
    if any(one is None for one in worths) and any(one is not None for one in worths):
        raise ValueError(
            "of experiment.used_usd, edited_usd and ignored_usd some are set and some are not: "
            "say what each is worth"
        )
    if None not in worths and len(set(worths)) == 1:
        raise ValueError(
            f"experiment.used_usd, edited_usd and ignored_usd are all {worths[0]:g}, and then no "
            "arm can be worth more than another: give others, or leave them unset"
        )


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """The effective settings; `overrides`, nested like `rag.toml`, go before everything else.

    Raises SettingsError, in one line, for an unknown name, a wrong value or an unreadable file.
    """
    _check_variables(os.environ)
    try:
        return Settings(**dict(overrides or {}))
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{TOML_FILE} is not valid TOML: {error}; mend that line") from None
    except OSError as error:
        raise SettingsError(f"{TOML_FILE} cannot be read: {error.strerror}") from None


def variable_name(path: tuple[str, ...]) -> str:
    """The environment variable of a setting: `("server", "port")` is `RAG_SERVER__PORT`."""
    return PREFIX + NESTING.join(path).upper()


def setting_paths(model: type[BaseModel] = Settings) -> Iterator[tuple[str, ...]]:
    """The path of every setting, in the order of the models: `("server", "port")`."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            yield from ((name, *rest) for rest in setting_paths(field.annotation))
        else:
            yield (name,)


def _check_variables(environment: Mapping[str, str]) -> None:
    known = {variable_name(path) for path in setting_paths()}
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsError(f"{name} is not a setting{_nearest(name.upper(), known)}")


def _explain(error: ValidationError) -> str:
    """The first thing wrong, in one line."""
    first = error.errors()[0]
    path = tuple(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    if not path:
        return reason
    name = variable_name(path)
    if name not in {key.upper() for key in os.environ}:
        name = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = {".".join(known_path) for known_path in setting_paths()}
        return f"{name} is not a setting{_nearest(name, known)}"
    is_secret = path[-1] in _SECRETS or "@" in str(first["input"])  # an address with a password
    value = "not fit" if is_secret else repr(first["input"])
    return f"{name} is {value}: {reason[:1].lower()}{reason[1:]}"


def _nearest(name: str, known: set[str]) -> str:
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    return f": correct or remove it (the nearest that is one: {found[0]})"
