"""Hits made of texts, as a chunker and a retriever would have made them."""

from __future__ import annotations

from collections.abc import Sequence

from compression.usefulness import SIGNALS, Usefulness
from indexing.sentences import find_blocks
from rag.types import Chunk, Hit, Span

BY_COSINE = Usefulness(-5.0, dict.fromkeys(SIGNALS, 0.0) | {"sentence_cosine": 10.0})
"""As useful as the sentence's own score: .5 at .5, .27 at .4, .02 at .1."""


def hits_of(
    texts: Sequence[str],
    document_id: str = "doc",
    prefix: str = "Title",
    scores: Sequence[Sequence[float]] | None = None,
) -> list[Hit]:
    """The chunks of one document, whose texts in order are `texts`.

    `scores[i]` are those of the sentences of the i-th; without them the first sentence of a chunk
    is the best.
    """
    whole = "".join(texts)
    hits = []
    start = 0
    for number, text in enumerate(texts):
        found = [s for block in find_blocks(text) for s in block.sentences]
        sentences = tuple(Span(s.start + start, s.end + start) for s in found)
        given = scores[number] if scores else [1 - 0.01 * i for i in range(len(sentences))]
        assert len(given) == len(sentences), [text[s.start : s.end] for s in found]
        chunk = Chunk(
            chunk_id=f"{document_id}-{number}",
            collection="help",
            document_id=document_id,
            version="v1",
            title=prefix,
            revision="r1",
            content="",
            sources=(f"{document_id}.md",),
            headings=(),
            prefix=prefix,
            start=start,
            end=start + len(text),
            text=text,
            sentences=sentences,
        )
        assert whole[chunk.start : chunk.end] == chunk.text
        hits.append(Hit(chunk, 1 - 0.1 * number, 0.5, 1.0, tuple(given)))
        start += len(text)
    return hits


def hit_of(
    text: str,
    document_id: str = "doc",
    prefix: str = "Title",
    scores: Sequence[float] | None = None,
) -> Hit:
    """A document of one chunk."""
    (only,) = hits_of([text], document_id, prefix, None if scores is None else [scores])
    return only
