"""LangChain's chunks in our pipelines, so that nothing but the cuts differs from ours."""

from __future__ import annotations

import hashlib
import json
import subprocess
import uuid
from collections.abc import Mapping, Sequence

from benchmarks.publish import ROOT
from indexing.identity import revision_of
from rag.types import Chunk, Document

SIZES = ((200, 0), (200, 40), (400, 0), (400, 80))
"""Tokens of a chunk and of the overlap: none, or a fifth as in LangChain's tutorials."""

PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
_ID_SPACE = uuid.UUID("0d3b4f3e-7f0c-4a53-9d3e-0f6f5f6b6a11")

Cuts = Mapping[str, Sequence[tuple[int, int]]]
"""By document id, the spans of its chunks in order."""


class GivenCuts:
    """A Chunker that cuts where it is told; its chunks have neither prefix nor sentences."""

    def __init__(self, name: str, cuts: Cuts) -> None:
        self._name = name
        self._cuts = cuts

    @property
    def fingerprint(self) -> str:
        """The name of the cuts."""
        return self._name

    def chunk(self, document: Document) -> list[Chunk]:
        """The chunks that were given; they may overlap, and leave white space out."""
        revision = revision_of(document, self.fingerprint)
        return [
            Chunk(
                chunk_id=str(uuid.uuid5(_ID_SPACE, f"{document.collection}/{revision}/{number}")),
                collection=document.collection,
                document_id=document.document_id,
                version=document.version,
                revision=revision,
                content=hashlib.sha256(document.text[start:end].encode()).hexdigest()[:32],
                title=document.title,
                sources=document.sources,
                headings=(),
                prefix="",
                start=start,
                end=end,
                text=document.text[start:end],
                sentences=(),
                metadata=document.metadata,
            )
            for number, (start, end) in enumerate(self._cuts[document.document_id])
        ]


def langchain_cuts(documents: Sequence[Document]) -> tuple[dict[str, str], dict[str, Cuts]]:
    """The versions, and what LangChain's recursive splitter makes of the documents, by way."""
    asked = {"texts": {d.document_id: d.text for d in documents}, "sizes": SIZES}
    done = subprocess.run(
        [str(PEER_PYTHON), "-m", "benchmarks.peers.langchain_cuts"],
        cwd=ROOT,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{PEER_PYTHON} failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    names = (f"recursive {size}, overlap {overlap}" for size, overlap in SIZES)
    return told["versions"], dict(zip(names, told["cuts"], strict=True))
