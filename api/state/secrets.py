"""What the services over one state know and nobody else shall: random bytes under a name."""

from __future__ import annotations

import secrets

from sqlalchemy import Column, Engine, LargeBinary, MetaData, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

METADATA = MetaData()
SECRETS = Table(
    "secrets",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
_BYTES = 32


def secret_of(engine: Engine, name: str) -> bytes:
    """The secret of this name, the same for all services; made when first asked for.

    Raises StateError.
    """
    query = select(SECRETS.c.value).where(SECRETS.c.name == name)
    with engine.connect() as connection:
        found: bytes | None = connection.scalar(query)
    if found is not None:
        return found
    made = {"name": name, "value": secrets.token_bytes(_BYTES)}
    try:
        with engine.begin() as connection:
            connection.execute(insert(SECRETS).values(made))
    except IntegrityError:
        pass  # another service was quicker
    with engine.connect() as connection:
        value: bytes = connection.scalars(query).one()
    return value
