"""Runs the numbered migrations that a state lacks.

Imported only when there is one to run: a state that is up to date does not pay for it.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

FOLDER = Path(__file__).with_name("migrations")


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, inside the caller's transaction.

    A state from before there were versions has none: the first migration takes its tables over.
    """
    scripts = migrations()
    context = MigrationContext.configure(connection)
    current = context.get_current_revision() or "base"
    with Operations.context(context):
        for step in reversed(list(scripts.iterate_revisions("head", current))):
            step.module.upgrade()
            context.stamp(scripts, step.revision)


def migrations() -> ScriptDirectory:
    """All migrations."""
    return ScriptDirectory(FOLDER, version_locations=[FOLDER])
