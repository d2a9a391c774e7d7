"""Measure Haystack: `python -m benchmarks.peers.haystack_peer --data DIR --out FILE`.

Measured: embedding the documents and writing them to an `InMemoryDocumentStore` (which counts its
BM25 terms as it writes), then one run of the hybrid pipeline at a time. Excluded: imports, model
loading, reading the files.

Its best reasonable settings:

- whole documents, of which the model reads the first 256 tokens: documents split into 150 words
  with an overlap of 20 rank .005 lower (nDCG@10, BM25Plus, 50 hits per retriever) and are 1,869
  texts to embed.
- fusion by score distribution: nDCG@10 .834, where reciprocal rank gives .821. BM25L, the default,
  is within .002 of the two other algorithms.
- ten hits per retriever, the default: fifty give .837 for nearly twice the time per query (46 ms
  where ten take 25, the embedding of the query aside), since every hit is copied on its way.
"""

import os
from collections.abc import Sequence

from benchmarks.peers.measurement import WARM_UP_TEXT, Peer, best_per_document, main
from benchmarks.workload import Document

TOP_K = 10
BM25_ALGORITHM = "BM25L"
JOIN_MODE = "distribution_based_rank_fusion"


def build(model_path: str) -> Peer:
    """Haystack with its embedding model loaded."""
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    from haystack import Document as HaystackDocument
    from haystack import Pipeline
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders.sentence_transformers import (
        SentenceTransformersDocumentEmbedder,
        SentenceTransformersTextEmbedder,
    )

    store = InMemoryDocumentStore(bm25_algorithm=BM25_ALGORITHM, shared=False)
    embedder = SentenceTransformersDocumentEmbedder(model=model_path, progress_bar=False)
    embedder.run([HaystackDocument(content=WARM_UP_TEXT)])
    pipeline = Pipeline()
    pipeline.add_component(
        "embedder", SentenceTransformersTextEmbedder(model=model_path, progress_bar=False)
    )
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=TOP_K))
    pipeline.add_component("sparse", InMemoryBM25Retriever(store, top_k=TOP_K))
    pipeline.add_component("joiner", DocumentJoiner(join_mode=JOIN_MODE))
    pipeline.connect("embedder.embedding", "dense.query_embedding")
    pipeline.connect("dense", "joiner")
    pipeline.connect("sparse", "joiner")
    pipeline.warm_up()

    def ingest(documents: Sequence[Document]) -> None:
        embedded = embedder.run(
            [HaystackDocument(id=document.id, content=document.full_text) for document in documents]
        )
        store.write_documents(embedded["documents"])

    def search(question: str) -> list[str]:
        found = pipeline.run({"embedder": {"text": question}, "sparse": {"query": question}})
        return best_per_document(document.id for document in found["joiner"]["documents"])

    return Peer(
        system="Haystack",
        packages=(
            "haystack-ai",
            "sentence-transformers-haystack",
            "sentence-transformers",
            "torch",
        ),
        settings={
            "document_store": "InMemoryDocumentStore",
            "bm25_algorithm": BM25_ALGORITHM,
            "top_k_per_retriever": TOP_K,
            "join_mode": JOIN_MODE,
            "text": "title and text in one string, one vector per document",
        },
        ingest=ingest,
        search=search,
    )


if __name__ == "__main__":
    main(__doc__, build)
