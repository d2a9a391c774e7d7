"""Why each answer came from its tier, and the numbers that its confidence was made from."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Bring the tables from version 0005 to 0006."""
    for name in ("because", "signals"):
        op.add_column("answers", Column(name, Text))
