"""Is every citation exact? 500 real questions, asked over HTTP; every quote is looked up.

    python -m benchmarks.citations --data ../shared/data

Four corpora are ingested by the command line, three as JSON Lines and one as long files. Each
citation must satisfy `document.text[start:end] == quote` on the text that
GET /v1/documents/{id} gives. Exits 1 when one does not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote as url_quote

import httpx

from benchmarks.publish import write_result
from benchmarks.service import rag, running_service

QUESTIONS = 500
_SETS = {
    "clapnq": ("clapnq/corpus.jsonl", "clapnq/queries.jsonl"),
    "anthropic_docs_rag": ("anthropic_docs_rag/corpus.jsonl", "anthropic_docs_rag/queries.jsonl"),
    "chunking_eval": ("chunking_eval/raw/corpora", "chunking_eval/queries.jsonl"),
    "nq_open": ("nq_open/corpus.jsonl", "nq_open/queries.jsonl"),
}


def ask_all(client: httpx.Client, asked: list[tuple[str, str]]) -> dict[str, int]:
    """Ask each question of its collection and check every citation of its answer."""
    texts: dict[tuple[str, str], str] = {}
    counts = {"questions": 0, "answered": 0, "citations": 0, "wrong": 0}
    for collection, question in asked:
        answer = client.post(
            "/v1/answers", json={"question": question, "collection": collection}
        ).raise_for_status()
        counts["questions"] += 1
        counts["answered"] += answer.json()["status"] == "answered"
        for citation in answer.json()["citations"]:
            key = (collection, citation["document_id"])
            if key not in texts:
                path = f"/v1/documents/{url_quote(citation['document_id'], safe='')}"
                found = client.get(path, params={"collection": collection}).raise_for_status()
                texts[key] = found.json()["text"]
            counts["citations"] += 1
            exact = texts[key][citation["start"] : citation["end"]] == citation["quote"]
            counts["wrong"] += not exact
    return counts


def main() -> None:
    """Ingest, serve, ask, check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    chooser = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        asked = []
        for collection, (documents, questions) in _SETS.items():
            path = arguments.data / documents
            rag(Path(folder), "ingest", str(path), "--collection", collection)
            rows = (arguments.data / questions).read_text().splitlines()
            pool = [(collection, json.loads(row)["text"]) for row in rows]
            asked += chooser.sample(pool, min(len(pool), QUESTIONS // len(_SETS) + 10))
        with running_service(Path(folder)) as port:
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=base, timeout=30) as client:
                counts = ask_all(client, chooser.sample(asked, QUESTIONS))
    write_result("citations", counts)
    print(json.dumps(counts))
    sys.exit(1 if counts["wrong"] else 0)


if __name__ == "__main__":
    main()
