"""What a dial saw of the last questions, and the price that it solved: kept for the next start."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy import (
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
)

from generation.deciding.dials import Situation

METADATA = MetaData()
SITUATIONS = Table(
    "dial_situations",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("situation", Text, nullable=False),  # JSON
    sqlite_autoincrement=True,
)
PRICES = Table(
    "dial_prices",
    METADATA,
    Column("dial", String, primary_key=True),
    Column("error_usd", Float, nullable=False),
)

WINDOW = 200
"""So many questions stand for the traffic."""
_PUT_PRICE = text(
    "INSERT INTO dial_prices (dial, error_usd) VALUES (:dial, :error_usd) "
    "ON CONFLICT (dial) DO UPDATE SET error_usd = excluded.error_usd"
)
_SITUATION = TypeAdapter(Situation)


class KeptTraffic:
    """The last 200 questions of all processes, in the tables of `engine`, without their words.

    Its methods raise StateError.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def note(self, situation: Situation) -> int:
        """Keep one more; gives how many there have been, about."""
        row = {"situation": _SITUATION.dump_json(situation).decode()}
        put = insert(SITUATIONS).values(row).returning(SITUATIONS.c.position)
        with self._engine.begin() as connection:
            return int(connection.scalar(put) or 0)

    def last(self) -> list[Situation]:
        """The last ones, in the order in which they came."""
        columns = SITUATIONS.c
        query = select(columns.situation).order_by(columns.position.desc()).limit(WINDOW)
        with self._engine.connect() as connection:
            rows = connection.scalars(query).all()
        return [_SITUATION.validate_json(row) for row in reversed(rows)]

    def price(self, dial: str) -> float | None:
        """The price of an error that was solved last for a dial of this name."""
        query = select(PRICES.c.error_usd).where(PRICES.c.dial == dial)
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def solved(self, dial: str, error_usd: float) -> None:
        """Keep a price, and forget the questions that no dial looks at any more."""
        newest = select(SITUATIONS.c.position).order_by(SITUATIONS.c.position.desc())
        with self._engine.begin() as connection:
            connection.execute(_PUT_PRICE, {"dial": dial, "error_usd": error_usd})
            last = connection.scalar(newest.offset(WINDOW).limit(1))
            if last is not None:
                connection.execute(delete(SITUATIONS).where(SITUATIONS.c.position <= last))
