"""Questions are embedded once."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import CountingEmbedder, HashingEmbedder

from indexing.embedding.remembering import RememberingEmbedder
from rag.types import Passage


def question(text: str) -> Passage:
    return Passage(text, "question")


@pytest.fixture
def inner() -> CountingEmbedder:
    return CountingEmbedder(HashingEmbedder())


async def test_it_gives_what_the_embedder_gives(inner: CountingEmbedder) -> None:
    passages = [question("a b"), Passage("a b", "document"), question("c"), question("a b")]
    wanted = await HashingEmbedder().embed(passages)
    remembering = RememberingEmbedder(inner)
    for _ in range(2):
        found = await remembering.embed(passages)
        assert np.array_equal([e.vector for e in found], [e.vector for e in wanted])
    assert (remembering.fingerprint, remembering.dimension) == (inner.fingerprint, inner.dimension)


async def test_a_question_is_embedded_once_and_a_document_each_time(
    inner: CountingEmbedder,
) -> None:
    remembering = RememberingEmbedder(inner)
    for _ in range(3):
        await remembering.embed([question("q"), Passage("d", "document"), question("q")])
    assert inner.texts == ["q", "d", "d", "d"]


async def test_the_one_that_was_asked_longest_ago_is_forgotten(inner: CountingEmbedder) -> None:
    remembering = RememberingEmbedder(inner, max_questions=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await remembering.embed([question(text)])
    assert inner.texts == ["a", "b", "c", "b"]


async def test_more_questions_at_once_than_it_remembers(inner: CountingEmbedder) -> None:
    remembering = RememberingEmbedder(inner, max_questions=2)
    assert len(await remembering.embed([question(text) for text in "abcd"])) == 4
    await remembering.embed([question("d")])
    assert inner.texts == list("abcd")


async def test_nothing_to_embed_asks_nobody(inner: CountingEmbedder) -> None:
    assert await RememberingEmbedder(inner).embed([]) == []
    assert inner.texts == []
