"""Blocks and sentences: where they are cut, that nothing is lost, and that no text takes long."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.sentences import find_blocks


def sentences(text: str) -> list[str]:
    return [text[s.start : s.end] for block in find_blocks(text) for s in block.sentences]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ('He said "stop." She did.', ['He said "stop."', "She did."]),
        ("**Bold.** Next (aside.) Last.", ["**Bold.**", "Next (aside.)", "Last."]),
        ("Dr. Smith met Mr. Jones.", ["Dr. Smith met Mr. Jones."]),
        ("\n\nMr. Smith came.\n\nDr. Who left.", ["Mr. Smith came.", "Dr. Who left."]),
        ("The U.S. Army, e.g. the 5th, vs. none.", ["The U.S. Army, e.g. the 5th, vs. none."]),
        ("See Fig. 3 and p. 12. Then go.", ["See Fig. 3 and p. 12.", "Then go."]),
        ("Wait... what? Fine.", ["Wait... what?", "Fine."]),
        ("Version 1.2.3 is out. Get it.", ["Version 1.2.3 is out.", "Get it."]),
        ("It costs 3.50. It is cheap.", ["It costs 3.50.", "It is cheap."]),
        ("Two\nlines. One sentence\neach.", ["Two\nlines.", "One sentence\neach."]),
        (
            "これは文です。次の文！「はい。」終わり",
            ["これは文です。", "次の文！", "「はい。」", "終わり"],
        ),
        ("यह है। वह है। अंत", ["यह है।", "वह है।", "अंत"]),
        ("هل هذا؟ نعم.", ["هل هذا؟", "نعم."]),
        ("ประโยคไทยไม่มีจุด", ["ประโยคไทยไม่มีจุด"]),
        ("  indented.   Spaced.  ", ["indented.", "Spaced."]),
        ("1. First item\n2. Second. Done.", ["1. First item", "2. Second.", "Done."]),
        ("- a\n- b. c\n* Done. End", ["- a", "- b. c", "* Done.", "End"]),
        ("| a. b | c |\n|---|---|\n| 1. | 2 |", ["| 1. | 2 |"]),
        ("| a. b | c |\n| 1. | 2 |", ["| a. b | c |", "| 1. | 2 |"]),
        ("# A. B\ntext. More.", ["# A. B", "text.", "More."]),
        ("```\nx = 1. y\n\nz\n```\nAfter.", ["```\nx = 1. y\n\nz\n```", "After."]),
        ("```never. closed\nstill. code", ["```never. closed\nstill. code"]),
        ("```one line``` is prose. Yes.", ["```one line``` is prose.", "Yes."]),
        ("~~~\na. b\n```\n~~~\nAfter.", ["~~~\na. b\n```\n~~~", "After."]),
        ("", []),
        (" \n\t\n ", []),
    ],
)
def test_sentences_are_cut_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_long_piece_of_code_is_cut_between_lines() -> None:
    lines = [f"line_{number} = {number}. " for number in range(60)]
    code = "```python\n" + "\n".join(lines) + "\n```"
    found = sentences(code)
    assert all(len(one) <= 400 for one in found)
    assert 2 <= len(found) <= 4
    cut = [line.strip() for one in found for line in one.split("\n")]
    assert cut == [line.strip() for line in code.split("\n")]


def test_a_line_of_code_that_is_too_long_is_one_sentence() -> None:
    long = "x" * 900
    assert sentences(f"```\nshort\n{long}\nshort\n```") == ["```\nshort", long, "short\n```"]


@pytest.mark.parametrize(
    ("line", "level", "heading"),
    [
        ("# One", 1, "One"),
        ("###### Six", 6, "Six"),
        ("   ## Indented", 2, "Indented"),
        ("## Closed ##", 2, "Closed"),
        ("## Using C#", 2, "Using C#"),
        ("#\tTab", 1, "Tab"),
        ("# ###", 1, ""),
    ],
)
def test_headings_have_a_level_and_a_name(line: str, level: int, heading: str) -> None:
    (block,) = find_blocks(line)
    assert (block.level, block.heading) == (level, heading)


@pytest.mark.parametrize("line", ["#hashtag", "####### Seven", "    # Code", "a # b", "#"])
def test_what_is_no_heading_is_text(line: str) -> None:
    assert [block.level for block in find_blocks(line)] == [0]


def test_a_heading_inside_code_is_code() -> None:
    assert [block.level for block in find_blocks("```\n# comment\n```\n# Real")] == [0, 1]


PARTS = [
    *"ab1 \n\t.!?…)*_`~#|-\"'”。！？؟।漢🙂\x1c\r",
    "Dr",
    "```",
    "\n\n",
    "\n# ",
    "\n- ",
    "\n| x |",
]


@given(st.lists(st.sampled_from(PARTS), max_size=60).map("".join))
@settings(max_examples=400)
def test_every_visible_character_is_in_exactly_one_block_and_sentence(text: str) -> None:
    """But for the heads of tables, which are blocks and no sentences."""
    blocks = find_blocks(text)
    assert all(left.end <= right.start for left, right in pairwise(blocks))
    assert visible(text[block.start : block.end] for block in blocks) == visible([text])
    for block in blocks:
        whole = text[block.start : block.end]
        spans = block.sentences
        assert all(left.end <= right.start for left, right in pairwise(spans))
        for span in spans:
            assert block.start <= span.start < span.end <= block.end
            assert text[span.start : span.end] == text[span.start : span.end].strip()
        if spans:
            assert visible(text[span.start : span.end] for span in spans) == visible([whole])
        else:
            assert whole.lstrip().startswith("|")


def visible(texts: Iterable[str]) -> str:
    return "".join("".join(text.split()) for text in texts)


HOSTILE = {
    "spaces in a heading": "# a" + " " * 50_000 + "b",
    "hashes in a heading": "# " + "#" * 50_000 + "b",
    "dots": "." * 200_000,
    "dots and brackets": ".)" * 100_000,
    "Arabic question marks": "؟" * 100_000,
    "numbers": "1. " * 60_000,
    "abbreviations": "Dr. " * 50_000,
    "pipes": "|" * 100_000,
    "backticks": "`" * 100_000 + "x`",
    "fences": "```\n~~~\n" * 20_000,
    "spaces": "a." + " " * 100_000 + "b",
    "lower case after dots": "a. " * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_length_of_the_text(name: str) -> None:
    started = time.process_time()
    find_blocks(HOSTILE[name])
    assert time.process_time() - started < 5  # quadratic ones take minutes
