"""The values that pass between stages, all frozen: nobody changes what it was given.

Offsets are in characters of the document's text, half open: `[start, end)`. Scores are higher for
better; each producer states its range. Vectors are float32 and of unit length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

from rag.turns import Turn

Vector = npt.NDArray[np.float32]
"""One vector, shape `[dimension]`, or several, `[n, dimension]`; the docstring says which."""

Scalar = str | int | float | bool
Tier = Literal["cache", "extractive", "local", "premium"]
Status = Literal["answered", "abstained", "degraded"]


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `[start, end)` of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One source text.

    `version` is a hash of its title, text and metadata. `sources` are the places where it was
    found, in order of discovery, at least one. `page_starts[i]` is the offset at which page i + 1
    begins; empty for a format without pages. `wording` is a hash that is equal for documents that
    say the same in the same words, however they are laid out. `dated` is when it was last edited,
    in ISO 8601, empty where nothing tells. Documents that are nearly the same share a `family`, a
    name that means nothing else; empty before the document was compared with others.
    """

    collection: str
    document_id: str
    version: str
    title: str
    text: str
    sources: tuple[str, ...]
    page_starts: tuple[int, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    wording: str = ""
    dated: str = ""
    family: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous span of a document: `document.text[start:end] == text`.

    The chunks of a document, in order, tile its text: together they are the whole of it.
    `revision` is the same for all chunks of one cut of a document, and for no others. `content` is
    a hash of all that is embedded: equal ones have equal vectors. `headings` is the path of
    headings above it, outermost first; `prefix`, made of title and headings, is embedded and
    indexed before its text. `sentences` are spans of the document inside the chunk, in order,
    without surrounding white space. `page` is the page on which the chunk begins, from 1, or None;
    a new page begins at each offset in `page_breaks`. `dated` and `family` are the document's.
    """

    chunk_id: str
    collection: str
    document_id: str
    version: str
    revision: str
    content: str
    title: str
    sources: tuple[str, ...]
    headings: tuple[str, ...]
    prefix: str
    start: int
    end: int
    text: str
    sentences: tuple[Span, ...]
    page: int | None = None
    page_breaks: tuple[int, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    dated: str = ""
    family: str = ""

    @property
    def source(self) -> str:
        """Where the document was found first."""
        return self.sources[0]

    def slice(self, span: Span) -> str:
        """The document's text in `span`, which must lie inside the chunk."""
        return self.text[span.start - self.start : span.end - self.start]

    def page_at(self, offset: int) -> int | None:
        """The page, from 1, on which the character at `offset` stands; None without pages."""
        return None if self.page is None else self.page + bisect_right(self.page_breaks, offset)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to embed, and spans of it (relative to `text`) whose own vectors are wanted too."""

    text: str
    role: Literal["document", "question"]
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Embedding:
    """`vector`: shape `[dimension]`; `span_vectors`: `[len(spans), dimension]`. Unit length."""

    vector: Vector
    span_vectors: Vector


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """A chunk with its vectors; `embedding.span_vectors` are those of its sentences, in order."""

    chunk: Chunk
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where to look.

    `filters` maps a field of the chunk (`document_id`, `source`, `title`) or of the document's
    metadata to the values that are allowed; all fields must match, one value of each suffices.
    `tenant` and `key` name who asks, empty where nobody told, and `key_day_usd` and `key_month_usd`
    are the most that the key may spend, None without walls of its own. The asker of one that
    `is_of_stranger` is not told how much the whole service has spent. `tier` is the only one that
    may answer, and `max_cost_usd` the most that it may cost, where the asker set them. No kept
    answer is given to one that `is_fresh`, and its answer is not kept. `conversation_id` names what
    it is a part of, empty where nobody told. `turns` are what was asked before it there, oldest
    first; who asks may give them himself. `visitor` is what a web page calls who asks there, empty
    elsewhere.
    `answer_id` is given by the path, and stands on everything that is recorded of the answer;
    `escalated_from` by who asks a dearer tier, and names the last one that answered before.
    """

    text: str
    collection: str
    filters: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    tenant: str = ""
    key: str = ""
    key_day_usd: Decimal | None = field(default=None, compare=False)
    key_month_usd: Decimal | None = field(default=None, compare=False)
    is_of_stranger: bool = field(default=False, compare=False)
    tier: Tier | None = None
    max_cost_usd: Decimal | None = None
    is_fresh: bool = False
    conversation_id: str = field(default="", compare=False)
    visitor: str = field(default="", compare=False)
    turns: tuple[Turn, ...] = field(default=(), compare=False)
    answer_id: str = field(default="", compare=False)
    escalated_from: Tier | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StoreQuery:
    """One hybrid query to a store.

    `vector` has shape `[dimension]` and unit length; `text` is for the sparse leg; each leg
    contributes its best `candidates`.
    """

    vector: Vector
    text: str
    collection: str
    filters: Mapping[str, tuple[Scalar, ...]]
    candidates: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk found by a store, with its score in both legs.

    `dense_score` is the cosine, -1 to 1. `sparse_score`, 0 to 1, is BM25 with the collection's own
    IDF, as a share of what the question's words score at most, each in the chunk that is best for
    it.
    """

    chunk_id: str
    dense_score: float
    sparse_score: float


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as a store gives it back.

    `sentence_vectors`: shape `[len(chunk.sentences), dimension]`, unit length, to 8 bits.
    """

    chunk: Chunk
    sentence_vectors: Vector


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk. `score` is 0 to 1; the others as in `Candidate`.

    `sentence_scores[i]` is the cosine of the question and `chunk.sentences[i]`, -1 to 1. A hit is
    superseded when a version of it that the question prefers is there too.
    """

    chunk: Chunk
    score: float
    dense_score: float
    sparse_score: float
    sentence_scores: tuple[float, ...]
    is_superseded: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a hit that goes into the context: the document's characters `[start, end)`."""

    hit: Hit
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.hit.chunk.slice(Span(self.start, self.end))

    def touches(self, span: Span) -> bool:
        """Whether a character of `span`, of the same document, is in the piece."""
        return self.start < span.end and span.start < self.end


@dataclass(frozen=True, slots=True)
class Context:
    """What is sent to the generator: `text` is exactly what counts as `tokens`."""

    pieces: tuple[Piece, ...]
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Citation:
    """`document.text[start:end] == quote`; `marker` is the n of `[n]` in the answer, from 1."""

    marker: int
    document_id: str
    title: str
    source: str
    page: int | None
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a model read and wrote; all 0 where no model was called.

    Those read from and written to a provider's cache are part of `input_tokens`, and those of
    reasoning part of `output_tokens`, however the provider counts them.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one stage cost. `usd` is None where that is unknown, never 0 for unknown.

    Then `at_most_usd` is what it cannot have passed, None where no price is known.
    """

    stage: str
    model: str | None
    usd: Decimal | None
    ms: float
    at_most_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """The bill. `baseline_usd`: the same question as top-k chunks whole to the premium model."""

    lines: tuple[CostLine, ...]
    baseline_usd: Decimal | None

    @property
    def total_usd(self) -> Decimal | None:
        """The sum of the lines; None when one of them is unknown."""
        total = Decimal(0)
        for line in self.lines:
            if line.usd is None:
                return None
            total += line.usd
        return total

    @property
    def saved_usd(self) -> Decimal | None:
        """Baseline minus total; None when either is unknown."""
        total = self.total_usd
        return None if total is None or self.baseline_usd is None else self.baseline_usd - total


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generator made of a context.

    `confidence` is a calibrated probability that the text answers the question and is supported.
    `abstained` says that the documents do not answer: then there are no citations.
    `degraded_because` tells why a tier that should have answered did not, or not as it should.
    `context_tokens` counts the context that was used where that is not the one that was given. What
    calls cost was told to the listener. `signals` are numbers by name that tell how good the answer
    is, and `because` is one sentence on why this tier answered, with the numbers.
    """

    text: str
    citations: tuple[Citation, ...]
    confidence: float
    abstained: bool
    tier: Tier
    model: str
    usage: Usage = Usage()
    degraded_because: str | None = None
    context_tokens: int | None = None
    signals: Mapping[str, float] = field(default_factory=dict)
    because: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question, with its evidence and its bill.

    `because` tells why its tier answered, and `signals` are the numbers that its confidence was
    made from, by name. `arm` is the configuration that made it, as "experiment/arm"; empty outside
    an experiment. `asked_as` is the question that it answers, where that is not the one that was
    written but one that stands alone; else it is empty.
    """

    answer_id: str
    status: Status
    text: str
    tier: Tier
    model: str
    confidence: float
    citations: tuple[Citation, ...]
    usage: Usage
    context_tokens: int
    cost: Cost
    degraded_because: str | None = None
    because: str = ""
    signals: Mapping[str, float] = field(default_factory=dict)
    arm: str = ""
    asked_as: str = ""
