"""What ingestions were said to take, kept until they are done, so that both can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Engine, delete, insert, select

from indexing.manifest.tables import QUOTES


@dataclass(frozen=True, slots=True)
class Quote:
    """What an ingestion would take: documents and chunks to write, chunks and tokens to embed.

    `usd` is None where the price of embedding is unknown.
    """

    documents: int
    chunks: int
    chunks_embedded: int
    tokens: int
    seconds: float
    usd: Decimal | None


class Quotes:
    """The quotes in `engine`, one for each collection and set of places."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, collection: str, places: Sequence[str], quote: Quote) -> None:
        """Keep a quote instead of the one before it."""
        self.take(collection, places)
        with self._engine.begin() as connection:
            connection.execute(
                insert(QUOTES).values(
                    collection=collection,
                    places=_hash(places),
                    documents=quote.documents,
                    chunks=quote.chunks,
                    chunks_embedded=quote.chunks_embedded,
                    tokens=quote.tokens,
                    seconds=quote.seconds,
                    usd=None if quote.usd is None else str(quote.usd),
                    quoted_at=datetime.now(UTC).isoformat(timespec="seconds"),
                )
            )

    def take(self, collection: str, places: Sequence[str]) -> Quote | None:
        """The quote for these places, which is not kept any longer."""
        where = (QUOTES.c.collection == collection, QUOTES.c.places == _hash(places))
        with self._engine.begin() as connection:
            row = connection.execute(select(QUOTES).where(*where)).one_or_none()
            connection.execute(delete(QUOTES).where(*where))
        if row is None:
            return None
        return Quote(
            documents=row.documents,
            chunks=row.chunks,
            chunks_embedded=row.chunks_embedded,
            tokens=row.tokens,
            seconds=row.seconds,
            usd=None if row.usd is None else Decimal(row.usd),
        )


def _hash(places: Sequence[str]) -> str:
    canonical = json.dumps(sorted(set(places)))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
