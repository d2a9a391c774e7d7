"""The revisions that readers see, kept in memory for as long as a collection does not change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_MOST = 50_000
"""Documents of a collection that are remembered, a hundred bytes or two each."""


@dataclass(slots=True)
class _Known:
    """What was read since a collection counts so many changes; None where there is no document."""

    changes: int
    revisions: dict[str, str | None] = field(default_factory=dict)


class RememberedRevisions:
    """Reads what it does not know with `read`, and how often a collection changed with `count`.

    The count is read first: what changes meanwhile is read anew when it is next asked for.
    """

    def __init__(
        self,
        count: Callable[[str], int],
        read: Callable[[str, Sequence[str]], dict[str, str]],
    ) -> None:
        self._count = count
        self._read = read
        self._known: dict[str, _Known] = {}

    def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        """By document, the revision that readers shall see; unrecorded documents are left out."""
        changes = self._count(collection)
        known = self._known.get(collection)
        if known is None or known.changes != changes or len(known.revisions) > _MOST:
            known = self._known[collection] = _Known(changes)
        missing = [name for name in document_ids if name not in known.revisions]
        if missing:
            found = self._read(collection, missing)
            known.revisions.update((name, found.get(name)) for name in missing)
        looked_up = ((name, known.revisions[name]) for name in document_ids)
        return {name: revision for name, revision in looked_up if revision is not None}
