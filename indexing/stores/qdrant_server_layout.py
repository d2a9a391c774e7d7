"""How chunks lie on a Qdrant server: the one Qdrant collection that holds all of ours.

Our collections are partitions of it, by the field that Qdrant calls the tenant. Its metadata
record the embedding model, the dimension and the schema version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qdrant_client import AsyncQdrantClient, models

from indexing.stores.payload import DENSE, INDEXED_FIELDS, PARTITION_FIELD, SCHEMA_VERSION, SPARSE
from indexing.stores.quantization import DEFAULT_QUANTIZATION, OVERSAMPLING, Quantization
from rag.errors import StoreError, StoreMismatchError

OLDEST_SERVER = (1, 19)
"""The first version of Qdrant that counts words for each of our collections by itself."""

_RECORD = "thrifty_rag"
_PAYLOAD_LINKS = 16


@dataclass(frozen=True, slots=True)
class ServerLayout:
    """What the Qdrant collection `name` is made with; one that is there already keeps its own.

    `shards` cut it, each of them is held `replicas` times, and a write is done when
    `write_consistency` of these have it. `on_disk` leaves vectors and payloads on the disk; whole
    vectors of which there are small copies always stay there.
    """

    name: str = "thrifty_rag"
    shards: int = 1
    replicas: int = 1
    write_consistency: int = 1
    quantization: Quantization = DEFAULT_QUANTIZATION
    on_disk: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read from a Qdrant collection as it was made.

    `find` and `score` are how to search among all dense vectors, and to score the best of them.
    """

    consistency: models.ReadConsistencyType | None
    find: models.SearchParams | None
    score: models.SearchParams | None


async def prepare_collection(
    client: AsyncQdrantClient, layout: ServerLayout, fingerprint: str, dimension: int
) -> Reading:
    """Make the Qdrant collection if it is not there, and its indexes, and check whose it is.

    Raises StoreMismatchError when it was made for another embedding model, dimension or schema
    version, or by another program; StoreError for a server that is too old.
    """
    await _check_version(client)
    record = {"schema": SCHEMA_VERSION, "embedding": fingerprint, "dimension": dimension}
    if not await client.collection_exists(layout.name):
        await _make(client, layout, record, dimension)
    info = await client.get_collection(layout.name)
    _check_record((info.config.metadata or {}).get(_RECORD), record, layout.name)
    for field in (PARTITION_FIELD, *INDEXED_FIELDS):  # also those of a making that was killed
        if field not in info.payload_schema:
            await client.create_payload_index(layout.name, field, _index(field), wait=True)
    return _reading(info.config)


async def _check_version(client: AsyncQdrantClient) -> None:
    version = (await client.info()).version
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise StoreError(f"the server runs Qdrant {version}: update it to {oldest} or newer")


async def _make(
    client: AsyncQdrantClient, layout: ServerLayout, record: dict[str, Any], dimension: int
) -> None:
    try:
        await client.create_collection(
            layout.name,
            vectors_config={
                DENSE: models.VectorParams(
                    size=dimension,
                    distance=models.Distance.DOT,
                    on_disk=layout.on_disk or layout.quantization != "none",
                )
            },
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            shard_number=layout.shards,
            replication_factor=layout.replicas,
            write_consistency_factor=layout.write_consistency,
            on_disk_payload=layout.on_disk,
            # no search goes beyond a partition, so that links within each suffice
            hnsw_config=models.HnswConfigDiff(m=0, payload_m=_PAYLOAD_LINKS),
            quantization_config=_quantization(layout.quantization),
            metadata={_RECORD: record},
        )
    except Exception:
        if not await client.collection_exists(layout.name):  # else another was faster
            raise


def _index(field: str) -> models.KeywordIndexParams:
    is_partition = field == PARTITION_FIELD
    return models.KeywordIndexParams(
        type=models.KeywordIndexType.KEYWORD, is_tenant=is_partition, enable_hnsw=is_partition
    )


def _quantization(wanted: Quantization) -> models.QuantizationConfig | None:
    """Small vectors in memory, to search among; the whole ones stay, to score with."""
    match wanted:
        case "none":
            return None
        case "turbo":
            bits = models.TurboQuantBitSize.BITS4
            turbo = models.TurboQuantQuantizationConfig(bits=bits, always_ram=True)
            return models.TurboQuantization(turbo=turbo)
        case "int8":
            scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
            return models.ScalarQuantization(scalar=scalar)
        case "binary":
            binary = models.BinaryQuantizationConfig(always_ram=True)
            return models.BinaryQuantization(binary=binary)


def _check_record(found: Any, wanted: dict[str, Any], name: str) -> None:
    if not isinstance(found, dict):
        raise StoreMismatchError(
            f"the Qdrant collection {name!r} was not made by this program: give another "
            "RAG_STORE__NAME"
        )
    for key, value in wanted.items():
        if found.get(key) != value:
            raise StoreMismatchError(
                f"the Qdrant collection {name!r} was made with {key} {found.get(key)!r}, the "
                f"settings ask for {value!r}: set them back, or give another RAG_STORE__NAME and "
                "ingest again"
            )


def _reading(config: models.CollectionConfig) -> Reading:
    replicas = config.params.replication_factor or 1
    consistency = models.ReadConsistencyType.MAJORITY if replicas > 1 else None
    match config.quantization_config:
        case None:
            return Reading(consistency, None, None)
        case models.BinaryQuantization():
            oversampling = OVERSAMPLING["binary"]
        case models.TurboQuantization():
            oversampling = OVERSAMPLING["turbo"]
        case _:
            oversampling = OVERSAMPLING["int8"]
    rescored = models.QuantizationSearchParams(rescore=True, oversampling=oversampling)
    exact = models.QuantizationSearchParams(ignore=True)
    return Reading(
        consistency,
        models.SearchParams(quantization=rescored),
        models.SearchParams(quantization=exact),
    )
