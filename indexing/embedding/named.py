"""An embedding model that the user names, by sentence-transformers.

Nothing is loaded, and nothing fetched, unless the settings name a model. Needs the extra `models`.
Sentence vectors are means over the token states of the same forward pass, as in `packaged`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rag.errors import ModelError
from rag.types import Embedding, Passage, Span

_BATCH = 32


class NamedEmbedder:
    """An Embedder, and the Tokenizer of its model. A text beyond `chunk_tokens` is cut.

    Raises ModelError when the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        self._name = model
        self._model = _load(model)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="embed")

    @property
    def fingerprint(self) -> str:
        """The model's name as the user gave it."""
        return self._name

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return int(self._model.get_sentence_embedding_dimension())

    @property
    def chunk_tokens(self) -> int:
        """Tokens that the model reads, special ones left out; at most 510 are used."""
        special = self._model.tokenizer.num_special_tokens_to_add()
        return int(min(self._model.max_seq_length or 512, 512) - special)

    def token_spans(self, text: str) -> list[Span]:
        """The span of every token of `text`, special tokens left out."""
        encoded = self._model.tokenizer(
            text, return_offsets_mapping=True, add_special_tokens=False, truncation=False
        )
        return [Span(start, end) for start, end in encoded["offset_mapping"]]

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        """One embedding for each passage, in order."""
        loop = asyncio.get_running_loop()
        done: list[Embedding] = []
        for first in range(0, len(passages), _BATCH):
            batch = passages[first : first + _BATCH]
            done += await loop.run_in_executor(self._pool, self._embed_now, batch)
        return done

    def _embed_now(self, passages: Sequence[Passage]) -> list[Embedding]:
        return [self._embed_one(passage) for passage in passages]

    def _embed_one(self, passage: Passage) -> Embedding:
        encode = (
            self._model.encode_query if passage.role == "question" else self._model.encode_document
        )
        found = encode([passage.text], output_value=None, show_progress_bar=False)[0]
        vector = _unit(found["sentence_embedding"].float().cpu().numpy())
        if not passage.spans:
            return Embedding(vector, np.zeros((0, len(vector)), np.float32))
        states = found["token_embeddings"].float().cpu().numpy()
        offsets = self.token_spans(passage.text)
        # prompts and special tokens stand first: the text's own tokens end before the last one
        lead = max(len(states) - len(offsets) - 1, 0)
        rows = []
        for span in passage.spans:
            inside = [
                lead + number
                for number, token in enumerate(offsets)
                if token.start >= span.start
                and token.end <= span.end
                and lead + number < len(states)
            ]
            rows.append(_unit(states[inside].mean(axis=0)) if inside else vector)
        return Embedding(vector, np.stack(rows).astype(np.float32))


def _unit(vector: Any) -> Any:
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)


def _load(model: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(model)
    except Exception as error:  # the hub, the files and the model each raise their own
        raise ModelError(
            f"the embedding model {model!r} cannot be loaded ({error}): name a folder with its "
            "files, or a model of the hub when this machine can reach it"
        ) from error
