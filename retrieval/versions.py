"""Prefers the newest of documents that are versions of each other: a Retriever around a Retriever.

Documents that are nearly the same share a family. Hits of one family that are versions of the same
passage would fill the context with one thing said many times, and with what is true no more. So of
each such passage the newest leads, unless the question names another: by its label (`v3.4`,
`2023`), or by a number, a flag or a name in code that the newest does not have. What says the
same is left out; what differs comes after all other hits, or keeps its place where the question
has a word that stands there and nowhere in the document that leads.

Newer is what has the later label, where all in the family have one, else what was edited later.
Where neither tells, nothing is moved.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

from rag.ports import Retriever
from rag.types import Chunk, Hit, Question
from retrieval.version_labels import (
    Labels,
    distinguishing,
    labels_in,
    labels_of,
    named_broadly,
    named_exactly,
    names_of,
)

DEEPER = 3
"""How many times as many hits are asked for where versions crowd each other."""

MOST_HITS = 300
FAMILY = "family"
"""The field of a chunk by which relatives are looked for."""

_SHARED_WORDS = 0.7  # of the shorter chunk's, to be a version of a passage under the same headings
_SHARED_WORDS_ELSEWHERE = 0.9
_WORD = re.compile(r"\w+")
_TELLING = re.compile(
    r"(?<![\w-])(?:--?[a-z][\w-]*|\w*\d\w*(?:[.,:/-]\w+)*|\w+_\w+)", re.IGNORECASE
)
_VERSION = re.compile(r"v\d", re.IGNORECASE)  # what labels are for
_CACHED = 2_000  # chunks, some kilobytes each
_STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be been before between but by can could did do"
    " does each else for from get got had has have how i if in into is it its just like may me more"
    " most must my need no not of off on one only or our out over own same set shall should so some"
    " such than that the their them then there these they this those to too under until up us use"
    " used using very via want was we were what when where which while who why will with within"
    " without would you your".split()
)


class NewestFirstRetriever:
    """Puts the newest version of a passage first, or the one that the question names.

    `inner` must know the filter `family`. Where no hit has a relative it is asked once, and its
    hits are given as they are.
    """

    def __init__(self, inner: Retriever) -> None:
        self._inner = inner

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        """At most `k` hits, best first; `score` 0 to 1, the best of its group for a leader's.

        Ties break by chunk id, behind the leader.
        """
        hits = await self._inner.retrieve(question, k)
        asked = labels_in(question.text)
        named = await self._named(question, asked, hits, k)
        if not named and not _have_relatives(hits):
            return hits
        wanted = k
        while True:
            wanted = max(k, min(wanted * DEEPER, MOST_HITS))
            hits = await self._inner.retrieve(question, wanted)
            ranking = _ranking([*hits, *_fresh(named, hits)], question.text, asked)
            if ranking.leading >= k or len(hits) < wanted or wanted >= MOST_HITS:
                return ranking.hits[:k]

    async def _named(
        self, question: Question, asked: Labels, hits: Sequence[Hit], k: int
    ) -> list[Hit]:
        """Hits of the versions that the question names, where others crowded them out."""
        if not asked or FAMILY in question.filters:
            return []
        best: dict[str, Hit] = {}
        for hit in hits:
            best.setdefault(_family(hit.chunk), hit)
        labels = {family: labels_of(hit.chunk) for family, hit in best.items()}
        families = tuple(
            family
            for family, found in labels.items()
            if any(found) and len(named_broadly(asked, found)) < len(set(asked))
        )
        if not families:
            return []
        narrowed = replace(question, filters={**question.filters, FAMILY: families})
        relatives = await self._inner.retrieve(narrowed, min(k * DEEPER**2, MOST_HITS))
        return [
            replace(hit, score=min(hit.score, best[_family(hit.chunk)].score))
            for hit in relatives
            if named_broadly(asked, labels_of(hit.chunk))
        ]


class _Place(IntEnum):
    """Where a hit stands: by its score, before or behind an equal one, or after all others."""

    LEADS = 0
    BESIDE = 1
    BEHIND = 2


@dataclass(frozen=True, slots=True)
class _Ranking:
    """All hits in order; the first `leading` are not behind others."""

    hits: list[Hit]
    leading: int


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a document of a group stands: what names it, how new it is, which words its hits have."""

    named: Labels
    named_broadly: int
    age: tuple[Labels, str]
    words: Set[str]
    tokens: Set[str]


def _ranking(hits: Sequence[Hit], question: str, asked: Labels) -> _Ranking:
    placed = [pair for group in _groups(hits) for pair in _placed(group, question, asked)]
    placed.sort(
        key=lambda pair: (pair[1] is _Place.BEHIND, -pair[0].score, pair[1], pair[0].chunk.chunk_id)
    )
    leading = [hit for hit, place in placed if place is not _Place.BEHIND]
    least = leading[-1].score if leading else 0.0
    behind = [
        replace(hit, score=min(hit.score, least), is_superseded=True)
        for hit, _ in placed[len(leading) :]
    ]
    return _Ranking([*leading, *behind], len(leading))


