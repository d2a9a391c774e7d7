"""Remembers what was found for the last questions, as long as nothing has changed: a Retriever.

One question is searched for more than once: when a kept answer is looked at after a change and then
made anew, and when it is asked again with another budget, afresh, or as a search.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from rag.ports import ChangeCounter, Retriever
from rag.types import Hit, Question


@dataclass(frozen=True, slots=True)
class _Asked:
    """All that decides what is found, but for what stands in the collection."""

    text: str
    collection: str
    filters: str
    tenant: str
    k: int


@dataclass(frozen=True, slots=True)
class _Found:
    """The hits, and the count of changes that was read before they were looked for."""

    changes: int
    hits: tuple[Hit, ...]


class RememberingRetriever:
    """A Retriever that keeps what it found last, in memory: at most `max_hits` hits in all.

    A hit takes a few kilobytes. What was found is given again only while the collection counts as
    many changes as before it was found; a change during the search makes it void too, since the
    count is read before.
    """

    def __init__(self, inner: Retriever, changes: ChangeCounter, max_hits: int = 5_000) -> None:
        self._inner = inner
        self._changes = changes
        self._max_hits = max_hits
        self._known: OrderedDict[_Asked, _Found] = OrderedDict()
        self._hits = 0

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        """As the inner retriever; raises what it raises, and StateError."""
        changes = await self._changes.changes(question.collection)
        filters = repr(sorted(question.filters.items()))  # 1 and True are not the same value
        asked = _Asked(question.text, question.collection, filters, question.tenant, k)
        found = self._known.get(asked)
        if found is None or found.changes != changes:
            found = _Found(changes, tuple(await self._inner.retrieve(question, k)))
            self._keep(asked, found)
        else:
            self._known.move_to_end(asked)
        return list(found.hits)

    def _keep(self, asked: _Asked, found: _Found) -> None:
        """Keep it in the place of what was found before, and forget what was asked longest ago."""
        before = self._known.pop(asked, None)
        self._hits += len(found.hits) - (len(before.hits) if before else 0)
        self._known[asked] = found
        while self._hits > self._max_hits:
            _, oldest = self._known.popitem(last=False)
            self._hits -= len(oldest.hits)
