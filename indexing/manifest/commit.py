"""One transaction of an ingestion: its changes, made in order."""

from __future__ import annotations

from sqlalchemy import Connection

from indexing.manifest.changes import AddPlace, Change, CloseFile, OpenFile, Place, PutDocument
from indexing.manifest.rows import (
    delete_mark,
    delete_source,
    insert_source,
    last_position,
    mark_document,
    owner_of,
    put_document,
    put_mark,
    update_source,
)
from indexing.manifest.tables import UNSETTLED


class Commit:
    """Makes changes in a transaction. `moved` are documents that have other sources now."""

    def __init__(self, connection: Connection, collection: str) -> None:
        self._connection = connection
        self._collection = collection
        self._left_open: set[str] = set()
        self._position: int | None = None
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
        """A source that comes to a document stands behind those that are there."""
        owner = owner_of(self._connection, self._collection, place.source)
        if owner == document_id:
            update_source(self._connection, self._collection, place)
            return
        if owner is not None:
            self._note_moved(delete_source(self._connection, self._collection, place.source))
        if self._position is None:
            self._position = last_position(self._connection, self._collection)
        self._position += 1
        insert_source(self._connection, self._collection, document_id, place, self._position)

    def _note_moved(self, document_id: str | None) -> None:
        if document_id is not None:
            self.moved[document_id] = None
