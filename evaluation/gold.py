"""Finds gold in a collection: documents by what people call them, quotes by their words."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from evaluation.questions import EvaluationQuestion, GoldQuote, Place
from rag.errors import InputError

ReadText = Callable[[str], Awaitable[str]]
"""Gives the text of the document of an id."""

_MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document that the collection holds, and where it was found."""

    document_id: str
    sources: tuple[str, ...]


async def resolve(
    questions: Sequence[EvaluationQuestion], documents: Sequence[KnownDocument], read: ReadText
) -> list[EvaluationQuestion]:
    """The questions with ids for documents, and places for quotes.

    A document can be called by its id, by a source, or by the last parts of a source's path. A
    quote is its first occurrence, however its white space is laid out. Raises InputError, which
    names the row, for what is not there or not clear, and a span that ends behind its document.
    """
    finder = _Finder(documents, read)
    return [await _resolved(question, finder) for question in questions]


async def _resolved(question: EvaluationQuestion, finder: _Finder) -> EvaluationQuestion:
    try:
        ids = [finder.find(name) for name in question.documents]
        spans = [await finder.place(span) for span in question.spans]
        spans += [await finder.place_of(quote) for quote in question.quotes]
    except InputError as error:
        raise InputError(f"row {question.row}: {error}") from None
    return replace(question, documents=tuple(dict.fromkeys(ids)), spans=tuple(spans), quotes=())


class _Finder:
    """Looks documents up by every name that they go by; reads a text once."""

    def __init__(self, documents: Sequence[KnownDocument], read: ReadText) -> None:
        self._ids = {document.document_id for document in documents}
        self._by_name: dict[str, set[str]] = {}
        for document in documents:
            for source in document.sources:
                for name in _names(source):
                    self._by_name.setdefault(name, set()).add(document.document_id)
        self._read = read
        self._texts: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The id of the document that goes by the name."""
        if name in self._ids:
            return name
        found = sorted(self._by_name.get(name, ()))
        if not found:
            raise InputError(
                f"the collection holds no document {name!r}: give an id or the end of a source "
                "from `rag documents`, or ingest it"
            )
        if len(found) > 1:
            raise InputError(
                f"{name!r} fits {len(found):,} documents ({', '.join(found[:_MOST_SHOWN])}"
                f"{', …' if len(found) > _MOST_SHOWN else ''}): give more of the path, or the id"
            )
        return found[0]

    async def place(self, span: Place) -> Place:
        """The span, in the document that goes by its name."""
        document_id = self.find(span.document_id)
        length = len(await self._text(document_id))
        if span.end > length:
            raise InputError(
                f"a span of {span.document_id!r} ends at {span.end:,}, and the document has "
                f"{length:,} characters: correct the span, or give its text"
            )
        return replace(span, document_id=document_id)

    async def place_of(self, quote: GoldQuote) -> Place:
        """Where the quote stands first."""
        document_id = self.find(quote.document)
        wanted = r"\s+".join(map(re.escape, quote.text.split()))
        found = re.search(wanted, await self._text(document_id))
        if found is None:
            raise InputError(
                f"{quote.document!r} does not hold the text {quote.text[:60]!r} of a span: copy "
                "it from the document as `GET /v1/documents/{id}` shows it"
            )
        return Place(document_id, found.start(), found.end())

    async def _text(self, document_id: str) -> str:
        if document_id not in self._texts:
            self._texts[document_id] = await self._read(document_id)
        return self._texts[document_id]


def _names(source: str) -> list[str]:
    """What a person may call a source: all of it, and what stands behind each `/`, `:` and `#`."""
    ends = (source[mark.end() :] for mark in re.finditer("[/:#]", source))
    return [source, *filter(None, ends)]
