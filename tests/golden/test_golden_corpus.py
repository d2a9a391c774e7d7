"""A help centre of an invented product, with known answers, through the real path.

The pages and the questions were written before anything was measured, and are not tuned. A floor
stands a little below what was measured; whoever raises quality raises the floor with it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.build import build
from api.setting_groups.answers import AnswerSettings
from api.settings import Settings
from compression.tokens import TiktokenCounter
from indexing.embedding.packaged import PackagedEmbedder
from rag.errors import NotFoundError
from rag.types import Answer, Context, Hit, Question

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
QUESTIONS = [json.loads(line) for line in (HERE / "questions.jsonl").read_text().splitlines()]
ANSWERABLE = [row for row in QUESTIONS if row["document"]]
UNANSWERABLE = [row for row in QUESTIONS if not row["document"]]

# Measured on 25 questions with and 8 without an answer.
MEASURED_AMONG_THREE_HITS = 24
MEASURED_FOUND = 23
MEASURED_FIRST = 24
MEASURED_IN_CONTEXT = 24
MEASURED_ANSWERED_RIGHT = 20
MEASURED_ANSWERED_WRONG = 2
MEASURED_REFUSED = 8
MARGIN = 1


@dataclass(frozen=True)
class Asked:
    """What became of one question. `forced` is the answer when nothing is ever refused."""

    row: dict[str, str]
    hits: list[Hit]
    context: Context
    answer: Answer
    forced: Answer

    def quotes_the_answer(self, answer: Answer) -> bool:
        return any(self.row["answer"] in citation.quote for citation in answer.citations)

    def cites_the_document_first(self, answer: Answer) -> bool:
        first = answer.citations[:1]
        return any(Path(citation.source).name == self.row["document"] for citation in first)


@dataclass(frozen=True)
class Golden:
    """All questions asked, and the texts of the documents by id."""

    asked: dict[str, Asked]
    texts: dict[str, str]

    def answerable(self) -> list[Asked]:
        return [self.asked[row["question"]] for row in ANSWERABLE]

    def unanswerable(self) -> list[Asked]:
        return [self.asked[row["question"]] for row in UNANSWERABLE]


async def ask_everything(folder: Path) -> Golden:
    """Twice: as the settings are, and with nothing ever refused."""
    application = build(Settings(data_dir=folder))
    report = await application.ingestion.ingest([str(CORPUS)], "help")
    assert not [item for item in report.items if item.outcome == "failed"]
    records = application.manifest.documents("help")
    texts = {
        record.document_id: application.manifest.document("help", record.document_id).text
        for record in records
    }
    found = {}
    for row in QUESTIONS:
        question = Question(row["question"], "help", is_fresh=True)
        tokens = application.settings.context.max_tokens
        hits = await application.pipeline.search(question, 10)
        context = await application.pipeline.context(question, tokens)
        answer = await application.pipeline.answer(question, tokens)
        found[row["question"]] = (hits, context, answer)
    await application.close()

    never_silent = build(Settings(data_dir=folder, answers=AnswerSettings(abstain_below=0)))
    asked = {}
    for row in QUESTIONS:
        question = Question(row["question"], "help", is_fresh=True)
        forced = await never_silent.pipeline.answer(question, tokens)
        hits, context, answer = found[row["question"]]
        asked[row["question"]] = Asked(row, hits, context, answer, forced)
    await never_silent.close()
    return Golden(asked, texts)


@pytest.fixture(scope="module")
def data_dir(
    tmp_path_factory: pytest.TempPathFactory, embedder: PackagedEmbedder, model_cache: Path
) -> Path:
    """A data folder that has the graph of the packaged model, which `embedder` has made."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "models").symlink_to(model_cache, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def golden(data_dir: Path) -> Golden:
    return asyncio.run(ask_everything(data_dir))


def test_the_questions_fit_the_corpus() -> None:
    assert len(ANSWERABLE) == 25
    assert len(UNANSWERABLE) == 8
    for row in ANSWERABLE:
        assert (CORPUS / row["document"]).read_text().count(row["answer"]) == 1


def test_every_page_is_one_document(golden: Golden) -> None:
    assert len(golden.texts) == len(list(CORPUS.iterdir()))


@pytest.mark.parametrize("row", QUESTIONS, ids=lambda row: row["question"])
def test_every_citation_is_an_exact_span(golden: Golden, row: dict[str, str]) -> None:
    asked = golden.asked[row["question"]]
    for answer in (asked.answer, asked.forced):
        assert bool(answer.citations) is (answer.status == "answered")
        for citation in answer.citations:
            text = golden.texts[citation.document_id]
            assert text[citation.start : citation.end] == citation.quote


