"""One transaction of an ingestion: its changes, made in order."""

from __future__ import annotations

from sqlalchemy import Connection, select

from indexing.manifest.changes import AddPlace, Change, CloseFile, OpenFile, Place, PutDocument
from indexing.manifest.rows import (
    delete_mark,
    delete_source,
    mark_document,
    put_document,
    put_mark,
    put_source,
)
from indexing.manifest.tables import SOURCES, UNSETTLED


class Commit:
    """Makes changes in a transaction. `moved` are documents that have other sources now."""

    def __init__(self, connection: Connection, collection: str) -> None:
        self._connection = connection
        self._collection = collection
        self._left_open: set[str] = set()
        self.moved: dict[str, None] = {}

    def make(self, change: PutDocument | Change) -> None:
        """Make the next change."""
        match change:
            case PutDocument(document=document, places=places):
                put_document(self._connection, change)
                for place in places:
                    self._put_place(document.document_id, place)
            case AddPlace(document_id=document_id, place=place):
                self._add_place(document_id, place)
            case OpenFile(file=file):
                delete_mark(self._connection, self._collection, file)
            case CloseFile(file=file, mark=mark):
                if file not in self._left_open:
                    put_mark(self._connection, self._collection, file, mark)
            case _:
                for source in change.sources:
                    self._note_moved(delete_source(self._connection, self._collection, source))

    def _add_place(self, document_id: str, place: Place) -> None:
        place_of = (self._connection, self._collection, document_id)
        if mark_document(*place_of, indexed_at=UNSETTLED):
            self._put_place(document_id, place)
            self._note_moved(document_id)
        else:  # it was forgotten since
            self._left_open.add(place.file)

    def _put_place(self, document_id: str, place: Place) -> None:
        where = (SOURCES.c.collection == self._collection, SOURCES.c.source == place.source)
        owner = self._connection.scalar(select(SOURCES.c.document_id).where(*where))
        put_source(self._connection, self._collection, document_id, place)
        if owner != document_id:
            self._note_moved(owner)

    def _note_moved(self, document_id: str | None) -> None:
        if document_id is not None:
            self.moved[document_id] = None
