"""This project on the work of the peer comparison, by the same protocol, through its own pipelines.

    python -m benchmarks.ours --data ../shared/data/scifact --out ours.json

Ingestion is the whole of it: chunk, embed, upsert through the write-ahead log, commit to the
manifest. A query is embedded, searched and fused as in the service, with the default settings.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from api.build import build
from api.settings import load_settings
from benchmarks.peers.measurement import Peer, best_per_document, main
from benchmarks.workload import Document as WorkloadDocument
from indexing.identity import content_version
from rag.types import Document, Question

COLLECTION = "scifact"
HITS = 20  # several chunks of one document may be among them


def ready(_model_path: str) -> Peer:
    """The project with its model loaded, and nothing indexed."""
    folder = Path(tempfile.mkdtemp())
    settings = load_settings().model_copy(update={"data_dir": folder})
    application = build(settings)
    loop = asyncio.new_event_loop()

    def ingest(documents: Sequence[WorkloadDocument]) -> None:
        ours = [
            Document(
                COLLECTION,
                document.id,
                content_version(document.title, document.text, {}),
                document.title,
                document.text,
                (document.id,),
            )
            for document in documents
        ]
        loop.run_until_complete(application.ingestion.ingest_documents(ours, COLLECTION))

    def search(text: str) -> list[str]:
        hits = loop.run_until_complete(
            application.pipeline.search(Question(text, COLLECTION), HITS)
        )
        return best_per_document(hit.chunk.document_id for hit in hits)

    return Peer(
        system="Thrifty RAG",
        packages=("qdrant-edge-py", "onnxruntime"),
        settings={"retrieval": settings.retrieval.model_dump(), "precision": "int8"},
        ingest=ingest,
        search=search,
    )


if __name__ == "__main__":
    main(__doc__ or "", ready)
