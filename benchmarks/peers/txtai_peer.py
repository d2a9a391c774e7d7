"""Measure txtai: `python -m benchmarks.peers.txtai_peer --data DIR --out FILE`.

Measured: indexing (embedding, FAISS, BM25 terms in SQLite, the text itself in SQLite), then one
hybrid query at a time. Excluded: imports, model loading, reading the files.

Its best reasonable settings, each chosen from what txtai documents:

- `method="sentence-transformers"`: the same vectors as its own loader, a little faster. It reads
  256 tokens, the model's limit, as the other systems do; txtai's own loader reads 512 from the
  tokenizer's settings, costs about 1.6 times the time and gains nothing here.
- `normalize="bb25"` for BM25: nDCG@10 .849, where the plain `hybrid=True` gives .835.
"""

from collections.abc import Sequence

from benchmarks.peers.measurement import WARM_UP_TEXT, Peer, main
from benchmarks.workload import Document

LIMIT = 10
SETTINGS = {
    "method": "sentence-transformers",
    "content": True,
    "scoring": {"method": "bm25", "terms": True, "normalize": "bb25"},
}


def build(model_path: str) -> Peer:
    """txtai with its model loaded."""
    from txtai import Embeddings

    embeddings = Embeddings(path=model_path, **SETTINGS)
    embeddings.transform(WARM_UP_TEXT)

    def ingest(documents: Sequence[Document]) -> None:
        embeddings.index((document.id, document.full_text, None) for document in documents)

    def search(question: str) -> list[str]:
        return [row["id"] for row in embeddings.search(question, LIMIT)]

    return Peer(
        system="txtai",
        packages=("txtai", "sentence-transformers", "faiss-cpu", "torch"),
        settings={
            **SETTINGS,
            "limit": LIMIT,
            "hybrid_weights": "0.5 / 0.5, the default",
            "text": "title and text in one string, one vector per document",
        },
        ingest=ingest,
        search=search,
    )


if __name__ == "__main__":
    main(__doc__, build)
