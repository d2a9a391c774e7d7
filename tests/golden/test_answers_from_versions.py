"""Which version of a page an answer comes from: the real application on two small pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.build import build
from api.settings import Settings
from rag.types import Question

PAGE = """# Snapshots

A member writes a snapshot to its disk after {count} requests, so that it need not keep its log.
The flag `--snapshot-count` changes that number. More snapshots cost disk space and time.

## Restoring

To restore, stop the member first, remove its data folder, and name the snapshot to read from.
The member joins the cluster again under its own name and catches up with the others by itself.
"""


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    for version, count in (("v3.4", "100,000"), ("v3.10", "10,000"), ("v3.9", "50,000")):
        (folder / version).mkdir(parents=True)
        (folder / version / "snapshots.md").write_text(PAGE.format(count=count))
    return folder


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("After how many requests does a member write a snapshot?", "10,000"),
        ("After how many requests does a member of v3.4 write a snapshot?", "100,000"),
        ("In version 3.9, after how many requests does a member write a snapshot?", "50,000"),
    ],
)
async def test_the_newest_answers_unless_the_question_names_another(
    question: str, told: str, pages: Path, tmp_path: Path, model_cache: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(model_cache)
    application = build(Settings(data_dir=data))
    try:
        await application.ingestion.ingest([str(pages)], "help")
        assert application.manifest.count("help") == 3
        answer = await application.pipeline.answer(Question(question, "help"), 1_000)
        assert answer.status == "answered"
        quotes = " ".join(citation.quote for citation in answer.citations)
        assert f" {told} requests" in quotes
        others = {"100,000", "50,000", "10,000"} - {told}
        assert not any(f" {other} requests" in quotes for other in others)
        hits = await application.pipeline.search(Question(question, "help"), 10)
        assert all(any(f" {count} requests" in h.chunk.text for h in hits) for count in others)
    finally:
        await application.close()
