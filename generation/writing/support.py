"""Does an excerpt say what a sentence claims, and where? Judged by words, without a model.

The sentences of the excerpt that hold most of what is claimed are found first. They support it when
they hold enough of its content words, all of its numbers beside their units, and no "not" more or
less; and when the excerpt knows each of its names. It does not see who does what to whom: "A costs
less than B" is supported by "B costs less than A".

Where claim and excerpt are in different languages only numbers and names can be compared: then it
is loose support at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from generation.writing.addressed import block_of, speaks_to_a_model
from generation.writing.citing import Quote
from generation.writing.excerpts import Excerpt
from generation.writing.languages import contradict, language_of
from generation.writing.wording import Wording, stands_in, wording_of
from rag.types import Hit, Piece, Span

_ENOUGH = 0.6
"""The share of a claim's content that its evidence must hold; names and numbers count double."""
_DOUBLE = 2.0
_MAX_SENTENCES = 3
_LEAST_GAIN = 0.15  # what a further sentence must add, as a share of the claim


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A sentence that was given; `above` is what the headings and the head of a table say."""

    hit: Hit
    position: int
    says: Wording
    above: Wording

    @property
    def cosine(self) -> float:
        """Of the sentence and the question, -1 to 1."""
        return self.hit.sentence_scores[self.position]

    @property
    def speaks_to_a_model(self) -> bool:
        """Whether it, or another sentence of its paragraph, is meant for a model."""
        chunk = self.hit.chunk
        return speaks_to_a_model(block_of(chunk, chunk.sentences[self.position]))


@dataclass(frozen=True, slots=True)
class Support:
    """The quotes that support a claim, at least one; loosely when by numbers and names alone."""

    quotes: tuple[Quote, ...]
    is_loose: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """An excerpt as the judge reads it: its sentences, all of its words, and its language."""

    evidence: tuple[Evidence, ...]
    words: frozenset[str]
    is_foreign: bool


class Judge:
    """Judges claims, written in `language`, by the excerpts that were given."""

    def __init__(self, excerpts: Sequence[Excerpt], language: str | None) -> None:
        self._language = language
        self._excerpts = {excerpt.number: excerpt for excerpt in excerpts}
        self._read: dict[int, _Read] = {}

    def support(self, claim: str, numbers: Sequence[int]) -> Support | None:
        """The support for a claim in the excerpts of these numbers together; None without any."""
        says = wording_of(claim, self._language)
        read = [self._reading(number) for number in numbers]
        evidence = [sentence for one in read for sentence in one.evidence]
        is_foreign = all(one.is_foreign for one in read)
        choose = _choose_anchor if is_foreign else _choose
        chosen = choose(says, evidence)
        while addressed := [sentence for sentence in chosen if sentence.speaks_to_a_model]:
            evidence = [sentence for sentence in evidence if sentence not in addressed]
            chosen = choose(says, evidence)
        if not chosen:
            return None
        if is_foreign:
            return Support(_quotes(chosen, evidence), is_loose=True)
        known = frozenset().union(*(one.words for one in read))
        return Support(_quotes(chosen, evidence)) if _is_supported(says, chosen, known) else None

    def read(self) -> None:
        """Reads all excerpts, in which case later judges in the same language have little to do."""
        for number in self._excerpts:
            self._reading(number)

    def _reading(self, number: int) -> _Read:
        """An excerpt, read once, and only if something is said to rest on it."""
        if number not in self._read:
            excerpt, language = self._excerpts[number], self._language
            evidence = tuple(_evidence(excerpt, language))
            heading = wording_of(excerpt.heading, language).words
            self._read[number] = _Read(
                evidence=evidence,
                words=heading.union(*(one.says.words | one.above.words for one in evidence)),
                is_foreign=contradict(language, language_of(excerpt.text)),
            )
        return self._read[number]


def _evidence(excerpt: Excerpt, language: str | None) -> Iterator[Evidence]:
    """The sentences of which the excerpt holds a part; headings speak for what follows them."""
    above = "" if speaks_to_a_model(excerpt.heading) else excerpt.heading
    for piece in excerpt.pieces:
        chunk = piece.hit.chunk
        outside = _outside_sentences(piece)
        above += "" if speaks_to_a_model(outside) else f"\n{outside}"
        for position, span in enumerate(chunk.sentences):
            if not piece.touches(span):
                continue
            text = chunk.slice(span)
            if text.startswith("#"):
                above += "" if speaks_to_a_model(text) else f"\n{text}"
                continue
            says = wording_of(text, language)
            yield Evidence(piece.hit, position, says, wording_of(above, language))


def _outside_sentences(piece: Piece) -> str:
    """What stands between the sentences: the head of a table."""
    chunk, place = piece.hit.chunk, piece.start
    parts: list[str] = []
    for span in chunk.sentences:
        if piece.touches(span):
            parts.append(chunk.slice(Span(place, max(place, span.start))))
            place = max(place, min(span.end, piece.end))
    parts.append(chunk.slice(Span(place, piece.end)))
    return " ".join(part.strip() for part in parts)


def _items(says: Wording) -> dict[tuple[str, str], float]:
    """What is claimed, with weights."""
    terms = {("term", term): _DOUBLE if term in says.names else 1.0 for term in says.terms}
    numbers = {("number", number): _DOUBLE for number in says.numbers | says.spelled}
    return terms | numbers


def _holds(item: tuple[str, str], says: Wording) -> bool:
    kind, value = item
    return value in says.numbers | says.spelled if kind == "number" else says.has_word(value)


def _choose(says: Wording, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The few sentences that together hold most of the claim; the question's favourites first."""
    left = _items(says)
    whole = sum(left.values())
    chosen: list[Evidence] = []
    while evidence and left and len(chosen) < _MAX_SENTENCES:
        gains = [
            (sum(weight for item, weight in left.items() if _holds(item, e.says)), e.cosine, -place)
            for place, e in enumerate(evidence)
        ]
        gain, _, place = max(gains)
        if gain < (_LEAST_GAIN * whole if chosen else 1e-9):
            break
        best = evidence[-place]
        chosen.append(best)
        left = {item: weight for item, weight in left.items() if not _holds(item, best.says)}
    return chosen


