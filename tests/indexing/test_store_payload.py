"""What a store writes beside the vectors: read and written again, it stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from store_makers import chunk, document

from indexing.stores.payload import (
    SENTENCE_VECTORS,
    chunk_payload,
    description,
    full_payload,
    stored_chunk,
    stored_embedded_chunk,
)
from rag.errors import StoreError
from rag.types import EmbeddedChunk, Embedding, Span

ROWS = npst.arrays(
    np.float32,
    st.tuples(st.integers(0, 4), st.integers(1, 400)),
    elements=st.floats(-1, 1, width=32),
)


@given(ROWS)
def test_sentence_vectors_keep_their_bytes_however_often_they_are_copied(rows: np.ndarray) -> None:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-9))
    sentences = tuple(Span(100, 100) for _ in unit)
    made = chunk(1, sentences=sentences)
    vector = np.ones(rows.shape[1], np.float32)
    first = full_payload(EmbeddedChunk(made, Embedding(vector, unit)))
    payload = first
    for _ in range(3):
        payload = full_payload(stored_embedded_chunk(made.chunk_id, vector, payload))
    assert payload == first


@given(npst.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(1, 400))))
def test_any_bytes_that_a_store_holds_are_written_back_as_they_were(scaled: np.ndarray) -> None:
    """Those that a store writes: in each row, the largest is 127 or all are 0."""
    scaled = np.maximum(scaled, -127)
    scaled[np.arange(len(scaled)), np.abs(scaled).argmax(axis=1)] = 127
    sentences = tuple(Span(100, 100) for _ in scaled)
    made = chunk(1, sentences=sentences)
    vector = np.ones(scaled.shape[1], np.float32)
    first = full_payload(EmbeddedChunk(made, Embedding(vector, scaled.astype(np.float32))))
    again = full_payload(stored_embedded_chunk(made.chunk_id, vector, first))
    assert again[SENTENCE_VECTORS] == first[SENTENCE_VECTORS]


def test_a_chunk_comes_back_with_all_its_sources() -> None:
    made = chunk(1, sources=("b.md", "a.md"), sentences=())
    payload = full_payload(EmbeddedChunk(made, Embedding(np.ones(3), np.zeros((0, 3)))))
    assert payload["sources"] == ["b.md", "a.md"]
    assert stored_chunk(made.chunk_id, payload).chunk == made
    assert made.source == "b.md"


def test_a_description_is_what_every_chunk_of_a_document_says_of_it() -> None:
    one = chunk(1, metadata={"lang": "de"})
    assert description(document(one)).items() <= chunk_payload(one).items()
    with pytest.raises(StoreError, match="finite"):
        description(document(one, metadata={"n": float("nan")}))
