"""An embedding model that the user names, by sentence-transformers.

Nothing is loaded, and nothing fetched, unless the settings name a model. Needs the extra `models`.
Sentence vectors are means over the token states of the same forward pass, as in `packaged`, if
that is how the model makes its own vectors; else the sentences are embedded one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rag.errors import ModelError
from rag.types import Embedding, Passage, Span, Vector

_BATCH = 32
_PROBE = "Refunds are paid within five days."
_MEAN_POOLED_COSINE = 0.99
"""From here on a model's vector is taken to be the mean over its token states."""


class NamedEmbedder:
    """An Embedder, and the Tokenizer of its model. A text beyond `chunk_tokens` is cut.

    Raises ModelError when the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        self._name = model
        self._model = _load(model)
        self._prompt = _document_prompt(self._model)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="embed")
        vector, states = self._encode(Passage(_PROBE, "document"))
        self._dimension = len(vector)
        self._is_mean_pooled = states.shape[1] == len(vector) and (
            float(_unit(states.mean(axis=0)) @ vector) >= _MEAN_POOLED_COSINE
        )

    @property
    def fingerprint(self) -> str:
        """The model's name as the user gave it."""
        return self._name

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._dimension

    @property
    def chunk_tokens(self) -> int:
        """Tokens that the model reads of a text; at most 512 less the prompt and special ones."""
        special = self._model.tokenizer.num_special_tokens_to_add()
        prompt = len(self.token_spans(self._prompt))
        return int(min(self._model.max_seq_length or 512, 512) - special - prompt)

    def token_spans(self, text: str) -> list[Span]:
        """The span of every token of `text`, special tokens left out."""
        encoded = self._model.tokenizer(
            text,
            return_offsets_mapping=True,
            add_special_tokens=False,
            truncation=False,
            verbose=False,  # a text longer than the model reads is no mistake here
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
        vector, states = self._encode(passage)
        if not passage.spans:
            return Embedding(vector, np.zeros((0, len(vector)), np.float32))
        if self._is_mean_pooled:
            rows = self._pooled(passage, vector, states)
        else:
            # its token states are no vectors of the model's own kind: read each span by itself
            texts = [passage.text[span.start : span.end] for span in passage.spans]
            rows = [self._encode(Passage(text, passage.role))[0] for text in texts]
        return Embedding(vector, np.stack(rows))

    def _encode(self, passage: Passage) -> tuple[Vector, Vector]:
        """The vector, shape `[dimension]`, and the token states, `[tokens, width]`."""
        encode = (
            self._model.encode_query if passage.role == "question" else self._model.encode_document
        )
        found = encode([passage.text], output_value=None, show_progress_bar=False)[0]
        states = found["token_embeddings"].float().cpu().numpy()
        return _unit(found["sentence_embedding"].float().cpu().numpy()), states

    def _pooled(self, passage: Passage, vector: Vector, states: Vector) -> list[Vector]:
        """The mean over the tokens of each span; the whole vector where a span has none."""
        encoded = self._model.tokenizer(
            self._prompt + passage.text,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            truncation=True,
            max_length=self._model.max_seq_length,
        )
        if len(encoded["offset_mapping"]) != len(states):  # the model reads it in another way
            return [vector for _ in passage.spans]
        offsets = np.array(encoded["offset_mapping"]) - len(self._prompt)
        own = ~np.array(encoded["special_tokens_mask"], bool)
        rows = []
        for span in passage.spans:
            inside = own & (offsets[:, 0] >= span.start) & (offsets[:, 1] <= span.end)
            rows.append(_unit(states[inside].mean(axis=0)) if inside.any() else vector)
        return rows


def _unit(vector: Vector) -> Vector:
    unit: Vector = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit


def _document_prompt(model: Any) -> str:
    """What the model puts before a document, chosen as its `encode_document` does."""
    names = ("document", "passage", "corpus", model.default_prompt_name)
    return next((model.prompts[name] for name in names if name in model.prompts), "")


def _load(model: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(model)
    except Exception as error:  # the hub, the files and the model each raise their own
        reason = " ".join(str(error).split())
        raise ModelError(
            f"the embedding model {model!r} cannot be loaded ({reason}): name a folder with its "
            "files, or a model of the hub when this machine can reach it"
        ) from error
