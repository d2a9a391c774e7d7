"""The newest version first: on made hits, and on real pages in several versions."""

from __future__ import annotations

import difflib
import itertools
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fakes import CHUNK_TOKENS, FindData, OpenStore

from api.build import build
from api.settings import Settings
from indexing.chunking import StructuralChunker, passage_of
from indexing.embedding.packaged import PackagedEmbedder, PackagedTokenizer
from indexing.near_duplicates import NEAR, similarity
from indexing.wording import wording
from rag.ports import Retriever
from rag.types import Chunk, Document, EmbeddedChunk, Hit, Question, Span
from retrieval.hybrid import HybridRetriever
from retrieval.version_labels import labels_in
from retrieval.versions import FAMILY, MOST_HITS, NewestFirstRetriever

GOLDEN = Path(__file__).parents[1] / "golden"
SNAPSHOTS = "Snapshots are taken after {} changes were written to the log of the server."


def hit(
    document: str,
    text: str,
    score: float,
    *,
    family: str = "",
    sources: Sequence[str] = (),
    title: str = "Snapshots",
    dated: str = "",
    **metadata: str,
) -> Hit:
    chunk = Chunk(
        chunk_id=f"{document}/{text[:60]}",
        collection="c",
        document_id=document,
        version="v",
        revision="r",
        content=text,
        title=title,
        sources=tuple(sources) or (f"{document}.md",),
        headings=(),
        prefix=title,
        start=0,
        end=len(text),
        text=text,
        sentences=(Span(0, len(text)),),
        metadata=metadata,
        dated=dated,
        family=family,
    )
    return Hit(chunk, score, score, score, (score,))


def version(label: str, number: str, score: float) -> Hit:
    """The page on snapshots, as it is in one version."""
    text = SNAPSHOTS.format(number)
    return hit(f"d{label}", text, score, family="f", sources=[f"/docs/v{label}/snapshots.md"])


OTHERS = [
    hit(f"other{n}", f"Something else, number {n}.", 0.5 - n / 100, title="Other") for n in range(8)
]


