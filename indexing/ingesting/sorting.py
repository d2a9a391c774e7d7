"""Sorts documents into added, changed, unchanged and duplicate.

Decisions are taken ahead of the writing. Those that are not recorded yet are kept in mind here, so
that the next document is judged as if they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from indexing.identity import document_id_for, revision_of
from indexing.ingesting.report import Outcome
from indexing.manifest.changes import AddPlace, Place, RemoveSources
from indexing.manifest.manifest import Manifest
from indexing.near_duplicates import NEAR, similarity, sketch
from rag.errors import DocumentError
from rag.types import Document

_MOST_COMPARED = 8
_MOST_IN_A_BAND = 64  # pages made from one form are not counted by the thousand
_SURELY_NEAR = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class WriteDocument:
    """A document is to be recorded, found at `places`; `bands` are those of its sketch.

    Where `revision` is the one that the manifest has, its chunks stay as they are.
    """

    document: Document
    revision: str
    is_cut_anew: bool
    bands: tuple[int, ...]
    places: tuple[Place, ...]


Step = WriteDocument | AddPlace | RemoveSources


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a document, and the steps that bring it about, in order."""

    outcome: Outcome
    document_id: str
    reason: str | None
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a source belongs once `step` is recorded; None: nowhere."""

    document_id: str | None
    place: Place | None
    step: Step


class Sorter:
    """Sorts the documents of one collection; `chunker` is the fingerprint of what cuts them."""

    def __init__(self, manifest: Manifest, collection: str, chunker: str) -> None:
        self._manifest = manifest
        self._collection = collection
        self._chunker = chunker
        self._written: dict[str, WriteDocument] = {}
        self._wordings: dict[str, str] = {}
        self._by_band: dict[int, dict[str, None]] = {}
        self._homes: dict[str, _Home] = {}
        self._arrived: dict[str, dict[str, Place]] = {}

    def sort(self, document: Document, file: str) -> Decision:
        """What becomes of a document that was found, alone, at its first source.

        Raises DocumentError when another source holds the id that it wants.
        """
        document = replace(document, wording=document.wording or document.version)
        source = document.sources[0]
        owner = self._owner(source)
        twin = self._twin(document, owner)
        if twin is not None and twin == owner:
            return self._sort_known(document, twin)
        if twin is not None:
            add = AddPlace(twin, Place(source, document.document_id, file))
            self._move(add.place, twin, add)
            return Decision("duplicate", twin, f"says the same as {twin}", [add])
        document = self._with_free_id(document)
        heirs = self._bequeath(owner, source) if owner == document.document_id else []
        step = self._write(document, (Place(source, document.document_id, file),))
        outcome: Outcome = "added" if owner is None else "changed"
        return Decision(outcome, document.document_id, None, [*heirs, step])

    def remove(self, sources: Sequence[str]) -> RemoveSources:
        """The documents at these sources are there no more."""
        step = RemoveSources(tuple(sources))
        for source in sources:
            self._leave(source)
            self._homes[source] = _Home(None, None, step)
        return step

    def recorded(self, step: Step) -> None:
        """The manifest says now what this step was to bring about."""
        if isinstance(step, WriteDocument):
            document = step.document
            if self._written.get(document.document_id) is step:
                self._forget(document.document_id)
            sources: Sequence[str] = [place.source for place in step.places]
        elif isinstance(step, AddPlace):
            sources = [step.place.source]
        else:
            sources = step.sources
        for source in sources:
            home = self._homes.get(source)
            if home is not None and home.step is step:
                self._leave(source)

    def _sort_known(self, document: Document, owner: str) -> Decision:
        """A document that says what it said: layout and cut may have changed."""
        unchanged = Decision("unchanged", owner, None, [])
        recorded = self._find(owner)
        if recorded is None or self._places(owner)[0].source != document.sources[0]:
            return unchanged  # its text is the one found first
        document = replace(document, document_id=owner, sources=recorded.sources)
        is_same = document.version == recorded.version
        if is_same and self._revision(owner) == revision_of(document, self._chunker):
            return unchanged
        reason = "cut anew by other rules" if is_same else "the same words in another layout"
        return Decision("changed", owner, reason, [self._write(document, ())])

    def _write(self, document: Document, places: tuple[Place, ...]) -> WriteDocument:
        bands = sketch(document.text)
        revision = revision_of(document, self._chunker)
        document = replace(document, family=self._family(document, bands))
        is_cut_anew = self._revision(document.document_id) != revision
        step = WriteDocument(document, revision, is_cut_anew, bands, places)
        self._forget(document.document_id)
        self._written[document.document_id] = step
        self._wordings[document.wording] = document.document_id
        for band in bands:
            self._by_band.setdefault(band, {})[document.document_id] = None
        for place in places:
            self._move(place, document.document_id, step)
        return step

    def _bequeath(self, document_id: str, source: str) -> list[Step]:
        """Give the content of a document, whose id `source` takes along, to its other sources."""
        others = tuple(place for place in self._places(document_id) if place.source != source)
        old = self._find(document_id)
        if not others or old is None:
            return []
        heir = others[0].own_id
        if heir == document_id or self._places(heir):
            heir = document_id_for(f"{others[0].source}@{old.version}")
        sources = tuple(place.source for place in others)
        return [self._write(replace(old, document_id=heir, sources=sources), others)]

    def _with_free_id(self, document: Document) -> Document:
        """The document under an id that no other source holds."""
        source, wanted = document.sources[0], document.document_id
        places = self._places(wanted)
        is_mine = any(place.source == source for place in places)
        # duplicates that wanted other ids can be handed one; another that wants this id cannot
        rivals = [p for p in places if p.source != source and (not is_mine or p.own_id == wanted)]
        if not rivals:
            return document
        if wanted == document_id_for(source):
            fresh = document_id_for(f"{source}@{document.version}")
            return replace(document, document_id=fresh)
        raise DocumentError(
            f"the id {wanted!r} is taken by {rivals[0].source}: "
            "give it another id, or put it into another collection"
        )

    def _family(self, document: Document, bands: Sequence[int]) -> str:
        """That of the most similar document, if one is near enough; else its own id."""
        decided = Counter(
            name for band in bands for name in islice(self._by_band.get(band, ()), _MOST_IN_A_BAND)
        )
        nearest = sorted(decided, key=lambda name: (-decided[name], name))
        names = [*nearest[:_MOST_COMPARED], *self._manifest.near(self._collection, bands)]
        best, family = NEAR, document.document_id
        for name in [n for n in dict.fromkeys(names) if n != document.document_id][:_MOST_COMPARED]:
            other = self._find(name)
            if other is None:
                continue
            found = similarity(document.text, other.text)
            if found >= best:
                best, family = found, other.family or other.document_id
            if found >= _SURELY_NEAR:
                break
        return family

    def _owner(self, source: str) -> str | None:
        if source in self._homes:
            return self._homes[source].document_id
        return self._manifest.document_of_source(self._collection, source)

    def _twin(self, document: Document, owner: str | None) -> str | None:
        """The document that says the same; `owner` before others."""
        known = None if owner is None else self._find(owner)
        if known is not None and known.wording == document.wording:
            return known.document_id
        if document.wording in self._wordings:
            return self._wordings[document.wording]
        twin = self._manifest.with_wording(self._collection, document.wording)
        return None if twin in self._written else twin

    def _find(self, document_id: str) -> Document | None:
        if document_id in self._written:
            return self._written[document_id].document
        return self._manifest.find(self._collection, document_id)

    def _revision(self, document_id: str) -> str | None:
        if document_id in self._written:
            return self._written[document_id].revision
        return self._manifest.revision(self._collection, document_id)

    def _places(self, document_id: str) -> list[Place]:
        recorded = self._manifest.places(self._collection, document_id)
        stay = [place for place in recorded if place.source not in self._homes]
        return stay + list(self._arrived.get(document_id, {}).values())

    def _move(self, place: Place, document_id: str, step: Step) -> None:
        self._leave(place.source)
        self._homes[place.source] = _Home(document_id, place, step)
        self._arrived.setdefault(document_id, {})[place.source] = place

    def _leave(self, source: str) -> None:
        home = self._homes.pop(source, None)
        if home is not None and home.document_id is not None:
            arrived = self._arrived[home.document_id]
            del arrived[source]
            if not arrived:
                del self._arrived[home.document_id]

    def _forget(self, document_id: str) -> None:
        before = self._written.pop(document_id, None)
        if before is None:
            return
        if self._wordings.get(before.document.wording) == document_id:
            del self._wordings[before.document.wording]
        for band in before.bands:
            others = self._by_band[band]
            del others[document_id]
            if not others:
                del self._by_band[band]
