"""The roles of the system, a `Protocol` each, with one main method.

A port that may touch a network is async; one that only computes is sync. Whoever implements a port
states in its own docstring which scores and limits it keeps.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from rag.calls import Charge, ModelCall, ModelEvent
from rag.sources import Found, Loaded, ReadResult
from rag.types import (
    Answer,
    Candidate,
    Chunk,
    Context,
    CostLine,
    Document,
    EmbeddedChunk,
    Embedding,
    Generation,
    Hit,
    Passage,
    Question,
    Span,
    StoredChunk,
    StoreQuery,
    Usage,
)


class Reader(Protocol):
    """Turns one file into documents."""

    async def read(self, path: Path, collection: str, source: str) -> ReadResult:
        """The documents in the file, and the parts of it that could not be read.

        `source` is what the documents and the messages call the file; its ending tells the format.
        Raises DocumentError when the file is corrupt, empty, too large or of an unknown format,
        or when it takes too long or too much memory to read.
        """


class Loader(Protocol):
    """Brings what stands at a source: a file, or a page of the web."""

    async def discover(self, places: Sequence[str]) -> Found:
        """The sources at absolute paths, glob patterns, and addresses of pages and sitemaps.

        Raises InputError for a path at which nothing stands, and an address that is none.
        """

    async def load(self, source: str, collection: str, known: str | None) -> Loaded:
        """The documents at `source`, an absolute path or a URL, unless its mark is `known`.

        Raises DocumentError when it cannot be reached or read, and GoneError when there is
        nothing at that place any more.
        """


class Tokenizer(Protocol):
    """The tokens of a model, as places in the text."""

    def token_spans(self, text: str) -> list[Span]:
        """The span of every token of `text`, in order, special tokens left out."""


class TokenCounter(Protocol):
    """Counts the tokens that a language model would be charged for."""

    def count(self, text: str) -> int:
        """The number of tokens in `text`."""


class Chunker(Protocol):
    """Cuts a document into chunks that the embedding model reads whole."""

    @property
    def fingerprint(self) -> str:
        """Names the rules and their settings; equal fingerprints mean equal cuts."""

    def chunk(self, document: Document) -> list[Chunk]:
        """Chunks in order; their texts joined are the document's text."""


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def fingerprint(self) -> str:
        """Names the model and its weights; equal fingerprints mean comparable vectors."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        """One embedding for each passage, in order."""


class ChunkSearcher(Protocol):
    """Finds chunks."""

    async def search(self, query: StoreQuery) -> list[Candidate]:
        """The union of both legs' best, each with both scores, in order of chunk id.

        Fewer when the collection holds fewer; none for a collection that holds nothing.
        """

    async def fetch(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """The chunks of these ids, in the order given; ids that are gone are left out."""


class ChunkStore(ChunkSearcher, Protocol):
    """Keeps chunks and finds them."""

    async def upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Insert, or replace by chunk id; durable when it returns."""

    async def describe(self, document: Document) -> None:
        """Replace what the chunks of a document say of it as a whole, in one step for all.

        That is its version, sources, metadata, date and family; vectors and texts stay. (This port
        took chunks before: now it takes the document, since nothing has to be cut again.)
        """

    async def delete(self, collection: str, document_id: str) -> None:
        """Remove all chunks of a document; a document without any is no error."""

    async def delete_stale(self, collection: str, document_id: str, revision: str) -> None:
        """Remove the chunks of a document that are of another revision."""

    async def embeddings(self, collection: str, contents: Sequence[str]) -> dict[str, Embedding]:
        """By content, the embeddings that a collection holds already."""

    async def chunk_ids(self, collection: str, document_id: str) -> list[str]:
        """The ids of a document's chunks, of all revisions, sorted."""

    async def count(self, collection: str) -> int:
        """How many chunks a collection holds."""

    async def scan(self, after: str | None, limit: int) -> list[EmbeddedChunk]:
        """The next `limit` chunks of the whole store behind the id `after`, in order of id.

        Fewer only at the end; None begins. What they hold can be upserted into any other store
        of the same model.
        """

    async def optimize(self) -> None:
        """Build the indexes that large collections want; may take long."""

    async def close(self) -> None:
        """Write everything to disk and let go of it."""


class Answerer(Protocol):
    """The path from question to answer."""

    async def search(self, question: Question, k: int) -> list[Hit]:
        """At most `k` hits, best first."""

    async def context(self, question: Question, max_context_tokens: int | None = None) -> Context:
        """The compressed context alone; None takes the budget that is set."""

    async def answer(
        self,
        question: Question,
        max_context_tokens: int | None = None,
        listener: Listener | None = None,
    ) -> Answer:
        """The answer; `listener` hears of it while it is made."""