class ListRetriever:
    """Gives the best of its hits; knows the filter `family`."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self.asked: list[int] = []
        self._hits = sorted(hits, key=lambda one: (-one.score, one.chunk.chunk_id))

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        self.asked.append(k)
        families = question.filters.get(FAMILY)
        return [h for h in self._hits if families is None or h.chunk.family in families][:k]


async def ask(hits: Sequence[Hit], question: str, k: int = 5) -> list[Hit]:
    return await NewestFirstRetriever(ListRetriever(hits)).retrieve(Question(question, "c"), k)


def documents(hits: Sequence[Hit]) -> list[str]:
    return [one.chunk.document_id for one in hits]


QUESTION = "After how many changes is a snapshot taken?"
VERSIONS = [
    version("3.9", "10,000", 0.9),
    version("3.10", "100,000", 0.8),
    version("2.9", "1,000", 0.7),
]


async def test_the_newest_leads_with_the_best_score_and_the_others_come_last() -> None:
    found = await ask([*VERSIONS, *OTHERS], QUESTION, 11)
    assert documents(found)[0] == "d3.10"
    assert found[0].score == 0.9
    assert found[0].dense_score == 0.8
    assert documents(found)[-2:] == ["d3.9", "d2.9"]
    assert found[-1].score <= found[-3].score
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("In v3.9, after how many changes is a snapshot taken?", "d3.9"),
        ("In 3.9, after how many changes is a snapshot taken?", "d3.9"),
        ("Is a snapshot taken later in version 2.9?", "d2.9"),
        ("Is a snapshot taken in v2 too?", "d2.9"),
        ("Is a snapshot taken in 3.9.4?", "d3.9"),
        ("Is a snapshot taken after 1,000 changes?", "d2.9"),
        ("Is a snapshot taken in v3.90?", "d3.10"),
        ("Is a snapshot taken in 1.3.9?", "d3.10"),
        ("Is a snapshot taken in v3?", "d3.10"),
    ],
)
async def test_the_question_may_name_another(question: str, first: str) -> None:
    assert documents(await ask([*VERSIONS, *OTHERS], question))[0] == first


async def test_two_that_are_named_both_stay_in_front() -> None:
    found = await ask([*VERSIONS, *OTHERS], "What changed for snapshots from v2.9 to v3.9?")
    assert set(documents(found)[:2]) == {"d2.9", "d3.9"}


async def test_what_says_the_same_is_left_out() -> None:
    same = [version(label, "10,000", score) for label, score in (("3.8", 0.9), ("3.9", 0.7))]
    found = await ask([*same, *OTHERS], QUESTION, 9)
    assert documents(found) == ["d3.9", *documents(OTHERS)]
    assert found[0].score == 0.9
    named = await ask([*same, *OTHERS], "In v3.8, when are snapshots taken?", 9)
    assert documents(named) == ["d3.8", *documents(OTHERS)]


async def test_the_same_words_in_documents_without_a_family_in_common_stay() -> None:
    same = [version("3.8", "10,000", 0.9), version("3.9", "10,000", 0.8)]
    apart = [replace(h, chunk=replace(h.chunk, family=h.chunk.document_id)) for h in same]
    assert await ask([*apart, *OTHERS], QUESTION) == [*apart, *OTHERS[:3]]


async def test_any_source_of_a_document_may_be_the_newest_or_be_named() -> None:
    several = hit(
        "many", SNAPSHOTS.format("5"), 0.5, family="f", sources=["v3.5/snap.md", "v3.11/snap.md"]
    )
    assert documents(await ask([*VERSIONS, several], QUESTION))[0] == "many"
    assert documents(await ask([*VERSIONS, several], "Snapshots in v3.5?"))[0] == "many"


async def test_a_label_that_all_have_in_common_names_none() -> None:
    upgrades = [
        hit(f"d{n}", SNAPSHOTS.format(n), 0.9 - n / 10, family="f", sources=[f"v3.{n}/to_3_4.md"])
        for n in (3, 4, 5)
    ]
    assert documents(await ask(upgrades, "When are snapshots taken?"))[0] == "d5"
    assert documents(await ask(upgrades, "In v3.4, when are snapshots taken?"))[0] == "d4"


async def test_of_two_that_are_named_the_one_that_is_named_in_more_places_leads() -> None:
    upgrades = [
        hit(
            f"d{n}-{to}",
            SNAPSHOTS.format(f"{n}{to}"),
            0.9,
            family="f",
            sources=[f"v3.{n}/to_3_{to}.md"],
        )
        for n in (5, 6, 8)
        for to in (5, 6)
    ]
    assert documents(await ask(upgrades, "How do I go to 3.6?"))[0] == "d6-6"


async def test_without_labels_the_one_edited_last_is_the_newest() -> None:
    edited = [
        hit("a", SNAPSHOTS.format("10"), 0.9, family="f", dated="2023-05-01"),
        hit("b", SNAPSHOTS.format("20"), 0.8, family="f", dated="2024-01-31T10:00:00+00:00"),
    ]
    assert documents(await ask([*edited, *OTHERS], QUESTION))[0] == "b"


async def test_the_version_may_stand_in_the_metadata_or_the_title() -> None:
    told = [
        hit("a", SNAPSHOTS.format("10"), 0.9, family="f", version="9"),
        hit("b", SNAPSHOTS.format("20"), 0.8, family="f", version="10"),
    ]
    assert documents(await ask([*told, *OTHERS], QUESTION))[0] == "b"
    titled = [
        hit("a", SNAPSHOTS.format("10"), 0.9, family="f", title="Handbook 2023"),
        hit("b", SNAPSHOTS.format("20"), 0.8, family="f", title="Handbook 2024"),
    ]
    assert documents(await ask([*titled, *OTHERS], QUESTION))[0] == "b"
    assert documents(await ask([*titled, *OTHERS], "Snapshots in 2023?"))[0] == "a"


async def test_where_nothing_tells_which_is_newer_nothing_is_moved() -> None:
    equal = [hit(n, SNAPSHOTS.format(n), s, family="f") for n, s in (("a", 0.48), ("b", 0.9))]
    found = await ask([*equal, *OTHERS], QUESTION)
    assert documents(found) == ["b", "other0", "other1", "a", "other2"]


async def test_relatives_of_another_name_are_no_versions() -> None:
    products = [
        hit("p1", SNAPSHOTS.format("10"), 0.9, family="f", title="Basic server", dated="2023"),
        hit("p2", SNAPSHOTS.format("20"), 0.8, family="f", title="Large cluster", dated="2024"),
    ]
    assert documents(await ask([*products, *OTHERS], QUESTION))[:2] == ["p1", "p2"]


async def test_other_passages_of_a_page_are_no_versions() -> None:
    pages = [
        version("3.9", "10,000", 0.9),
        hit("d3.10", "Backups are kept for a week.", 0.8, family="f", sources=["v3.10/x.md"]),
    ]
    assert documents(await ask([*pages, *OTHERS], QUESTION))[:2] == ["d3.9", "d3.10"]


async def test_an_older_one_keeps_its_place_when_it_alone_has_a_word_of_the_question() -> None:
    old = version("3.9", "10,000", 0.9)
    text = f"{old.chunk.text} Compaction follows."
    old = replace(old, chunk=replace(old.chunk, text=text, content=text, end=len(text)))
    found = await ask([old, VERSIONS[1], *OTHERS], "What does compaction follow?")
    assert documents(found)[:2] == ["d3.10", "d3.9"]


async def test_more_are_asked_for_when_versions_crowd_each_other() -> None:
    crowd = [version(f"3.{n}", str(n), 0.99 - n / 100) for n in range(9)]
    inner = ListRetriever([*crowd, *OTHERS])
    found = await NewestFirstRetriever(inner).retrieve(Question(QUESTION, "c"), 5)
    assert documents(found) == ["d3.8", *documents(OTHERS[:4])]
    assert inner.asked == [5, 15]


async def test_no_more_than_the_limit_are_asked_for() -> None:
    crowd = [version(f"3.{n}", str(n), 0.99 - n / 1000) for n in range(400)]
    inner = ListRetriever(crowd)
    found = await NewestFirstRetriever(inner).retrieve(Question(QUESTION, "c"), 20)
    assert max(inner.asked) == MOST_HITS
    assert len(found) == 20


async def test_a_version_that_is_named_is_found_behind_any_crowd() -> None:
    crowd = [version(f"3.{n}", str(n), 0.99 - n / 1000) for n in range(20, 60)]
    named = version("3.4", "777", 0.1)
    found = await ask([*crowd, *OTHERS, named], "In v3.4, when are snapshots taken?", 3)
    assert documents(found)[0] == "d3.4"
    assert found[0].score <= crowd[0].score


async def test_without_relatives_the_hits_are_those_of_the_inner_retriever() -> None:
    inner = ListRetriever(OTHERS)
    retriever = NewestFirstRetriever(inner)
    assert await retriever.retrieve(Question("What of v3.4 in 2023?", "c"), 5) == OTHERS[:5]
    assert await NewestFirstRetriever(ListRetriever([])).retrieve(Question("x", "c"), 5) == []
    assert inner.asked == [5]


async def test_a_name_of_a_version_that_nobody_has_changes_nothing() -> None:
    lone = [hit("a", "Some text.", 0.9, sources=["v1.0/a.md"]), *OTHERS]
    assert await ask(lone, "In v7.7, what of it?") == lone[:5]


async def test_the_golden_corpus_is_found_as_before(tmp_path: Path) -> None:
    application = build(Settings(data_dir=tmp_path))
    try:
        await application.ingestion.ingest([str(GOLDEN / "corpus")], "help")
        parts, chosen = application.ingestion.parts, application.settings.retrieval
        alone = HybridRetriever(
            parts.embedder, parts.store, parts.manifest, chosen.candidates, chosen.dense_share
        )
        for line in (GOLDEN / "questions.jsonl").read_text().splitlines():
            question = Question(json.loads(line)["question"], "help")
            expected = await alone.retrieve(question, 10)
            assert await NewestFirstRetriever(alone).retrieve(question, 10) == expected
    finally:
        await application.close()


async def test_without_relatives_it_costs_next_to_nothing() -> None:
    inner = ListRetriever(OTHERS)
    retriever, question = NewestFirstRetriever(inner), Question(QUESTION, "c")

    async def best_ms(one: ListRetriever | NewestFirstRetriever) -> float:
        times = []
        for _ in range(200):
            begin = time.thread_time()
            await one.retrieve(question, 10)
            times.append(time.thread_time() - begin)
        return min(times) * 1000

    assert await best_ms(retriever) - await best_ms(inner) < 0.1


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("/docs/v3.5/upgrades/upgrade_3_4.md", ((3, 5), (3, 4))),
        ("rows.jsonl#v2.3/a.md", ((2, 3),)),
        ("policy-2023-05-01.md", ((2023, 5, 1),)),
        ("policy_v2.pdf", ((2,),)),
        ("In v3.40 and 1.3.4.", ((3, 40), (1, 3, 4))),
        ("version 5 of 2023?", ((5,), (2023,))),
        ("v3.4-rc1", ((3, 4),)),
        ("page-7.md, 8GB, x2, v3api, 20234", ()),
    ],
)
def test_labels_are_read_where_they_stand(text: str, labels: tuple[tuple[int, ...], ...]) -> None:
    assert labels_in(text) == labels


@dataclass(frozen=True)
class Fact:
    """A sentence of a page that says something else in the newest version of the page."""

    page: str
    version: str
    older: str
    newer: str

    @property
    def question(self) -> str:
        """What both sentences say, without what differs."""
        kept = set(self.newer.split())
        return " ".join(word for word in self.older.split() if word in kept)


FACTS_OF_A_PAGE = 2
NOWHERE = 99
MOST_CHARS = 13_000  # of a page, for the sake of time


def sentences(text: str) -> list[str]:
    prose = re.sub(r"(?s)```.*?```", "", text)
    parts = (part.strip() for line in prose.split("\n") for part in re.split(r"(?<=[.!?]) ", line))
    return [part for part in parts if 8 <= len(part.split()) <= 40 and "](" not in part]


def differing_facts(page: str, texts: dict[str, str]) -> Iterator[Fact]:
    """Sentences whose twin in the newest version has another number, flag or "not"."""
    newest = max(texts, key=labels_in)
    twins = sentences(texts[newest])
    for label in sorted(set(texts) - {newest}, key=labels_in, reverse=True):
        for older in sentences(texts[label]):
            for newer in difflib.get_close_matches(older, twins, 1, 0.85):
                changed = set(older.split()) ^ set(newer.split())
                tells = any(re.search(r"[\d`]|^-|^not$", word) for word in changed)
                if tells and older not in texts[newest] and newer not in texts[label]:
                    yield Fact(page, label, older, newer)


def stored_documents(rows: Sequence[dict[str, str]]) -> list[Document]:
    """As ingestion keeps them: one for each wording, with its sources, and in families."""
    stored: dict[str, Document] = {}
    for row in rows:
        said = wording(row["title"], row["text"], {})
        if said in stored:
            same = stored[said]
            stored[said] = replace(same, sources=(*same.sources, row["id"]))
            continue
        near = [(similarity(row["text"], one.text), one.family) for one in stored.values()]
        likeness, family = max(near, default=(0.0, ""))
        stored[said] = Document(
            collection="c",
            document_id=row["id"],
            version=said,
            title=row["title"],
            text=row["text"],
            sources=(row["id"],),
            family=family if likeness >= NEAR else row["id"],
        )
    return list(stored.values())


class CurrentRevisions:
    """Revisions of documents that are never replaced."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._revisions = {chunk.document_id: chunk.revision for chunk in chunks}

    async def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        return {name: self._revisions[name] for name in document_ids}

    async def holds(self, collection: str) -> bool:
        return bool(self._revisions)