@pytest.mark.parametrize("row", QUESTIONS, ids=lambda row: row["question"])
def test_every_hit_is_an_exact_span(golden: Golden, row: dict[str, str]) -> None:
    for hit in golden.asked[row["question"]].hits:
        chunk = hit.chunk
        assert golden.texts[chunk.document_id][chunk.start : chunk.end] == chunk.text


def test_every_answer_costs_nothing_and_says_what_it_saved(golden: Golden) -> None:
    for asked in golden.asked.values():
        cost = asked.answer.cost
        assert cost.total_usd == 0
        assert cost.baseline_usd is not None
        assert cost.saved_usd == cost.baseline_usd > 0
        assert asked.answer.context_tokens <= 1_000


def test_the_chunk_with_the_answer_is_among_the_first_three_hits(golden: Golden) -> None:
    found = [
        asked
        for asked in golden.answerable()
        if any(asked.row["answer"] in hit.chunk.text for hit in asked.hits[:3])
    ]
    assert len(found) >= MEASURED_AMONG_THREE_HITS - MARGIN


def test_the_context_holds_the_answer_in_a_third_of_five_chunks_tokens(
    golden: Golden,
) -> None:
    counter = TiktokenCounter()
    found = [a for a in golden.answerable() if a.row["answer"] in a.context.text]
    assert len(found) >= MEASURED_IN_CONTEXT - MARGIN
    ours = sum(asked.context.tokens for asked in golden.answerable())
    whole = sum(
        counter.count(hit.chunk.text) for asked in golden.answerable() for hit in asked.hits[:5]
    )
    assert ours < 0.3 * whole  # measured .27


def test_the_answer_is_among_the_quotes(golden: Golden) -> None:
    found = [asked for asked in golden.answerable() if asked.quotes_the_answer(asked.forced)]
    assert len(found) >= MEASURED_FOUND - MARGIN


def test_the_right_document_is_cited_first(golden: Golden) -> None:
    first = [a for a in golden.answerable() if a.cites_the_document_first(a.forced)]
    assert len(first) >= MEASURED_FIRST - MARGIN


def test_what_is_answered_is_right(golden: Golden) -> None:
    answered = [a for a in golden.answerable() if a.answer.status == "answered"]
    right = [asked for asked in answered if asked.quotes_the_answer(asked.answer)]
    assert len(right) >= MEASURED_ANSWERED_RIGHT - MARGIN
    assert len(answered) - len(right) <= MEASURED_ANSWERED_WRONG + MARGIN


def test_what_the_documents_do_not_answer_is_refused(golden: Golden) -> None:
    refused = [a for a in golden.unanswerable() if a.answer.status == "abstained"]
    assert len(refused) >= MEASURED_REFUSED - MARGIN


def test_what_is_nowhere_near_is_refused_always(golden: Golden) -> None:
    for asked in golden.unanswerable():
        if asked.row["why"].startswith("nothing to do"):
            assert asked.answer.status == "abstained"
            assert asked.answer.confidence < 0.1


def test_confidence_tells_right_from_unanswerable(golden: Golden) -> None:
    """AUROC: how often a right quote is given more confidence than a question without an answer."""
    right = [a.forced.confidence for a in golden.answerable() if a.quotes_the_answer(a.forced)]
    none = [asked.forced.confidence for asked in golden.unanswerable()]
    wins = sum((one > other) + 0.5 * (one == other) for one in right for other in none)
    assert wins / (len(right) * len(none)) >= 0.92  # measured .97


@pytest.mark.usefixtures("golden")
async def test_an_unknown_collection_is_not_found_and_a_filter_without_a_match_abstains(
    data_dir: Path,
) -> None:
    application = build(Settings(data_dir=data_dir))
    pipeline = application.pipeline
    with pytest.raises(NotFoundError, match="'nowhere' holds no documents"):
        await pipeline.answer(Question("How long do refunds take?", "nowhere"), 500)
    filtered = Question("How long do refunds take?", "help", {"document_id": ("no-such",)})
    assert await pipeline.search(filtered, 5) == []
    answer = await pipeline.answer(filtered, 500)
    assert (answer.status, answer.confidence, answer.context_tokens) == ("abstained", 0, 0)
    await application.close()


@pytest.mark.usefixtures("golden")
@pytest.mark.parametrize("tokens", [1, 20, 60, 200])
async def test_a_small_context_is_kept_to_and_still_quoted_exactly(
    data_dir: Path, golden: Golden, tokens: int
) -> None:
    application = build(Settings(data_dir=data_dir, answers=AnswerSettings(abstain_below=0)))
    for row in ANSWERABLE[:8]:
        answer = await application.pipeline.answer(Question(row["question"], "help"), tokens)
        assert answer.context_tokens <= tokens
        for citation in answer.citations:
            text = golden.texts[citation.document_id]
            assert text[citation.start : citation.end] == citation.quote
    await application.close()
