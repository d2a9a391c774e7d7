"""Reads version labels, as `v3.4` or `2023-05-01`, where they stand: in sources, titles, questions.

A label is compared as numbers, so that v3.10 comes after v3.9. A bare number as in `page-7` is no
label: it may count anything. A document with several sources has the labels of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from rag.types import Chunk

Label = tuple[int, ...]
Labels = tuple[Label, ...]

_LABEL = re.compile(
    r"(?<![a-z0-9])(?<!\d[._])(?:"
    r"(?:v|ver|version|release|rev|revision)[ ._-]?(\d{1,9}(?:[._]\d{1,9})*)"
    r"|(\d{1,9}(?:[._]\d{1,9})+)"
    r"|((?:19|20)\d\d(?:-\d\d){0,2})"
    r")(?![a-z0-9])(?![._]\d)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+")
_SEPARATORS = re.compile(r"[\W_]+")
_ENDING = re.compile(r"\.\w{1,5}$")
_NAMES_OF_ANY_PAGE = frozenset(["default", "home", "index", "main", "readme"])
_CACHED = 10_000


def labels_in(text: str) -> Labels:
    """The labels in a text, in order."""
    found = (match[1] or match[2] or match[3] for match in _LABEL.finditer(text))
    return tuple(tuple(map(int, _NUMBER.findall(label))) for label in found)


def labels_of(chunk: Chunk) -> tuple[Labels, ...]:
    """The labels of a chunk's document: those in its metadata, in a source, and in its title.

    One item for each source, in order of discovery.
    """
    return _labels_of(str(chunk.metadata.get("version", "")), chunk.sources, chunk.title)


def distinguishing(labels: Mapping[str, tuple[Labels, ...]]) -> dict[str, tuple[Labels, ...]]:
    """Without what all documents have in common, where they have as many labels as each other."""
    every = [one for several in labels.values() for one in several]
    if len({len(one) for one in every}) != 1:
        return dict(labels)
    places = [place for place, found in enumerate(zip(*every, strict=True)) if len(set(found)) > 1]
    return {
        name: tuple(tuple(one[place] for place in places) for one in several)
        for name, several in labels.items()
    }


def named_exactly(asked: Labels, labels: tuple[Labels, ...]) -> Labels:
    """The labels of a document that a question has too, in the source where they are the most.

    A label that stands in two places is there twice: `v3.6/upgrade_to_3.6.md` is closer to 3.6
    than `v3.8/upgrade_to_3.6.md`.
    """
    return max((tuple(label for label in one if label in asked) for one in labels), key=len)


def named_broadly(asked: Labels, labels: tuple[Labels, ...]) -> frozenset[Label]:
    """Those that it has, or that are wider or closer: 2023 for 2023-05-01, 3.4.2 for 3.4."""
    own = {label for one in labels for label in one}
    return frozenset(
        label
        for label in asked
        if any(one[: len(label)] == label or _is_within(label, one) for one in own)
    )


def names_of(chunk: Chunk) -> frozenset[str]:
    """The title of a document and the last part of its sources, without labels.

    Versions of one document share one.
    """
    return _names(chunk.sources, chunk.title)


def _is_within(label: Label, wider: Label) -> bool:
    return len(wider) > 1 and label[: len(wider)] == wider


@lru_cache(_CACHED)
def _labels_of(version: str, sources: tuple[str, ...], title: str) -> tuple[Labels, ...]:
    told = tuple(map(int, _NUMBER.findall(version)))
    before, after = ((told,) if told else ()), labels_in(title)
    return tuple((*before, *labels_in(source), *after) for source in sources)


@lru_cache(_CACHED)
def _names(sources: tuple[str, ...], title: str) -> frozenset[str]:
    parts = (re.split(r"[/\\#]", source.rstrip("/"))[-1] for source in sources)
    names = {_bare(_ENDING.sub("", part)) for part in parts}
    return frozenset({_bare(title)} | (names - _NAMES_OF_ANY_PAGE))


def _bare(text: str) -> str:
    return _SEPARATORS.sub(" ", _LABEL.sub(" ", text)).strip().lower()
