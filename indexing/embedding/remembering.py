"""Remembers the vectors of the last questions: what was embedded once is not embedded again.

A question is embedded for what is kept, for what is found, and again whenever it is asked anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from rag.ports import Embedder
from rag.types import Embedding, Passage


class RememberingEmbedder:
    """An Embedder that keeps the embeddings of its last `max_questions` questions, in memory.

    Passages of documents are passed on as they are.
    """

    def __init__(self, embedder: Embedder, max_questions: int = 1_000) -> None:
        self._embedder = embedder
        self._max_questions = max_questions
        self._known: OrderedDict[Passage, Embedding] = OrderedDict()

    @property
    def fingerprint(self) -> str:
        """That of the wrapped embedder."""
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        """That of the wrapped embedder."""
        return self._embedder.dimension

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        """One embedding for each passage, in order."""
        known = {one: self._known[one] for one in passages if one in self._known}
        new = list(dict.fromkeys(one for one in passages if one not in known))
        made = dict(zip(new, await self._embedder.embed(new) if new else [], strict=True))
        for passage, embedding in {**known, **made}.items():
            if passage.role == "question":
                self._known[passage] = embedding
                self._known.move_to_end(passage)
        while len(self._known) > self._max_questions:
            self._known.popitem(last=False)
        found = {**known, **made}
        return [found[one] for one in passages]
