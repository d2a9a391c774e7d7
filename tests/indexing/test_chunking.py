"""Chunks: that they tile the text, that the model reads each whole, and where they are cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from fakes import CHUNK_TOKENS, FindData, WordTokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexing.chunking import MIN_CHUNK_TOKENS, StructuralChunker, passage_of
from indexing.embedding.packaged import MODEL_TOKENS, PackagedTokenizer
from indexing.identity import content_version
from indexing.loading.discovery import discover
from indexing.readers.by_extension import read_file
from indexing.readers.limits import ReadLimits
from rag.errors import DocumentError, SettingsError
from rag.ports import Chunker, Tokenizer
from rag.types import Chunk, Document, Span


def document(text: str, title: str = "Guide", **fields: object) -> Document:
    made = Document("help", "doc_1", content_version(title, text, {}), title, text, ("guide.md",))
    return replace(made, **fields)  # type: ignore[arg-type]


def chunked(
    tokenizer: Tokenizer, text: str, title: str = "Guide", tokens: int = CHUNK_TOKENS
) -> list[Chunk]:
    chunker: Chunker = StructuralChunker(tokenizer, tokens)
    return chunker.chunk(document(text, title))


def words(count: int, stem: str = "word") -> str:
    """A sentence of so many words, each one token of the model."""
    return " ".join([stem.capitalize(), *[stem] * (count - 2), "end."])


def check_chunks(chunks: Sequence[Chunk], whole: Document) -> None:
    """What holds for the chunks of any document."""
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert chunks[0].start == 0
    assert chunks[-1].end == len(whole.text)
    assert all(left.end == right.start for left, right in pairwise(chunks))
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)
    for chunk in chunks:
        assert chunk.text == whole.text[chunk.start : chunk.end]
        assert all(left.end <= right.start for left, right in pairwise(chunk.sentences))
        for span in chunk.sentences:
            assert chunk.start <= span.start < span.end <= chunk.end
            sentence = chunk.slice(span)
            assert sentence == whole.text[span.start : span.end]
            assert not sentence[0].isspace()
            assert not sentence[-1].isspace()
    check_sentences_hold_all(chunks, whole.text)


def check_sentences_hold_all(chunks: Sequence[Chunk], text: str) -> None:
    """Every visible character is in a sentence, but for heads of tables and the rules below."""
    end = 0
    spans = [span for chunk in chunks for span in chunk.sentences]
    for start, next_end in [*((span.start, span.end) for span in spans), (len(text), 0)]:
        if text[end:start].strip():
            lines = [line.strip() for line in text[end:start].split("\n") if line.strip()]
            assert all(line.startswith("|") and line.endswith("|") for line in lines), lines
        end = next_end


def check_model_reads_whole(chunks: Sequence[Chunk], tokenizer: PackagedTokenizer) -> list[int]:
    """The tokens of each chunk, special ones included."""
    sizes = [len(one.ids) for one in tokenizer.encode([passage_of(c).text for c in chunks])]
    assert max(sizes) <= MODEL_TOKENS
    return sizes


@cache
def packaged_tokenizer() -> PackagedTokenizer:
    """One for all examples: Hypothesis runs them all in one test."""
    return PackagedTokenizer()


# Any text

LONG_WORD = st.integers(90, 2_000).map(lambda n: ("Donaudampfschiffahrt" * 100)[:n])
SCRIPTS = st.sampled_from(
    [
        "これは日本語の文章です。改行はありません。" * 20,
        "中文没有空格也没有标点" * 60,
        "ประเทศไทยมีประชากรหลายล้านคนและมีภาษาของตนเอง" * 15,
        "대한민국은 동아시아의 한반도 남부에 있는 공화국이다. " * 20,
        "한국어문장에띄어쓰기가전혀없다" * 40,
        "यह एक हिन्दी वाक्य है। दूसरा वाक्य। " * 20,
        "هذه جملة. هل هذه أخرى؟ نعم. " * 20,
        "🙂🙃 👩‍👩‍👧‍👦 e\u0301a\u0308 " * 30,
        "🙂" * 400,
    ]
)
CODE = st.sampled_from(
    [
        "```python\n" + "    return value[index].name(argument=1)\n" * 60 + "```",
        "```\n" + '{"key":[1,2,3],"name":"some_identifierName","x":null},' * 40 + "\n```",
        "    indented.code(call)\n" * 40,
        "```never closed\n" + "x += 1\n" * 50,
        "some_identifierName.otherThing(withArgument)[0]->field;" * 40,
        "aHR0cHM6Ly9leGFtcGxlLmNvbS9sb25nL2Jhc2U2NA" * 40,
        "https://example.com/" + "path-of/some_thing?query=1&" * 60,
    ]
)
TABLE = st.integers(1, 60).map(lambda n: "| a. b | 12.5 | yes |\n" * n)
HEADED = st.integers(1, 40).map(lambda n: "| the head | of a table |\n|:--|--:|\n| a | b |\n\n" * n)
HEADINGS = st.tuples(st.integers(1, 6), st.integers(1, 150)).map(
    lambda pair: "#" * pair[0] + " " + "Heading of the section " * pair[1]
)
PROSE = st.integers(1, 120).map(lambda n: "The quick brown fox, e.g. this one, jumps. " * n)
SMALL = st.text(max_size=30)
BLOCKS = st.one_of(SMALL, PROSE, HEADINGS, SCRIPTS, CODE, TABLE, HEADED, LONG_WORD)
SEPARATORS = st.sampled_from(["\n\n", "\n", " ", "", "\n \n\n", "\n- ", "\n1. "])
TEXTS = st.lists(st.tuples(BLOCKS, SEPARATORS).map("".join), max_size=8).map("".join)
TITLES = st.one_of(
    st.just("Guide"), st.just(""), st.text(max_size=20), PROSE, st.just("한국어제목" * 60)
)


@given(TEXTS, TITLES, st.sampled_from([CHUNK_TOKENS, MIN_CHUNK_TOKENS, 510]))
@settings(max_examples=100)
@example("", "", CHUNK_TOKENS)
@example(" \n\t\n ", "Guide", CHUNK_TOKENS)
@example("\n\n  # Heading alone", "", CHUNK_TOKENS)
def test_any_text_is_tiled_and_read_whole(text: str, title: str, tokens: int) -> None:
    tokenizer = packaged_tokenizer()
    whole = document(text, title)
    chunks = StructuralChunker(tokenizer, tokens).chunk(whole)
    check_chunks(chunks, whole)
    for chunk in chunks:
        assert len(tokenizer.token_spans(passage_of(chunk).text)) <= tokens
        assert len(tokenizer.token_spans(chunk.prefix)) <= tokens // 4


@given(st.text(alphabet="abcdefXYZ_-.0 漢한", min_size=400, max_size=1500))
@settings(max_examples=60)
def test_no_cut_within_a_word_makes_a_chunk_too_long(text: str) -> None:
    tokenizer = packaged_tokenizer()
    for chunk in chunked(tokenizer, text, "Some long title " * 10, MIN_CHUNK_TOKENS):
        assert len(tokenizer.token_spans(passage_of(chunk).text)) <= MIN_CHUNK_TOKENS


def test_a_word_without_an_end_is_cut_by_its_characters(tokenizer: PackagedTokenizer) -> None:
    """To the model it is one unknown token, however long it is."""
    for text in ("x" * 200_000, f"Here it comes: {'y' * 50_000} and that was it. " * 2):
        whole = document(text)
        chunks = StructuralChunker(tokenizer, CHUNK_TOKENS).chunk(whole)
        check_chunks(chunks, whole)
        assert max(len(chunk.text) for chunk in chunks) <= 32 * CHUNK_TOKENS + 32


# Real documents


def real_documents(folder: Path) -> Iterator[Document]:
    for source in discover([str(folder)]).sources:
        with suppress(DocumentError):  # two pages hold nothing but a list that a site fills
            yield from read_file(Path(source), "help", source, ReadLimits()).documents


@pytest.mark.parametrize("name", ["docs_helm", "docs_prometheus"])
def test_real_documentation_is_tiled_and_read_whole(
    name: str, find_data: FindData, tokenizer: PackagedTokenizer
) -> None:
    chunker = StructuralChunker(tokenizer, CHUNK_TOKENS)
    sizes: list[int] = []
    for whole in real_documents(find_data(name)):
        chunks = chunker.chunk(whole)
        check_chunks(chunks, whole)
        sizes += check_model_reads_whole(chunks, tokenizer)
        check_no_token_is_lost(chunks, whole, tokenizer)
    assert len(sizes) > 500
    # small chunks cost as much to keep and to score as full ones
    assert sum(sizes) / len(sizes) > 0.5 * CHUNK_TOKENS


@pytest.mark.parametrize("name", ["chatlogs", "pubmed", "state_of_the_union", "wikitexts"])
def test_texts_of_few_lines_are_tiled_and_read_whole(
    name: str, find_data: FindData, tokenizer: PackagedTokenizer
) -> None:
    text = (find_data("chunking_eval") / "raw" / "corpora" / f"{name}.md").read_text("utf-8")
    whole = document(text[:200_000])
    chunks = StructuralChunker(tokenizer, CHUNK_TOKENS).chunk(whole)
    check_chunks(chunks, whole)
    check_model_reads_whole(chunks, tokenizer)


def check_no_token_is_lost(
    chunks: Sequence[Chunk], whole: Document, tokenizer: PackagedTokenizer
) -> None:
    expected = [whole.text[t.start : t.end] for t in tokenizer.token_spans(whole.text)]
    found = [
        chunk.text[token.start : token.end]
        for chunk in chunks
        for token in tokenizer.token_spans(chunk.text)
    ]
    assert found == expected


# Headings and prefixes


def test_a_chunk_knows_the_headings_above_it(tokenizer: PackagedTokenizer) -> None:
    text = (
        f"# Guide\n\n## Install\n\n### Linux\n\n{words(200)}\n\n{words(200)}\n\n"
        f"### Windows\n\n{words(200)}\n\n## Use\n\n{words(200)}\n\n{words(200)}"
    )
    second_of = {chunk.headings: chunk for chunk in chunked(tokenizer, text)}
    linux = second_of["Guide", "Install", "Linux"]
    assert linux.text.startswith("Word")
    assert linux.prefix == "Guide > Install > Linux"
    assert second_of["Guide", "Use"].prefix == "Guide > Use"
    windows = next(c for c in chunked(tokenizer, text) if c.text.startswith("### Windows"))
    assert windows.headings == ("Guide", "Install")


def test_headings_of_a_chunk_are_those_that_all_of_it_stands_under(
    tokenizer: PackagedTokenizer,
) -> None:
    text = "# A\n\none.\n\n## B\n\ntwo.\n\n# C\n\nthree."
    (chunk,) = chunked(tokenizer, text)
    assert chunk.headings == ()
    assert chunk.prefix == "Guide"


def test_a_shallower_heading_ends_the_deeper_ones(tokenizer: PackagedTokenizer) -> None:
    text = f"# A\n\n### Deep\n\n{words(200)}\n\n## B\n\n{words(200)}\n\n{words(200)}"
    assert chunked(tokenizer, text)[-1].headings == ("A", "B")


def test_a_document_without_a_title_has_its_headings_as_prefix(
    tokenizer: PackagedTokenizer,
) -> None:
    chunks = chunked(tokenizer, f"# A\n\n{words(200)}\n\n{words(200)}", title="")
    assert [chunk.prefix for chunk in chunks] == ["", "A"]


def test_a_huge_title_leaves_three_quarters_to_the_text(tokenizer: PackagedTokenizer) -> None:
    chunks = chunked(tokenizer, words(1_000), title="title " * 500)
    for chunk in chunks:
        assert len(tokenizer.token_spans(chunk.prefix)) <= CHUNK_TOKENS // 4
    assert len(tokenizer.token_spans(chunks[0].text)) >= CHUNK_TOKENS // 2


# Where cuts fall, in words as tokens and chunks of 64


def test_a_section_is_kept_together_where_it_fits() -> None:
    text = f"{words(40)}\n\n# B\n\n{words(10)}\n\n{words(40)}"
    assert [chunk.text.split("\n")[0] for chunk in small(text)] == [words(40), "# B"]


def test_a_block_is_kept_together_where_no_section_ends() -> None:
    text = f"{words(10)}\n\n{words(28)} {words(5)}\n\n{words(20)} {words(20)}"
    assert [chunk.text for chunk in small(text)] == [
        f"{words(10)}\n\n{words(28)} {words(5)}\n\n",
        f"{words(20)} {words(20)}",
    ]


def test_a_sentence_is_kept_together_where_no_block_ends() -> None:
    text = " ".join([words(25)] * 4)
    assert [len(chunk.sentences) for chunk in small(text)] == [2, 2]


def test_a_sentence_that_is_too_long_is_cut_at_white_space() -> None:
    text = "longword " * 300 + "end."
    chunks = small(text)
    assert len(chunks) > 4
    assert all(chunk.text.split()[0] in ("longword", "end.") for chunk in chunks)
    assert all(chunk.text.split()[-1] in ("longword", "end.") for chunk in chunks)


def test_a_heading_is_never_parted_from_what_follows_it() -> None:
    for before in range(1, 62):
        text = f"{words(before)}\n\n## Heading\n\n{words(20)}\n\n{words(30)}"
        for chunk in small(text):
            assert not chunk.text.rstrip().endswith("## Heading"), before


def small(text: str) -> list[Chunk]:
    return chunked(WordTokenizer(), text, "", MIN_CHUNK_TOKENS)


def test_the_head_of_a_table_counts_and_stays_with_its_first_row() -> None:
    table = "| head of it | other |\n|---|---|\n| one | two |\n\n"
    for before in range(1, 62):
        chunks = small(f"{words(before)}\n\n{table * 6}")
        for chunk in chunks:
            assert len(WordTokenizer().token_spans(chunk.text)) <= MIN_CHUNK_TOKENS
            assert not chunk.text.rstrip().endswith(("| other |", "|---|")), before


def test_a_limit_below_the_least_is_refused(tokenizer: PackagedTokenizer) -> None:
    with pytest.raises(SettingsError, match="chunk_tokens is 63, the least is 64: raise it"):
        StructuralChunker(tokenizer, 63)


# Ids


def test_ids_are_the_same_in_every_run(tokenizer: PackagedTokenizer) -> None:
    (chunk,) = chunked(tokenizer, "One sentence.")
    assert chunk.chunk_id == chunked(tokenizer, "One sentence.")[0].chunk_id


def test_a_chunk_that_moves_keeps_its_content_and_takes_another_id(
    tokenizer: PackagedTokenizer,
) -> None:
    sections = [f"# S{number}\n\n{words(150, f'w{number}')}\n\n" for number in range(6)]
    before = chunked(tokenizer, "".join(sections))
    after = chunked(tokenizer, "".join(["# New\n\n", words(180, "new"), "\n\n", *sections]))
    kept = {chunk.content for chunk in before} & {chunk.content for chunk in after}
    assert len(kept) >= len(before) - 1
    assert {chunk.chunk_id for chunk in before}.isdisjoint(chunk.chunk_id for chunk in after)


def test_a_revision_is_that_of_all_chunks_and_of_what_they_are_cut_from(
    tokenizer: PackagedTokenizer,
) -> None:
    chunker = StructuralChunker(tokenizer, CHUNK_TOKENS)
    whole = document(words(600))
    [revision] = {chunk.revision for chunk in chunker.chunk(whole)}
    for same in ({"metadata": {"lang": "en"}}, {"sources": ("other.md",)}, {"version": "v2"}):
        assert chunker.chunk(replace(whole, **same))[0].revision == revision
    for other in ({"title": "Other"}, {"text": words(601)}, {"page_starts": (0, 5)}):
        assert chunker.chunk(replace(whole, **other))[0].revision != revision
    assert StructuralChunker(tokenizer, 100).chunk(whole)[0].revision != revision


@pytest.mark.parametrize(
    "change", [{"collection": "other"}, {"document_id": "doc_2"}, {"title": "Other"}]
)
def test_ids_differ_between_documents(change: dict[str, str], tokenizer: PackagedTokenizer) -> None:
    chunker = StructuralChunker(tokenizer, CHUNK_TOKENS)
    whole = document("One sentence.")
    assert chunker.chunk(whole)[0].chunk_id != chunker.chunk(replace(whole, **change))[0].chunk_id


def test_equal_chunks_of_one_document_have_different_ids(tokenizer: PackagedTokenizer) -> None:
    section = f"# Same\n\n{words(200)}\n\n"
    chunks = chunked(tokenizer, section * 3)
    assert len({chunk.text for chunk in chunks[:-1]}) == 1
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


def test_chunks_of_the_same_text_with_other_sentences_have_different_ids(
    tokenizer: PackagedTokenizer,
) -> None:
    """Their sentence vectors differ: a fence far above can turn prose into code."""
    paragraphs = [f"{words(30, f'left{n}')} {words(30, f'right{n}')}" for n in range(12)]
    tail = "\n\n".join(paragraphs)
    prose = chunked(tokenizer, f"x y z\n{tail}")
    code = chunked(tokenizer, f"```\n{tail}")
    pairs = [(one, two) for one in prose for two in code if one.text == two.text]
    assert pairs
    for one, two in pairs:
        assert len(one.sentences) != len(two.sentences)
        assert one.chunk_id != two.chunk_id


# Pages


def test_a_chunk_knows_its_page_and_where_pages_begin(tokenizer: PackagedTokenizer) -> None:
    pages = [words(60, f"p{number}") + "\n\n" for number in range(1, 7)]
    starts = tuple(sum(map(len, pages[:number])) for number in range(6))
    chunker = StructuralChunker(tokenizer, CHUNK_TOKENS)
    chunks = chunker.chunk(document("".join(pages), page_starts=starts))
    assert len(chunks) > 1
    for chunk in chunks:
        for offset in range(chunk.start, chunk.end):
            assert chunk.page_at(offset) == max(n for n, s in enumerate(starts, 1) if s <= offset)
        assert all(chunk.start < start < chunk.end for start in chunk.page_breaks)


def test_empty_pages_are_counted(tokenizer: PackagedTokenizer) -> None:
    chunker = StructuralChunker(tokenizer, CHUNK_TOKENS)
    (chunk,) = chunker.chunk(document("One. Two. Three.", page_starts=(0, 5, 5, 10)))
    assert [chunk.page_at(offset) for offset in (0, 4, 5, 9, 10, 15)] == [1, 1, 3, 3, 4, 4]


def test_a_format_without_pages_has_none(tokenizer: PackagedTokenizer) -> None:
    (chunk,) = chunked(tokenizer, "One sentence.")
    assert (chunk.page, chunk.page_breaks, chunk.page_at(3)) == (None, (), None)


# Passages


def test_a_passage_is_prefix_and_text_with_the_spans_of_its_sentences(
    tokenizer: PackagedTokenizer,
) -> None:
    for chunk in chunked(tokenizer, f"{words(200)} Second here.\n\n{words(200)} Last here."):
        passage = passage_of(chunk)
        assert passage.text == f"{chunk.prefix}\n{chunk.text}"
        assert passage.role == "document"
        assert [passage.text[s.start : s.end] for s in passage.spans] == [
            chunk.slice(span) for span in chunk.sentences
        ]


def test_chunks_carry_what_the_document_says_of_itself(tokenizer: PackagedTokenizer) -> None:
    whole = document("One.", sources=("a.md", "b.md"), metadata={"lang": "en", "year": 2024})
    (chunk,) = StructuralChunker(tokenizer, CHUNK_TOKENS).chunk(whole)
    assert chunk.source == "a.md"
    assert chunk.metadata == {"lang": "en", "year": 2024}
    assert (chunk.title, chunk.version) == (whole.title, whole.version)
    assert chunk.sentences == (Span(0, 4),)
