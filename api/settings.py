"""Every setting of the project, in one table of models.

A value comes from a variable `RAG_<GROUP>__<NAME>`, else from `rag.toml` in the working directory,
else from its default. A name that no setting has stops the start: a misspelt wall is no wall.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from rag.errors import SettingsError
from rag.pipeline import MAX_CONTEXT_TOKENS, MAX_HITS

TOML_FILE = "rag.toml"
PREFIX = "RAG_"
NESTING = "__"
COLLECTION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a collection may be called: it is part of URLs, file names and metrics."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_host(host: str) -> str:
    if not is_loopback(host):
        raise ValueError(
            "this would let other machines in, and there are no keys yet to keep strangers out: "
            "give 127.0.0.1, and put a proxy that asks for a password in front"
        )
    return host


def _split(names: object) -> object:
    """A variable holds one text; a file holds a list."""
    return tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddingSettings(_Group):
    """The model that turns texts into vectors."""

    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU threads of the embedding model; 0 takes all cores.",
    )
    model: str | None = Field(
        default=None,
        description="A sentence-transformers model to embed with; unset takes the packaged "
        "all-MiniLM-L6-v2, which needs no download. A store keeps the model it was made with.",
    )


class RetrievalSettings(_Group):
    """How the chunks that may answer are found."""

    candidates: int = Field(
        default=30,
        ge=1,
        le=1000,
        description="Chunks that each of dense and sparse search contributes.",
    )
    chunks: int = Field(
        default=10,
        ge=1,
        le=MAX_HITS,
        description="Chunks that are considered for an answer's context.",
    )
    dense_share: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Weight of the dense score when both are fused; the sparse score has the rest.",
    )
    reranker: str | None = Field(
        default=None,
        description="A sentence-transformers cross-encoder to rerank with; unset reranks nothing.",
    )


class ContextSettings(_Group):
    """What is sent to the generator."""

    max_tokens: int = Field(
        default=1_000,
        ge=1,
        le=MAX_CONTEXT_TOKENS,
        description="Tokens of context for a question that does not say how many it wants.",
    )


class AnswerSettings(_Group):
    """When to answer."""

    abstain_below: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="Confidence below which the service says that the documents do not answer.",
    )
    max_question_chars: int = Field(
        default=4_000, ge=1, le=1_000_000, description="Characters that a question may have."
    )


class ServerSettings(_Group):
    """The HTTP service."""

    host: Annotated[str, AfterValidator(_check_host)] = Field(
        default="127.0.0.1",
        description="Address to listen on; this machine only, until there are keys.",
    )
    port: int = Field(
        default=8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one."
    )
    max_body_bytes: int = Field(
        default=50_000_000,
        ge=1_000,
        le=10_000_000_000,
        description="Bytes that a request may have.",
    )
    max_concurrent_answers: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Questions worked on at once; one more is told to come back later.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description="Names under which the service may be called besides this machine's, between "
        "commas: that of a proxy. Others are refused, lest foreign web pages read the documents.",
    )


class BaselineSettings(_Group):
    """The naive way, which every answer's saving is measured against."""

    model: str = Field(
        default="gpt-4o", min_length=1, description="Premium model of the baseline cost."
    )
    chunks: int = Field(
        default=5, ge=1, le=MAX_HITS, description="Best chunks that the baseline sends whole."
    )


class LogSettings(_Group):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least weight of a message that is logged."
    )
    questions: bool = Field(
        default=False, description="Log the questions too; they may be private."
    )


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
    collection: str = Field(
        default="default",
        pattern=COLLECTION_PATTERN,
        description="Collection of a call that names none.",
    )
    embedding: EmbeddingSettings = EmbeddingSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    context: ContextSettings = ContextSettings()
    answers: AnswerSettings = AnswerSettings()
    server: ServerSettings = ServerSettings()
    baseline: BaselineSettings = BaselineSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _check_contradictions(self) -> Settings:
        if self.retrieval.chunks > 2 * self.retrieval.candidates:
            raise ValueError(
                f"retrieval.chunks is {self.retrieval.chunks}, more than both searches find with "
                f"retrieval.candidates {self.retrieval.candidates}: raise the candidates"
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
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Group):
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
    return f"{name} is {first['input']!r}: {reason[:1].lower()}{reason[1:]}"


def _nearest(name: str, known: set[str]) -> str:
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)
    return f": correct or remove it (the nearest that is one: {found[0]})"
