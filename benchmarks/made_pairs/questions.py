"""The real questions that pairs are made from, and their vectors by the packaged model."""

from __future__ import annotations

import csv
import json
import random
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from indexing.embedding.packaged import PackagedEmbedder
from rag.types import Passage, Vector

_SETS = {"banking77": 600, "nq_open": 600, "clapnq": 300, "anthropic_docs_rag": 100}
"""How many questions are drawn of each."""
_MAX_CHARS = 200
_AT_A_TIME = 64
_VECTORS: dict[str, Vector] = {}


def asked_questions(data: Path) -> dict[str, list[str]]:
    """A seeded sample of the questions of each set."""
    chosen = {}
    for name, count in _SETS.items():
        questions = sorted({text for text in _read(data / name) if len(text) < _MAX_CHARS})
        chosen[name] = random.Random(0).sample(questions, min(count, len(questions)))
    return chosen


def covid_pairs(data: Path, language: str) -> list[tuple[str, str, bool]]:
    """The kept question, the asked one, and whether people called them alike."""
    folder = data / "covid_question_similarity"
    path = folder / f"eval_question_similarity_{language}.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [(row["question_1"], row["question_2"], float(row["similar"]) > 0) for row in rows]


async def vectors_of(questions: Sequence[str]) -> Vector:
    """Their unit vectors, shape `[n, 384]`; each is embedded once in a process."""
    new = [text for text in dict.fromkeys(questions) if text not in _VECTORS]
    for first in range(0, len(new), _AT_A_TIME):
        texts = new[first : first + _AT_A_TIME]
        embedded = await _embedder().embed([Passage(text, "question") for text in texts])
        _VECTORS.update(zip(texts, (one.vector for one in embedded), strict=True))
    return np.array([_VECTORS[text] for text in questions], np.float32)


def _read(folder: Path) -> list[str]:
    if folder.name == "banking77":
        with (folder / "train.csv").open(encoding="utf-8") as file:
            return [row["text"] for row in csv.DictReader(file)]
    lines = (folder / "queries.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@cache
def _embedder() -> PackagedEmbedder:
    return PackagedEmbedder(Path(tempfile.mkdtemp()))
