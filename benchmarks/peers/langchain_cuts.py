"""Cuts texts with LangChain's recursive splitter, in the environment of the peers.

    .venv-peers/bin/python -m benchmarks.peers.langchain_cuts < asked.json > cuts.json

In: `{"texts": {name: text}, "sizes": [[tokens, overlap], …]}`. Out: the versions, and for each size
`{name: [[start, end], …]}` in characters. Sizes are counted as the project counts a context.
"""

import importlib.util
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

ENCODING = "o200k_base"
SEPARATORS = ["\n\n", "\n", ". ", "? ", "! ", " ", ""]
"""LangChain's own, and the ends of sentences: in small contexts better than its own alone."""


def cut(texts: dict[str, str], tokens: int, overlap: int) -> dict[str, list[tuple[int, int]]]:
    """The spans of the chunks of each text, in order."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter.from_tiktoken_encoder(
        encoding_name=ENCODING,
        chunk_size=tokens,
        chunk_overlap=overlap,
        separators=SEPARATORS,
        keep_separator="end",
    )
    return {name: _places(text, splitter.split_text(text), overlap) for name, text in texts.items()}


def _places(text: str, chunks: list[str], overlap: int) -> list[tuple[int, int]]:
    """Where the chunks stand. Its own start index is wrong where sizes are in tokens."""
    spans: list[tuple[int, int]] = []
    for chunk in chunks:
        behind = (spans[-1][0] + 1 if overlap else spans[-1][1]) if spans else 0
        start = text.index(chunk, behind)
        spans.append((start, start + len(chunk)))
    return spans


def main() -> None:
    """Read what is asked, cut, write."""
    spec = importlib.util.find_spec("llama_index.core")  # it brings the vocabulary along
    folder = Path(spec.origin).parent / "_static" / "tiktoken_cache"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    asked = json.load(sys.stdin)
    cuts = [cut(asked["texts"], tokens, overlap) for tokens, overlap in asked["sizes"]]
    versions = {"langchain-text-splitters": version("langchain-text-splitters")}
    json.dump({"versions": versions, "cuts": cuts}, sys.stdout)


if __name__ == "__main__":
    main()
