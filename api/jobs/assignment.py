"""What a job shall do: kept as JSON until it is done, and what failed of it until it is retried."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from typing import Literal, Self
from urllib.parse import urldefrag

from pydantic import BaseModel, ConfigDict

from api.models.inputs import TextIn
from indexing.ingesting.report import IngestionReport
from indexing.loading.names import is_url, path_of

Kind = Literal["documents", "files", "places"]
UPLOAD_PREFIX = "upload:"
TEXT_PREFIX = "api:"


class Assignment(BaseModel):
    """Texts, uploaded files, or places to ingest into a collection: one of the three.

    Texts have their ids. Places are absolute paths, globs and URLs. Files lie under their names in
    `folder`, which is one in the folder of uploads. `actor` is who the audit log calls whoever
    wants what is gone removed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    collection: str
    documents: tuple[TextIn, ...] = ()
    places: tuple[str, ...] = ()
    folder: str = ""
    files: tuple[str, ...] = ()
    sync: bool = False
    actor: str = ""
    dry_run: bool = False

    @classmethod
    def from_json(cls, payload: str) -> Self:
        """What `to_json` gave. Raises ValueError for what another version wrote."""
        return cls.model_validate(json.loads(payload))

    def to_json(self) -> str:
        """In ASCII, since a text may hold what no encoding can."""
        return json.dumps(self.model_dump(exclude_defaults=True))

    @property
    def kind(self) -> Kind:
        """What it is made of."""
        if self.folder:
            return "files"
        return "places" if self.places else "documents"

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.documents or self.files or self.places)

    def failed(self, report: IngestionReport) -> Self:
        """The part of it that failed, as the report of its ingestion tells."""
        sources = [item.source for item in report.items if item.outcome == "failed"]
        part = self._only(_with_owners(sources), wanted=True)
        places = dict.fromkeys(_place_of(source) for source in sources) if self.places else ()
        return part.model_copy(update={"places": tuple(places), "sync": False})

    def without(self, sources: Iterable[str]) -> Self:
        """Without the texts and files that these sources came from. Places hold no copy."""
        return self._only(_with_owners(sources), wanted=False)

    def still_there(self) -> Self:
        """Without the paths at which nothing stands any more."""
        places = [one for one in self.places if is_url(one) or os.path.exists(one)]
        return self.model_copy(update={"places": tuple(places)})

    def _only(self, sources: Collection[str], *, wanted: bool) -> Self:
        texts = [one for one in self.documents if (f"{TEXT_PREFIX}{one.id}" in sources) == wanted]
        files = [one for one in self.files if (f"{UPLOAD_PREFIX}{one}" in sources) == wanted]
        return self.model_copy(update={"documents": tuple(texts), "files": tuple(files)})


def _with_owners(sources: Iterable[str]) -> set[str]:
    """The sources, and what each of them may be a part of: `a#b#c` of `a#b` and of `a`."""
    found: set[str] = set()
    for source in sources:
        parts = source.split("#")
        found.update("#".join(parts[:count]) for count in range(1, len(parts) + 1))
    return found


def _place_of(source: str) -> str:
    """The file or page that a source is, or is a part of."""
    if is_url(source):
        return urldefrag(source).url
    whole = os.fspath(path_of(source))
    place = whole
    while "#" in place and not os.path.exists(place):
        place = place.rpartition("#")[0]
    return place if os.path.exists(place) else whole
