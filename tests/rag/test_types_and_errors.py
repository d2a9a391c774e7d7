"""The words that have a little arithmetic of their own, and the one tree of errors."""

from __future__ import annotations

import inspect

import pytest

from rag import errors
from rag.types import Chunk, Hit, Piece, Span

TEXT = "First page. Second page. Third."


def chunk(page: int | None, page_breaks: tuple[int, ...] = ()) -> Chunk:
    """A chunk that begins at character 100 of its document."""
    spans = (Span(100, 111), Span(112, 124), Span(125, 131))
    return Chunk(
        chunk_id="c",
        collection="help",
        document_id="d",
        version="v",
        title="T",
        revision="r",
        content="c",
        sources=("s",),
        headings=(),
        prefix="T",
        start=100,
        end=131,
        text=TEXT,
        sentences=spans,
        page=page,
        page_breaks=page_breaks,
    )


def test_spans_are_places_in_the_document_and_not_in_the_chunk() -> None:
    made = chunk(None)
    assert [made.slice(span) for span in made.sentences] == [
        "First page.",
        "Second page.",
        "Third.",
    ]
    assert made.slice(Span(100, 131)) == TEXT


def test_a_page_begins_at_its_break() -> None:
    made = chunk(4, (112, 125))
    pages = [made.page_at(offset) for offset in (100, 111, 112, 124, 125, 130)]
    assert pages == [4, 4, 5, 5, 6, 6]


def test_two_breaks_at_one_place_are_an_empty_page() -> None:
    assert chunk(1, (112, 112)).page_at(112) == 3


def test_no_page_without_pages() -> None:
    assert chunk(None).page_at(110) is None


def test_the_text_of_a_piece() -> None:
    piece = Piece(Hit(chunk(None), 1.0, 0.5, 1.0, (0.1, 0.2, 0.3)), 112, 124)
    assert piece.text == "Second page."


def test_every_error_is_in_the_one_tree() -> None:
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) > 10
    assert all(issubclass(one, errors.RagError) for one in classes)
    assert errors.__doc__ is not None
    assert all(one.__name__ in errors.__doc__ for one in classes), "the drawing is complete"


@pytest.mark.parametrize(
    ("error", "may_help"),
    [
        (errors.QuestionError("x"), False),
        (errors.StoreError("x"), False),
        (errors.StoreLockedError("x"), True),
        (errors.OverloadedError("x", retry_after_s=2.0), True),
        (errors.ServiceError("x"), True),
        (errors.MissingExtraError("torch", "pip install torch"), False),
    ],
)
def test_an_error_knows_whether_a_retry_may_help(error: errors.RagError, may_help: bool) -> None:
    assert error.retryable is may_help


def test_overload_says_after_how_long() -> None:
    assert errors.OverloadedError("busy", retry_after_s=2.5).retry_after_s == 2.5
    assert errors.RagError("x").retry_after_s is None


def test_a_message_gives_value_limit_and_mend() -> None:
    assert str(errors.RangeError("k", 300, 1, 200)) == (
        "k is 300, outside its range 1 to 200: give a number within it"
    )
    assert str(errors.MissingExtraError("x", "pip install x")).endswith("`pip install x`")


def test_large_numbers_in_a_message_can_be_read() -> None:
    message = str(errors.RangeError("max_context_tokens", 1_234_567, 1, 200_000))
    assert "1234567" in message.replace(",", "")
    assert "200000" in message.replace(",", "")