async def test_facts_that_differ_between_real_versions_are_found_by_naming_them(
    find_data: FindData,
    embedder: PackagedEmbedder,
    tokenizer: PackagedTokenizer,
    open_store: OpenStore,
) -> None:
    lines = (find_data("neardup_etcd") / "corpus.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    pages: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        pages[row["page"]][row["version"]] = row["text"]
    short = {p: t for p, t in sorted(pages.items()) if max(map(len, t.values())) <= MOST_CHARS}
    facts = [
        fact
        for page, texts in short.items()
        for fact in itertools.islice(differing_facts(page, texts), FACTS_OF_A_PAGE)
    ]
    assert len(facts) >= 20
    kept = {fact.page for fact in facts}
    chunker = StructuralChunker(tokenizer, CHUNK_TOKENS)
    kept_rows = [row for row in rows if row["page"] in kept]
    chunks = [chunk for one in stored_documents(kept_rows) for chunk in chunker.chunk(one)]
    distinct = {chunk.content: passage_of(chunk) for chunk in chunks}
    embedded = await embedder.embed(list(distinct.values()))
    vectors = dict(zip(distinct, embedded, strict=True))
    store = open_store(fingerprint=embedder.fingerprint, dimension=embedder.dimension)
    await store.upsert([EmbeddedChunk(chunk, vectors[chunk.content]) for chunk in chunks])
    hybrid = HybridRetriever(embedder, store, CurrentRevisions(chunks), 30, 0.5)
    retriever = NewestFirstRetriever(hybrid)

    async def place(one: Retriever, question: str, sentence: str) -> int:
        hits = await one.retrieve(Question(question, "c"), 10)
        places = [n for n, found in enumerate(hits) if sentence in found.chunk.text]
        return places[0] if places else NOWHERE

    async def prefers_the_newer(one: Retriever, fact: Fact) -> bool:
        newer = await place(one, fact.question, fact.newer)
        return newer < min(await place(one, fact.question, fact.older), 3)

    for fact in facts:
        assert await place(retriever, f"{fact.question} (etcd {fact.version})", fact.older) < 3
        assert await prefers_the_newer(retriever, fact), fact
    assert not all([await prefers_the_newer(hybrid, fact) for fact in facts]), (
        "then it does nothing"
    )