def _is_supported(says: Wording, chosen: Sequence[Evidence], known: frozenset[str]) -> bool:
    told = [wording for sentence in chosen for wording in (sentence.says, sentence.above)]
    items = _items(says)
    held = {item for item in items if any(_holds(item, wording) for wording in told)}
    if sum(items[item] for item in held) < _ENOUGH * sum(items.values()):
        return False
    if not _has_numbers(says, told):
        return False
    if not all(stands_in(name, known) for name in says.names):
        return False
    return _are_measured_alike(says, told) and not _contradicts(says, [e.says for e in chosen])


def _has_numbers(says: Wording, told: Sequence[Wording]) -> bool:
    """Whether all of a claim's numbers are told: those in words, where any other number is."""
    numbers = frozenset(chain.from_iterable(wording.numbers | wording.spelled for wording in told))
    return says.numbers <= numbers and (says.spelled <= numbers or numbers <= says.numbers)


def _are_measured_alike(says: Wording, told: Sequence[Wording]) -> bool:
    """Whether each number stands, where it was found, with a word that stands beside it."""
    for number, beside in says.measured:
        holders = [wording for wording in told if number in wording.numbers | wording.spelled]
        words = frozenset(chain.from_iterable(wording.words for wording in told))
        if beside and holders and not any(stands_in(word, words) for word in beside):
            return False
    return True


def _contradicts(says: Wording, told: Sequence[Wording]) -> bool:
    """Whether one side denies what the other one affirms, of more than they both deny."""
    denied = frozenset(chain.from_iterable(wording.denied for wording in told))
    affirmed = frozenset(chain.from_iterable(wording.affirmed for wording in told))
    if says.denied and not denied and any(wording.is_limited for wording in told):
        return False
    differing = agreeing = 0
    for term in says.terms:
        if not stands_in(term, denied | affirmed):
            continue
        is_denied = term in says.denied - says.affirmed
        is_denied_there = stands_in(term, denied) and not stands_in(term, affirmed)
        differing += is_denied != is_denied_there
        agreeing += is_denied and is_denied_there
    return differing > agreeing


def _choose_anchor(says: Wording, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The sentence with the most of the claim's numbers and names, if it has all the numbers."""
    anchors = [item for item in _items(says) if item[0] == "number" or item[1] in says.names]
    if not evidence or not anchors:
        return []
    held, _, place = max(
        (sum(_holds(item, e.says) for item in anchors), e.cosine, -place)
        for place, e in enumerate(evidence)
    )
    best = evidence[-place]
    has_numbers = all(_holds(("number", number), best.says) for number in says.numbers)
    return [best] if held and has_numbers else []


def _quotes(chosen: Sequence[Evidence], evidence: Sequence[Evidence]) -> tuple[Quote, ...]:
    """The chosen sentences in the order in which they were given; neighbours are one quote."""
    quotes: list[Quote] = []
    for sentence in sorted(chosen, key=evidence.index):
        hit, position = sentence.hit, sentence.position
        if quotes and quotes[-1].hit is hit and quotes[-1].last + 1 >= position:
            quotes[-1] = Quote(hit, quotes[-1].first, position)
        else:
            quotes.append(Quote(hit, position, position))
    return tuple(quotes)
