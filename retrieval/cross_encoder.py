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

    Raises ModelError when the model cannot be loaded or is no cross-encoder.
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
        loaded = CrossEncoder(model, num_labels=1)
    except Exception as error:  # the hub, the files and the model each raise their own
        reason = " ".join(str(error).split())
        raise ModelError(
            f"the reranker {model!r} cannot be loaded ({reason}): name a folder with its files, "
            "or a model of the hub when this machine can reach it"
        ) from error
    _check_is_trained_to_score(model, loaded.model)
    return loaded


def _check_is_trained_to_score(name: str, network: Any) -> None:
    """A model without a scoring head gets a random one from the library, with no error."""
    made_as = getattr(getattr(network, "config", None), "architectures", None) or ()
    loaded_as = type(network).__name__
    if made_as and loaded_as.endswith("ForSequenceClassification") and loaded_as not in made_as:
        raise ModelError(
            f"{name!r} is no reranker but a {', '.join(made_as)}, whose scores would be random: "
            "name a cross-encoder"
        )
