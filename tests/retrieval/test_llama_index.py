"""The retriever in LlamaIndex: nodes that lead back to the document, and engines that take it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import MakeIndexing
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeWithScore
from retrieval_fakes import ListRetriever, hit

from indexing.embedding.packaged import PackagedEmbedder
from rag.errors import NotFoundError, RangeError
from rag.types import Hit, Question
from retrieval.hybrid import HybridRetriever
from retrieval.llama_index import ThriftyRetriever
from retrieval.versions import NewestFirstRetriever

HITS = [hit("a", 0.9), replace(hit("b", 0.8), is_superseded=True), hit("c", 0.4, "Other words.")]


@pytest.fixture
def retriever() -> Iterator[ThriftyRetriever]:
    made = ThriftyRetriever(ListRetriever(HITS), "help", k=3)
    yield made
    made.close()


def ids(nodes: list[NodeWithScore]) -> list[str]:
    return [found.node.node_id for found in nodes]


def test_hits_are_nodes_without_what_is_superseded(retriever: ThriftyRetriever) -> None:
    nodes = retriever.retrieve("How long do refunds take?")
    assert ids(nodes) == ["a", "c"]
    assert [found.score for found in nodes] == [0.9, 0.4]
    node = nodes[0].node
    assert node.get_content() == "Refunds take five days."
    assert (node.start_char_idx, node.end_char_idx) == (0, 23)
    assert node.ref_doc_id == "doc-a"
    assert node.metadata == {
        "collection": "help",
        "document_id": "doc-a",
        "title": "Refunds",
        "source": "a.md",
        "start": 0,
        "end": 23,
        "page": None,
    }


def test_a_model_is_shown_the_title_alone(retriever: ThriftyRetriever) -> None:
    [first, _] = retriever.retrieve("How long do refunds take?")
    shown = first.node.get_content(metadata_mode=MetadataMode.LLM)
    assert shown == "title: Refunds\n\nRefunds take five days."


async def test_both_ways_give_the_same(retriever: ThriftyRetriever) -> None:
    assert ids(await retriever.aretrieve("x")) == ids(retriever.retrieve("x"))


def test_the_loop_of_a_client_lives_on_between_calls() -> None:
    class Bound:
        """Like the client of a server: its connection belongs to the loop that opened it."""

        def __init__(self) -> None:
            self.loops: set[asyncio.AbstractEventLoop] = set()

        async def retrieve(self, question: Question, k: int) -> list[Hit]:
            self.loops.add(asyncio.get_running_loop())
            return HITS[:k]

    bound = Bound()
    retriever = ThriftyRetriever(bound, "help")
    retriever.retrieve("x")
    retriever.retrieve("y")
    assert len(bound.loops) == 1
    retriever.close()
    assert all(loop.is_closed() for loop in bound.loops)


@pytest.mark.parametrize("k", [0, 201])
def test_k_has_a_range(k: int) -> None:
    with pytest.raises(RangeError, match=f"k is {k}"):
        ThriftyRetriever(ListRetriever([]), "help", k)


async def test_a_query_engine_over_the_real_model_and_store(
    make_indexing: MakeIndexing, embedder: PackagedEmbedder, tmp_path: Path
) -> None:
    indexing = make_indexing(embedder)
    (tmp_path / "returns.md").write_text("# Returns\n\nYou can return an item within 30 days.\n")
    (tmp_path / "hours.md").write_text("# Hours\n\nThe shop opens at nine on weekdays.\n")
    await indexing.pipeline.ingest([str(tmp_path)], "shop")
    hybrid = HybridRetriever(embedder, indexing.store, indexing.manifest, 60, 0.5)
    retriever = ThriftyRetriever(NewestFirstRetriever(hybrid), "shop", k=1)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    answer = await engine.aquery("How long can I return an item?")
    assert "within 30 days" in answer.response  # what was put to the model
    [source] = answer.source_nodes
    assert source.node.metadata["source"].endswith("returns.md")
    with pytest.raises(NotFoundError, match="'nowhere' holds no documents"):
        await ThriftyRetriever(hybrid, "nowhere").aretrieve("x")
