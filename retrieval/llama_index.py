"""A Retriever as LlamaIndex wants one, for its query engines, chat engines and agents.

Importing this takes about two seconds, since LlamaIndex does: nothing else of the project does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import (
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from rag.errors import RangeError
from rag.pipeline import MAX_HITS, retrieve_current
from rag.ports import Retriever
from rag.types import Hit, Question, Scalar

_SHOWN_TO_MODELS = "title"


class ThriftyRetriever(BaseRetriever):  # type: ignore[misc]  # LlamaIndex is not looked into
    """The hits of `retriever` as nodes: of the best `k` (1 to 200) those that none supersedes.

    `retrieve` runs `retriever` on a thread of its own, `aretrieve` on the caller's loop: use one of
    the two. Raises RangeError for another `k`, and when asked what `retriever` raises.
    """

    def __init__(
        self,
        retriever: Retriever,
        collection: str,
        k: int = 10,
        filters: Mapping[str, tuple[Scalar, ...]] | None = None,
    ) -> None:
        if not 1 <= k <= MAX_HITS:
            raise RangeError("k", k, 1, MAX_HITS)
        super().__init__()
        self._retriever = retriever
        self._collection = collection
        self._k = k
        self._filters = dict(filters or {})
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llama-index")
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """End the thread of `retrieve`."""
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._thread.submit(self._runner.run, self._aretrieve(query_bundle)).result()

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        question = Question(query_bundle.query_str, self._collection, self._filters)
        hits = await retrieve_current(self._retriever, question, self._k)
        return [_node(hit) for hit in hits]


def _node(hit: Hit) -> NodeWithScore:
    """A hit as a node; prompts of LlamaIndex show its title, and none of its other metadata."""
    chunk = hit.chunk
    metadata = {
        **chunk.metadata,
        "collection": chunk.collection,
        "document_id": chunk.document_id,
        "title": chunk.title,
        "source": chunk.source,
        "start": chunk.start,
        "end": chunk.end,
        "page": chunk.page,
    }
    hidden = [name for name in metadata if name != _SHOWN_TO_MODELS]
    node = TextNode(
        id_=chunk.chunk_id,
        text=chunk.text,
        metadata=metadata,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=hidden,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=chunk.document_id)},
    )
    return NodeWithScore(node=node, score=hit.score)
