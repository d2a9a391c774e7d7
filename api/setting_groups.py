"""The settings, group by group: what each means, its range and its default."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode

from indexing.chunking import MIN_CHUNK_TOKENS
from rag.pipeline import MAX_CONTEXT_TOKENS, MAX_HITS

COLLECTION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a collection may be called: it is part of URLs, file names and metrics."""

ANY_COLLECTION_PATTERN = COLLECTION_PATTERN[:-1] + r"(:[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$"
"""The same, or that of a tenant as the operator calls it: `tenant:collection`."""


def check_collections(names: Collection[str]) -> None:
    """Raises ValueError for what can be no collection, one's own or a tenant's."""
    for name in names:
        if not re.match(ANY_COLLECTION_PATTERN, name):
            raise ValueError(f"{name!r} is no name of a collection: give those that are, in full")


def _named_once(names: tuple[str, ...]) -> tuple[str, ...]:
    check_collections(names)
    return tuple(dict.fromkeys(names))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_redis_url(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in ("redis", "rediss") or not parts.hostname:
            raise ValueError(
                "give redis:// or rediss:// and a host, such as redis://127.0.0.1:6379"
            )
    return url


def _check_store_url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(
                "give http:// or https:// and a host, such as http://127.0.0.1:6333; the key has a "
                "setting of its own"
            )
    return url


def split_names(names: object) -> object:
    """A variable holds one text; a file holds a list."""
    return tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names


CollectionNames = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(split_names), AfterValidator(_named_once)
]
"""Collections by their names inside, each once; a variable has them between commas."""


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddingSettings(Group):
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


class StoreSettings(Group):
    """Where the chunks are kept: in the data folder, or on a Qdrant server."""

    url: Annotated[str | None, AfterValidator(_check_store_url)] = Field(
        default=None,
        description="Address of a Qdrant server, of version 1.19 or newer, with its port if that "
        "is not 6333; unset keeps the chunks in the data folder.",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key of the Qdrant server; it is never shown."
    )
    name: str = Field(
        default="thrifty_rag",
        pattern=COLLECTION_PATTERN,
        description="Qdrant collection on the server that holds all chunks of all collections.",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=1_000,
        description="Shards of the Qdrant collection, when it is made; word statistics are those "
        "of each shard.",
    )
    replicas: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Servers that hold each shard, when the Qdrant collection is made.",
    )
    write_consistency: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Replicas that must have a write before it counts as done, when the Qdrant "
        "collection is made.",
    )
    quantization: Literal["none", "turbo", "int8", "binary"] = Field(
        default="turbo",
        description="Small copies of the vectors in memory to search among, of 4, 8 or 1 bits a "
        "number; what is found is scored with the whole vectors. A Qdrant collection keeps what it "
        "was made with, the embedded store follows at the end of the next ingestion.",
    )
    on_disk: bool = Field(
        default=False,
        description="Leave vectors and payloads on the server's disk, when the Qdrant collection "
        "is made.",
    )
    timeout_s: int = Field(
        default=30, ge=1, le=600, description="Seconds that the Qdrant server may take to answer."
    )


class IngestionSettings(Group):
    """What may be read, how much of it, and how it is cut."""

    chunk_tokens: int | None = Field(
        default=None,
        ge=MIN_CHUNK_TOKENS,
        description="Tokens of a chunk at most, counted by the embedding model, title and headings "
        "included; unset takes 190, or as many as the model reads if those are fewer. The next "
        "ingestion cuts anew what it is given.",
    )
    max_file_bytes: int = Field(
        default=50_000_000, ge=1_000, le=10_000_000_000, description="Bytes that a file may have."
    )
    max_unpacked_bytes: int = Field(
        default=500_000_000,
        ge=1_000,
        le=100_000_000_000,
        description="Bytes that a file may have once it is unpacked, as an archive or a .docx is.",
    )
    max_read_seconds: float = Field(
        default=120, ge=1, le=86_400, description="Seconds that the reading of one file may take."
    )
    max_read_memory_bytes: int = Field(
        default=2_000_000_000,
        ge=400_000_000,
        le=1_000_000_000_000,
        description="Memory that the process which reads a file may take.",
    )
    readers: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Processes that read files at the same time; 0 takes two, or one on one core.",
    )
    max_page_seconds: float = Field(
        default=30, ge=1, le=3_600, description="Seconds that fetching a page of the web may take."
    )
    private_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_names)] = Field(
        default=(),
        description="Hosts, with or without a port, between commas, that pages may be fetched from "
        "though their address is a private one. Others are refused, lest a link lead inside.",
    )
    min_free_bytes: int = Field(
        default=200_000_000,
        ge=0,
        le=1_000_000_000_000,
        description="Bytes that must be free on the disk of the data folder before more is "
        "written: a disk that fills up in the middle of a write helps nobody.",
    )