def _groups(hits: Iterable[Hit]) -> list[list[Hit]]:
    """The hits whose documents share a family or a name, directly or by way of others.

    Two families may hold versions of one page when the one between them was found last.
    """
    groups: list[tuple[Set[str], list[Hit]]] = []
    for hit in hits:
        keys: Set[str] = {f"family {_family(hit.chunk)}", *names_of(hit.chunk)}
        group = [hit]
        apart = []
        for other, members in groups:
            if keys.isdisjoint(other):
                apart.append((other, members))
            else:
                keys, group = keys | other, [*members, *group]
        groups = [*apart, (keys, group)]
    return [group for _, group in groups]


def _placed(hits: Sequence[Hit], question: str, asked: Labels) -> list[tuple[Hit, _Place]]:
    """The hits of one group with their places, without those that say what another says."""
    if len({hit.chunk.document_id for hit in hits}) == 1:
        return [(hit, _Place.LEADS) for hit in hits]
    standings = _standings(hits, asked)
    newest = max(standing.age for standing in standings.values())
    in_newest = {t for one in standings.values() if one.age == newest for t in one.tokens}
    told = {token for token in _telling(question) if not _VERSION.match(token)} - in_newest
    sought = _words(question) - _STOP_WORDS

    def rank(hit: Hit) -> tuple[Any, ...]:
        one = standings[hit.chunk.document_id]
        return len(one.named), one.named_broadly, len(told & _telling(hit.chunk.text)), one.age

    leaders: dict[str, Hit] = {}
    followers: list[tuple[Hit, _Place]] = []
    by_name = sorted(hits, key=lambda hit: (hit.chunk.document_id, hit.chunk.chunk_id))
    for hit in sorted(by_name, key=rank, reverse=True):
        leader = _leader_of(hit, leaders.values())
        says_same = leader is not None and hit.chunk.content == leader.chunk.content
        if leader is None or (rank(hit) == rank(leader) and not says_same):
            leaders[hit.chunk.chunk_id] = hit
            continue
        leaders[leader.chunk.chunk_id] = replace(leader, score=max(leader.score, hit.score))
        if not says_same:
            mine, its = (standings[one.chunk.document_id] for one in (hit, leader))
            is_sought = (
                set(mine.named) - set(its.named) or sought & _words(hit.chunk.text) - its.words
            )
            followers.append((hit, _Place.BESIDE if is_sought else _Place.BEHIND))
    return [*((hit, _Place.LEADS) for hit in leaders.values()), *followers]


def _leader_of(hit: Hit, leaders: Iterable[Hit]) -> Hit | None:
    """The leader that says the same, else the most similar one that is a version of the hit."""
    rivals = [one for one in leaders if one.chunk.document_id != hit.chunk.document_id]
    shared = [(_sameness(hit.chunk, one.chunk), -place) for place, one in enumerate(rivals)]
    most, place = max(shared, default=(0.0, 0))
    return rivals[-place] if most > 0 else None


def _sameness(left: Chunk, right: Chunk) -> float:
    """2 for chunks that say the same; else the share of words in common, 0 if they are no versions.

    Of the shorter chunk's words, since cuts fall elsewhere when something was put in before.
    """
    if left.content == right.content:
        return 2.0
    if names_of(left).isdisjoint(names_of(right)):
        return 0.0
    a, b = _words(left.text), _words(right.text)
    shared = len(a & b) / max(min(len(a), len(b)), 1)
    least = _SHARED_WORDS if left.headings == right.headings else _SHARED_WORDS_ELSEWHERE
    return shared if shared >= least else 0.0


def _standings(hits: Sequence[Hit], asked: Labels) -> dict[str, _Standing]:
    """By document."""
    documents = {hit.chunk.document_id: hit.chunk for hit in hits}
    words: dict[str, set[str]] = defaultdict(set)
    tokens: dict[str, set[str]] = defaultdict(set)
    for hit in hits:
        words[hit.chunk.document_id] |= _words(hit.chunk.text)
        tokens[hit.chunk.document_id] |= _telling(hit.chunk.text)
    labels = distinguishing({name: labels_of(chunk) for name, chunk in documents.items()})
    all_labelled = all(any(several) for several in labels.values())
    return {
        name: _Standing(
            named=named_exactly(asked, labels[name]),
            named_broadly=len(named_broadly(asked, labels[name])),
            age=(max(labels[name]) if all_labelled else (), chunk.dated),
            words=words[name],
            tokens=tokens[name],
        )
        for name, chunk in documents.items()
    }


def _have_relatives(hits: Sequence[Hit]) -> bool:
    """Whether a document among the hits has a relative, there or elsewhere in the collection."""
    documents = {hit.chunk.document_id: _family(hit.chunk) for hit in hits}
    is_joined = any(family != name for name, family in documents.items())
    return is_joined or len(set(documents.values())) < len(documents)


def _fresh(hits: Sequence[Hit], known: Sequence[Hit]) -> list[Hit]:
    ids = {hit.chunk.chunk_id for hit in known}
    return [hit for hit in hits if hit.chunk.chunk_id not in ids]


def _family(chunk: Chunk) -> str:
    """A document that was not compared with others is a family of its own."""
    return chunk.family or chunk.document_id


@lru_cache(_CACHED)
def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


@lru_cache(_CACHED)
def _telling(text: str) -> frozenset[str]:
    """Numbers, flags and names in code, without sentence ends."""
    return frozenset(_TELLING.findall(text))
