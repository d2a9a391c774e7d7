"""The work of the peer comparison: 1,000 documents, their queries, one measure.

Standard library only, so that the environment of any peer can import it. It knows no system.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Document:
    """One source text. Systems with no field for a title index `full_text`."""

    id: str
    title: str
    text: str

    @property
    def full_text(self) -> str:
        """Title and text as one string."""
        return f"{self.title}. {self.text}"


@dataclass(frozen=True, slots=True)
class Query:
    """One question of the set."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Documents to index, queries to ask, and grades by query id, then by document id."""

    documents: tuple[Document, ...]
    queries: tuple[Query, ...]
    judgements: Mapping[str, Mapping[str, int]]


def load_workload(data: Path) -> Workload:
    """Load a set in BEIR form (`corpus.jsonl`, `queries.jsonl`, `qrels.tsv` with a header).

    Every judged document is kept, then the first others in file order up to `DOCUMENT_LIMIT`;
    every judged query is kept. Raises `ValueError` if a judged document is not in the corpus,
    because then no system could reach the best score.
    """
    judgements = _read_judgements(data / "qrels.tsv")
    judged_ids = {document_id for grades in judgements.values() for document_id in grades}
    corpus = [
        Document(row["id"], row["title"], row["text"]) for row in _rows(data / "corpus.jsonl")
    ]
    judged = [document for document in corpus if document.id in judged_ids]
    if len(judged) < len(judged_ids):
        missing = sorted(judged_ids - {document.id for document in judged})
        raise ValueError(f"{len(missing)} judged documents are not in {data}: {missing[:5]}")
    others = [document for document in corpus if document.id not in judged_ids]
    return Workload(
        documents=(*judged, *others[: max(0, DOCUMENT_LIMIT - len(judged))]),
        queries=tuple(
            Query(row["id"], row["text"])
            for row in _rows(data / "queries.jsonl")
            if row["id"] in judgements
        ),
        judgements=judgements,
    )


def ndcg_at_10(ranked_ids: Sequence[str], grades: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain of the first ten, 0 to 1; linear gain, as trec_eval.

    `ranked_ids` are document ids, best first, each at most once: a repeated id raises
    `ValueError`, because it would be credited twice.
    """
    top = list(ranked_ids[:10])
    if len(set(top)) < len(top):
        raise ValueError(f"a document is ranked twice in {top}; keep its best chunk only")
    ideal = _dcg(sorted(grades.values(), reverse=True)[:10])
    return _dcg([grades.get(document_id, 0) for document_id in top]) / ideal if ideal else 0.0


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def _read_judgements(path: Path) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            grades = judgements.setdefault(row["query-id"], {})
            grades[row["corpus-id"]] = int(row["score"])
    return judgements


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
