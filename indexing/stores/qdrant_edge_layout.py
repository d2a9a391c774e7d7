"""How chunks lie in the embedded store: the engine's folder, and beside it what it was made for.

There is no graph of the vectors: all small copies are read, which finds what is nearest, always.
For 100,000 chunks that takes as long as reading the words does, so that a graph would win little;
it would miss some of the nearest, and the engine would halt this process while it builds one.

The engine keeps its own record of how the vectors are made small. It follows the setting when it
next optimizes: until then, what is there stays as it was made, and is searched all the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import qdrant_edge as qdrant

from indexing.stores.payload import DENSE, INDEXED_FIELDS, PARTITION_FIELD, SCHEMA_VERSION, SPARSE
from indexing.stores.quantization import OVERSAMPLING, Quantization
from rag.errors import RagError, StoreError, StoreLockedError, StoreMismatchError

WHOLE = qdrant.SearchParams(quantization=qdrant.QuantizationSearchParams(ignore=True))
"""Searches the whole vectors, also where there are small ones."""

_RECORD = "store.json"
_HALF_BUILT = "temp_segments"
_NO_GRAPH = 0
_BITS = {  # made by TurboQuant each, since it takes new vectors too without making all anew
    "turbo": qdrant.TurboQuantBitSize.Bits4,
    "int8": qdrant.TurboQuantBitSize.Bits8,
    "binary": qdrant.TurboQuantBitSize.Bits1,
}


def open_shard(
    folder: Path, fingerprint: str, dimension: int, quantization: Quantization
) -> qdrant.EdgeShard:
    """The engine on `folder`, which is made if it is not there.

    Raises StoreMismatchError when the folder was made for another embedding model, dimension or
    schema version, StoreLockedError when another process holds it, and StoreError.
    """
    record = {"schema": SCHEMA_VERSION, "embedding": fingerprint, "dimension": dimension}
    config = _config(dimension, quantization)
    try:
        if not (folder / _RECORD).exists():
            _make(folder, record, config)
        _check_record(folder, json.loads((folder / _RECORD).read_text()), record)
        shard = qdrant.EdgeShard.load(str(folder), config)
    except RagError:
        raise
    except Exception as error:  # the engine raises a plain Exception for all of its faults
        if "WouldBlock" in str(error):
            raise StoreLockedError(
                f"another process holds the store in {folder}: wait for it or end it"
            ) from error
        raise StoreError(f"the store in {folder} cannot be opened: {error}") from error
    for left in (folder / _HALF_BUILT).glob("*"):  # by a process that was killed meanwhile
        shutil.rmtree(left, ignore_errors=True)
    return shard


def finding(quantization: Quantization) -> qdrant.SearchParams:
    """How to search among all dense vectors, so that the scores are those of the whole ones."""
    if quantization == "none":
        return WHOLE  # there may be small ones still, of another setting
    rescored = qdrant.QuantizationSearchParams(
        rescore=True, oversampling=OVERSAMPLING[quantization]
    )
    return qdrant.SearchParams(quantization=rescored)


def _make(folder: Path, record: Mapping[str, object], config: qdrant.EdgeConfig) -> None:
    """An empty store with its record: there whole or not at all, also when killed."""
    fresh = folder.with_name(f".{folder.name}.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    shard = qdrant.EdgeShard.create(str(fresh), config)
    for field in (PARTITION_FIELD, *INDEXED_FIELDS):
        schema = qdrant.PayloadSchemaType.Keyword
        shard.update(qdrant.UpdateOperation.create_field_index(field, schema))
    shard.close()
    (fresh / _RECORD).write_text(json.dumps(record))
    fresh.rename(folder)  # fails where a folder that is not empty stands


def _config(dimension: int, quantization: Quantization) -> qdrant.EdgeConfig:
    bits = _BITS.get(quantization)
    small = None if bits is None else qdrant.TurboQuantQuantizationConfig(bits=bits)
    vectors = qdrant.EdgeVectorParams(
        size=dimension,
        distance=qdrant.Distance.Dot,
        memory=qdrant.Memory.Cold,  # else all that is allotted is read at once, empty or not
        quantization_config=small,
    )
    return qdrant.EdgeConfig(
        vectors={DENSE: vectors},
        sparse_vectors={SPARSE: qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
        optimizers=qdrant.EdgeOptimizersConfig(indexing_threshold=_NO_GRAPH),
        wal_enabled=True,
    )


def _check_record(folder: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    for key, value in wanted.items():
        if found.get(key) != value:
            raise StoreMismatchError(
                f"the store in {folder} was made with {key} {found.get(key)!r}, the settings ask "
                f"for {value!r}: set them back, or give another RAG_DATA_DIR and ingest again"
            )
