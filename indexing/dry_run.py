"""An ingestion that embeds and writes nothing, and comes to the same outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from indexing.ingestion_run import Parts, Run
from indexing.manifest import Place
from indexing.report import OnProgress
from rag.types import Document


class DryRun(Run):
    """A Run that keeps in mind what it would have written."""

    def __init__(
        self, parts: Parts, collection: str, files_total: int, on_progress: OnProgress | None
    ) -> None:
        super().__init__(parts, collection, files_total, on_progress)
        self._versions: dict[str, str] = {}  # of documents that would have been written
        self._ids: dict[str, str] = {}  # the same the other way round
        self._owners: dict[str, str | None] = {}  # of sources that would have moved; None is gone
        self._arrived: dict[str, dict[str, Place]] = {}  # by document and source

    def _owner(self, source: str) -> str | None:
        return self._owners[source] if source in self._owners else super()._owner(source)

    def _twin(self, document: Document) -> str | None:
        if document.version in self._ids:
            return self._ids[document.version]
        twin = super()._twin(document)
        return None if twin in self._versions else twin

    def _places(self, document_id: str) -> list[Place]:
        stay = [p for p in super()._places(document_id) if p.source not in self._owners]
        return stay + list(self._arrived.get(document_id, {}).values())

    def _is_pending(self, document: Document, owner: str | None, twin: str | None) -> bool:
        return False

    async def _prepare(self, document: Document, places: tuple[Place, ...]) -> None:
        self._ids.pop(self._versions.get(document.document_id, ""), None)
        self._versions[document.document_id] = document.version
        self._ids[document.version] = document.document_id
        for place in places:
            self._move(place.source, document.document_id, place)
        await super()._prepare(document, places)

    def _add_source(self, document_id: str, place: Place) -> None:
        self._move(place.source, document_id, place)

    def _remove_sources(self, file: str, sources: Sequence[str]) -> None:
        for source in sources:
            self._move(source, None, None)

    def _move(self, source: str, owner: str | None, place: Place | None) -> None:
        self._arrived.get(self._owners.get(source) or "", {}).pop(source, None)
        self._owners[source] = owner
        if owner is not None and place is not None:
            self._arrived.setdefault(owner, {})[source] = place

    async def _commit_batch(self) -> None:
        batch = self._take_batch()
        self._count(batch.prepared, embedded=0)
        for end in batch.ends:
            self._remove_sources(end.file, end.gone)

    def _reopen(self, file: str) -> None:
        pass

    async def _settle(self) -> None:
        pass
