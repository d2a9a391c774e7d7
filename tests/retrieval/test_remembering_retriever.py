"""What was found is remembered as long as nothing has changed, and never longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import MakeIndexing
from retrieval_fakes import hit

from rag.errors import NotFoundError
from rag.types import Hit, Question, Scalar
from retrieval.hybrid import HybridRetriever
from retrieval.remembering import RememberingRetriever

QUESTION = Question("How long do refunds take?", "help")


class Collection:
    """A Retriever that finds `hits`, and the ChangeCounter of what it finds.

    `during` is done once while something is looked for.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.count = 0
        self.hits = [hit("a"), hit("b")]
        self.during: Callable[[], None] = lambda: None

    def edit(self, chunk_id: str) -> None:
        self.hits = [hit(chunk_id)]
        self.count += 1

    async def changes(self, collection: str) -> int:
        return self.count if collection == QUESTION.collection else 0

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        self.asked.append((question.text, k))
        found = self.hits[:k]
        during, self.during = self.during, lambda: None
        during()
        return found


@pytest.fixture
def collection() -> Collection:
    return Collection()


async def found(retriever: RememberingRetriever, question: Question = QUESTION) -> list[str]:
    return [one.chunk.chunk_id for one in await retriever.retrieve(question, 5)]


async def test_the_same_question_is_looked_for_once(collection: Collection) -> None:
    retriever = RememberingRetriever(collection, collection)
    asked = [await retriever.retrieve(QUESTION, 5) for _ in range(3)]
    assert asked == [collection.hits] * 3
    asked[0].clear()
    assert await retriever.retrieve(QUESTION, 5) == collection.hits
    assert collection.asked == [(QUESTION.text, 5)]


async def test_what_has_no_part_in_it_makes_no_difference(collection: Collection) -> None:
    retriever = RememberingRetriever(collection, collection)
    for question in (QUESTION, replace(QUESTION, is_fresh=True, key="k", answer_id="ans_2")):
        await retriever.retrieve(question, 5)
    assert len(collection.asked) == 1


@pytest.mark.parametrize(
    ("other", "k"),
    [
        (replace(QUESTION, text="How long do refunds take"), 5),
        (replace(QUESTION, collection="other"), 5),
        (replace(QUESTION, tenant="t"), 5),
        (replace(QUESTION, filters={"title": ("Refunds",)}), 5),
        (QUESTION, 1),
    ],
    ids=["text", "collection", "tenant", "filters", "k"],
)
async def test_another_question_is_looked_for(
    collection: Collection, other: Question, k: int
) -> None:
    retriever = RememberingRetriever(collection, collection)
    await retriever.retrieve(QUESTION, 5)
    await retriever.retrieve(other, k)
    assert len(collection.asked) == 2


@pytest.mark.parametrize("values", [(1, True), (1, 1.0), ("1", 1), ("a", "b")])
async def test_filters_of_other_values_are_others(
    collection: Collection, values: tuple[Scalar, Scalar]
) -> None:
    retriever = RememberingRetriever(collection, collection)
    for value in values:
        await retriever.retrieve(replace(QUESTION, filters={"field": (value,)}), 5)
    assert len(collection.asked) == 2


async def test_after_a_change_it_is_looked_for_anew(collection: Collection) -> None:
    retriever = RememberingRetriever(collection, collection)
    assert await found(retriever) == ["a", "b"]
    collection.edit("new")
    assert await found(retriever) == ["new"]
    assert await found(retriever) == ["new"]
    assert len(collection.asked) == 2


async def test_what_changes_during_the_search_is_not_kept(collection: Collection) -> None:
    retriever = RememberingRetriever(collection, collection)
    collection.during = lambda: collection.edit("new")
    assert await found(retriever) == ["a", "b"]
    assert await found(retriever) == ["new"]


async def test_the_one_that_was_asked_longest_ago_is_forgotten(collection: Collection) -> None:
    retriever = RememberingRetriever(collection, collection, max_hits=4)
    texts = ["a", "b", "a", "c", "a", "b"]
    for text in texts:
        await retriever.retrieve(replace(QUESTION, text=text), 2)
    assert [text for text, _ in collection.asked] == ["a", "b", "c", "b"]


async def test_more_hits_than_it_keeps(collection: Collection) -> None:
    retriever = RememberingRetriever(collection, collection, max_hits=1)
    for _ in range(2):
        assert await found(retriever) == ["a", "b"]
    assert len(collection.asked) == 2


async def test_an_error_is_not_remembered(collection: Collection) -> None:
    def fail() -> None:
        raise NotFoundError("nothing there")

    retriever = RememberingRetriever(collection, collection)
    collection.during = fail
    with pytest.raises(NotFoundError):
        await retriever.retrieve(QUESTION, 5)
    assert await found(retriever) == ["a", "b"]


async def test_no_stale_result_from_the_real_parts(
    make_indexing: MakeIndexing, tmp_path: Path
) -> None:
    """Documents are added, edited and forgotten between questions; each time as found without."""
    indexing = make_indexing()
    inner = HybridRetriever(indexing.embedder, indexing.store, indexing.manifest, 60, 0.6)
    retriever = RememberingRetriever(inner, indexing.manifest)
    file, other = tmp_path / "refunds.txt", tmp_path / "hours.txt"

    async def check(*told: str) -> list[Hit]:
        hits = await retriever.retrieve(QUESTION, 5)
        assert hits == await inner.retrieve(QUESTION, 5) == await retriever.retrieve(QUESTION, 5)
        assert sorted(one.chunk.text for one in hits) == sorted(told)
        return hits

    file.write_text("Refunds take five days.")
    await indexing.pipeline.ingest([str(file)], "help")
    await check("Refunds take five days.")
    file.write_text("Refunds take nine days.")
    await indexing.pipeline.ingest([str(file)], "help")
    await check("Refunds take nine days.")
    other.write_text("The shop opens at nine.")
    await indexing.pipeline.ingest([str(other)], "help")
    hits = await check("Refunds take nine days.", "The shop opens at nine.")
    (gone,) = [one.chunk.document_id for one in hits if "nine days" in one.chunk.text]
    await indexing.pipeline.forget("help", [gone])
    await check("The shop opens at nine.")