class RetrievalSettings(Group):
    """How the chunks that may answer are found."""

    candidates: int = Field(
        default=50,
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


class ContextSettings(Group):
    """What is sent to the generator."""

    max_tokens: int = Field(
        default=1_000,
        ge=1,
        le=MAX_CONTEXT_TOKENS,
        description="Tokens of context, at most, for a question that does not say how many it "
        "wants.",
    )
    min_usefulness: float = Field(
        default=0.06,
        ge=0,
        le=1,
        description="Probability of helping to answer below which a sentence is left out of the "
        "context; 0 fills the budget.",
    )


class AnswerSettings(Group):
    """When to answer."""

    abstain_below: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="Confidence below which the service says that the documents do not answer.",
    )
    escalate_below: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Confidence below which the next dearer tier is asked, where there is one.",
    )
    instructions: str = Field(
        default="",
        max_length=4_000,
        description="What language models are told beside the rules of the project, such as the "
        "tone and the length of answers.",
    )
    max_question_chars: int = Field(
        default=4_000, ge=1, le=1_000_000, description="Characters that a question may have."
    )


class ReuseSettings(Group):
    """When an earlier answer is given again."""

    enabled: bool = Field(
        default=True,
        description="Keep answers, and give them again as long as nothing that they rest on has "
        "changed. What is kept stands in the state, the questions included.",
    )
    max_error: float = Field(
        default=0.01,
        ge=0,
        le=0.5,
        description="Of the answers that are given again to a question in other words, the share "
        "that may be wrong; 0 gives answers again to the same words only.",
    )
    min_confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Confidence that an answer must have to be kept; unset takes "
        "`answers.escalate_below`.",
    )
    keep_days: float = Field(
        default=30, gt=0, le=3_650, description="Days after which an answer is made anew."
    )
    max_entries: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Answers to keep; the oldest go first.",
    )


class ServerSettings(Group):
    """The HTTP service."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; one that other machines reach needs keys.",
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
    max_question_bytes: int = Field(
        default=4_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="Bytes that a request may have which brings no documents and no batch.",
    )
    client_timeout_s: float = Field(
        default=30,
        ge=1,
        le=3_600,
        description="Seconds that a client may take to send the head of a request; and to send a "
        "body or to read an answer, besides a second for each `server.min_bytes_per_s` bytes.",
    )
    min_bytes_per_s: int = Field(
        default=1_000,
        ge=1,
        le=1_000_000_000,
        description="Bytes a second at which a client must send a body and read an answer, once "
        "`server.client_timeout_s` has passed.",
    )
    max_concurrent_answers: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Questions worked on at once; one more is told to come back later.",
    )
    cores: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU cores that answers may use, from which follows how many are worked on at "
        "once; 0 takes all that the process may run on. Where a container has a quota, give that.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_names)] = Field(
        default=(),
        description="Names under which the service may be called besides this machine's, between "
        "commas: that of a proxy. Others are refused, lest foreign web pages read the documents.",
    )
    redis_url: Annotated[SecretStr | None, AfterValidator(_check_redis_url)] = Field(
        default=None,
        description="Redis in which several services count requests together for the limits of "
        "keys, as `redis://127.0.0.1:6379`; unset: each service counts its own.",
    )


class BaselineSettings(Group):
    """The naive way, which every answer's saving is measured against."""

    model: str = Field(
        default="gpt-4o", min_length=1, description="Premium model of the baseline cost."
    )
    chunks: int = Field(
        default=5, ge=1, le=MAX_HITS, description="Best chunks that the baseline sends whole."
    )


class LogSettings(Group):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least weight of a message that is logged."
    )
    format: Literal["text", "json"] = Field(
        default="text",
        description="Lines of text, or a JSON object a line with time, level, logger, message and "
        "request_id.",
    )
    questions: bool = Field(
        default=False, description="Log the questions too; they may be private."
    )
