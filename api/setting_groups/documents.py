"""The settings of documents: the embedding model, the store, the ingestion."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from api.setting_groups.group import (
    COLLECTION_PATTERN,
    Group,
    split_names,
)
from indexing.chunking import MIN_CHUNK_TOKENS


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


def _check_store_url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(
                "give http:// or https:// and a host, such as http://127.0.0.1:6333; the key has a "
                "setting of its own"
            )
    return url


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
