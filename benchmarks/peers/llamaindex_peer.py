"""Measure LlamaIndex: `python -m benchmarks.peers.llamaindex_peer --data DIR --out FILE`.

Measured: an `IngestionPipeline` (split, embed, upsert into Qdrant's in-process local mode) and the
BM25 index over its nodes, then one `QueryFusionRetriever` query at a time. Excluded: imports, model
loading, reading the files.

Its best reasonable settings:

- the splitter's own default, 1024 tokens with an overlap of 200: nearly every document is one
  chunk, of which the model reads the first 256 tokens. nDCG@10 .846, where chunks of 256 with an
  overlap of 20 give .839 for twice the embedding work.
- fusion by relative score: .846, where reciprocal rank gives .824.
- batches of 64 texts rather than its default 10: a third less CPU time to embed.
- Qdrant in memory rather than in a folder: ingestion then pays for no disk.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.peers.measurement import WARM_UP_TEXT, Peer, best_per_document, main
from benchmarks.workload import Document

CHUNK_SIZE = 1024
CHUNK_OVERLAP = 200
TOP_K = 50
FUSION_MODE = "relative_score"
EMBED_BATCH_SIZE = 64


def build(model_path: str) -> Peer:
    """LlamaIndex with its embedding model loaded."""
    from llama_index.core import Document as LlamaDocument
    from llama_index.core import VectorStoreIndex
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.llms import MockLLM
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from llama_index.retrievers.bm25 import BM25Retriever
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    embedding = HuggingFaceEmbedding(model_name=model_path, embed_batch_size=EMBED_BATCH_SIZE)
    embedding.get_text_embedding(WARM_UP_TEXT)
    splitter = SentenceSplitter(chunk_size=CHUNK_SIZE, chunk_overlap=CHUNK_OVERLAP)
    retrievers: list[BaseRetriever] = []

    def ingest(documents: Sequence[Document]) -> None:
        store = QdrantVectorStore("peers", client=QdrantClient(":memory:"))
        nodes = IngestionPipeline(
            transformations=[splitter, embedding], vector_store=store, disable_cache=True
        ).run(
            documents=[
                LlamaDocument(
                    id_=document.id, text=document.text, metadata={"title": document.title}
                )
                for document in documents
            ]
        )
        index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
        retrievers.append(
            QueryFusionRetriever(
                [
                    index.as_retriever(similarity_top_k=TOP_K),
                    BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=TOP_K),
                ],
                llm=MockLLM(),  # never called, since no further queries are generated
                num_queries=1,
                mode=FUSION_MODE,
                similarity_top_k=TOP_K,
                use_async=False,
            )
        )

    def search(question: str) -> list[str]:
        hits: list[Any] = retrievers[0].retrieve(question)
        return best_per_document(hit.node.ref_doc_id for hit in hits)

    return Peer(
        system="LlamaIndex",
        packages=(
            "llama-index-core",
            "llama-index-vector-stores-qdrant",
            "llama-index-retrievers-bm25",
            "llama-index-embeddings-huggingface",
            "qdrant-client",
            "sentence-transformers",
            "torch",
        ),
        settings={
            "chunk_size": CHUNK_SIZE,
            "chunk_overlap": CHUNK_OVERLAP,
            "vector_store": "Qdrant local mode, in memory",
            "top_k_per_retriever": TOP_K,
            "fusion": FUSION_MODE,
            "embed_batch_size": EMBED_BATCH_SIZE,
            "text": "text, with the title as metadata that is embedded with every chunk",
        },
        ingest=ingest,
        search=search,
    )


if __name__ == "__main__":
    main(__doc__, build)