class Assigner(Protocol):
    """Knows which configuration of an experiment serves whom."""

    async def arm_of(self, question: Question) -> str:
        """The name of an arm: the same for all questions of a conversation, while it runs."""


class Revisions(Protocol):
    """Knows which cut of each document is the one that readers shall see."""

    async def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        """By document, its revision; a document that is not recorded is left out."""

    async def holds(self, collection: str) -> bool:
        """Whether there is any document in a collection."""


class ChangeCounter(Protocol):
    """Knows when what can be found is not what it was."""

    async def changes(self, collection: str) -> int:
        """How often a collection has changed: while the number stays, so does what is found."""


class Retriever(Protocol):
    """Finds what may answer a question."""

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        """At most `k` hits, best first; ties break by chunk id."""


class Reranker(Protocol):
    """Scores hits anew, with a closer look at the question."""

    async def rerank(self, question: Question, hits: Sequence[Hit]) -> list[float]:
        """One score for each hit, in order, 0 to 1."""


class Compressor(Protocol):
    """Fits hits into a token budget."""

    def compress(self, question: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        """A context of at most `max_tokens`, the most useful pieces first."""


class Listener(Protocol):
    """Hears of an answer while it is made."""

    def text(self, piece: str) -> None:
        """A piece of the answer was written."""

    def restart(self) -> None:
        """What was written so far is void; another tier begins anew."""

    def cost(self, line: CostLine) -> None:
        """A call of a model has ended, well or not, and cost this."""


class Generator(Protocol):
    """Answers from a context."""

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """An answer, or an abstention; `hits` are what the context was made from.

        Raises ProviderError and BudgetError when nothing that may answer could.
        """


class LanguageModel(Protocol):
    """A model on some server."""

    @property
    def provider(self) -> str:
        """Who serves it, as the table of prices and the ledger call them."""

    @property
    def model(self) -> str:
        """Its name there."""

    def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """Text as it is written, costs as they arise, and one CallEnd last.

        Closing the stream ends the work at the server. Raises ProviderError, at any point.
        """


class Meter(Protocol):
    """The price of one call that is running."""

    def end(self, usage: Usage | None) -> Charge:
        """What the call cost, now that it has ended; `usage` is None where it is not known."""


class Pricing(Protocol):
    """Knows what calls of one model cost."""

    def at_most_usd(self, call: ModelCall) -> Decimal | None:
        """Dollars that the call cannot pass; None where no price is known."""

    def begin(self) -> Meter:
        """A call begins now."""


class Ledger(Protocol):
    """The durable record of what was spent, and for what."""

    async def record_answer(self, question: Question, answer: Answer) -> None:
        """Write down an answer and its baseline; durable when it returns."""


class Baseline(Protocol):
    """Knows what the naive way would have cost."""

    def cost_usd(self, question: Question, hits: Sequence[Hit], answer: str) -> Decimal | None:
        """Dollars for the top chunks sent whole to the premium model; None if unknown."""


class Asking(Protocol):
    """One question, put to what is kept."""

    @property
    def kept(self) -> Answer | None:
        """An answer that may be given to it, as it was, its confidence lowered for the risk."""

    async def keep(self, hits: Sequence[Hit], answer: Answer) -> None:
        """Its fresh answer, made from `hits`: kept if it is good enough, and never an error."""


class Reuse(Protocol):
    """Keeps answers, and gives them again as long as nothing that they rest on has changed."""

    def asking(
        self, question: Question, max_context_tokens: int
    ) -> AbstractAsyncContextManager[Asking]:
        """Open while the question is answered: who asks the same meanwhile waits for the answer.

        Raises StateError, StoreError.
        """


class Conversing(Protocol):
    """Knows what was asked before in a conversation, and makes a question stand alone by that."""

    async def stand_alone(self, question: Question, listener: Listener) -> Question:
        """The question with the turns before it, so put that it can be answered without them.

        Raises StateError.
        """

    async def note(self, asked: str, question: Question, answer: Answer) -> None:
        """`asked` was written, `question` is how that stands alone; never an error."""


class Rewriter(Protocol):
    """Puts a question so that it stands alone, where rules do not suffice."""

    async def rewrite(self, question: Question, draft: str, listener: Listener) -> str:
        """The question so put, after its turns; `draft` where nothing better is to be had."""
