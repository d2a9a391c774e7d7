"""A reranker that reads question and chunk together: a cross-encoder that the user names.

Nogueira and Cho (1901.04085). Nothing is loaded, and nothing fetched, unless the settings name a
model. Needs the extra `models`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rag.errors import ModelError
from rag.types import Hit, Question


class CrossEncoderReranker:
    """A Reranker on sentence-transformers' CrossEncoder; scores are 0 to 1 by a sigmoid.

    Raises ModelError when the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        self._model = _load(model)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="rerank")

    async def rerank(self, question: Question, hits: Sequence[Hit]) -> list[float]:
        """One score for each hit, in order."""
        if not hits:
            return []
        pairs = [(question.text, f"{hit.chunk.prefix}\n{hit.chunk.text}") for hit in hits]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._predict, pairs)

    def _predict(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        from torch.nn import Sigmoid

        scores = self._model.predict(pairs, activation_fn=Sigmoid(), show_progress_bar=False)
        return [float(score) for score in scores]


def _load(model: str) -> Any:
    from sentence_transformers import CrossEncoder

    try:
        return CrossEncoder(model, num_labels=1)
    except Exception as error:  # the hub, the files and the model each raise their own
        raise ModelError(
            f"the reranker {model!r} cannot be loaded ({error}): name a folder with its files, "
            "or a model of the hub when this machine can reach it"
        ) from error
