"""Counts tokens as OpenAI's models do, with no network.

The vocabulary comes with llama-index-core; counts of texts seen lately are remembered, since the
same chunks are counted for many questions.
"""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache
from pathlib import Path

from rag.errors import ModelError

ENCODING = "o200k_base"
_REMEMBERED_TEXTS = 20_000


class TiktokenCounter:
    """A TokenCounter with the vocabulary of the current OpenAI models.

    Raises ModelError when the vocabulary is neither there nor within reach.
    """

    def __init__(self) -> None:
        _use_bundled_vocabulary()
        import tiktoken

        try:
            self._encoding = tiktoken.get_encoding(ENCODING)
        except Exception as error:  # reading, checking and fetching it each raise their own
            raise ModelError(
                f"the token vocabulary {ENCODING} is not in "
                f"{os.environ['TIKTOKEN_CACHE_DIR'] or 'any folder'} and cannot be fetched: "
                "unset TIKTOKEN_CACHE_DIR to use the one that is installed"
            ) from error
        self._count = lru_cache(maxsize=_REMEMBERED_TEXTS)(self._count_now)

    def count(self, text: str) -> int:
        """The number of tokens in `text`; special tokens in it count as plain text."""
        return self._count(text)

    def _count_now(self, text: str) -> int:
        return len(self._encoding.encode_ordinary(text))


def _use_bundled_vocabulary() -> None:
    """Point tiktoken at llama-index's files, unless the operator keeps his own."""
    spec = importlib.util.find_spec("llama_index.core")  # found, not imported: that takes a second
    if spec is None or spec.origin is None:
        raise ModelError(
            "llama-index-core, which holds the token vocabulary, is not installed: "
            "install it with `pip install llama-index-core`"
        )
    folder = Path(spec.origin).parent / "_static" / "tiktoken_cache"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
