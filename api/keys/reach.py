"""What a caller may see: the collections of one tenant, all or some of them.

Inside, the collection `help` of the tenant `acme` is `acme:help`; its callers call it `help`. A
colon cannot stand in a name that callers give, so no two collections get the same name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, true

from api.keys.key import COMMAND_LINE
from rag.errors import AccessError

SEPARATOR = ":"


@dataclass(frozen=True, slots=True)
class Reach:
    """The collections of `tenant`, "" being the operator; None is everything, whoever's it is.

    Of these, the ones that `collections` names, None being all.
    """

    tenant: str | None
    collections: tuple[str, ...] | None = None

    def inside(self, collection: str) -> str:
        """What a collection that the caller names is called inside.

        Raises AccessError for one that is out of reach, whether it exists or not.
        """
        if self.tenant is None:
            return collection
        is_named = self.collections is None or collection in self.collections
        if not is_named or SEPARATOR in collection:
            known = "those of its tenant" if self.collections is None else self._told()
            raise AccessError(
                f"this key is for the collections {known}, and {collection[:100]!r} is none of "
                "them: name one of those, or use another key"
            )
        return self._prefix + collection

    def has(self, inside: str) -> bool:
        """Whether a collection, by its name inside, is within reach."""
        if self.tenant is None:
            return True
        name = inside.removeprefix(self._prefix)
        if SEPARATOR in name or not inside.startswith(self._prefix):
            return False
        return self.collections is None or name in self.collections

    def shown(self, inside: str) -> str:
        """What the caller calls a collection that is within reach."""
        return inside.removeprefix(self._prefix) if self.tenant else inside

    def told(self, text: str) -> str:
        """A message with the names of collections as the caller calls them."""
        if not self.tenant:
            return text
        return re.sub(rf"(?<![\w.:/-]){re.escape(self._prefix)}(?=\w)", "", text)

    def within(self, column: Column[str]) -> ColumnElement[bool]:
        """The condition that the collection in a column of a table is within reach."""
        if self.tenant is None:
            return true()
        if self.collections is not None:
            return column.in_([self._prefix + name for name in self.collections])
        if self.tenant:
            return column.startswith(self._prefix, autoescape=True)
        return ~column.contains(SEPARATOR, autoescape=True)

    @property
    def _prefix(self) -> str:
        return self.tenant + SEPARATOR if self.tenant else ""

    def _told(self) -> str:
        return ", ".join(repr(name) for name in self.collections or ()) or "of nobody"


def tenant_of(inside: str) -> tuple[str, str]:
    """Whose a collection is, by its name inside, and what its tenant calls it."""
    tenant, _, name = inside.rpartition(SEPARATOR)
    return tenant, name


EVERYTHING = Reach(None)
NOTHING = Reach("", ())


@dataclass(frozen=True, slots=True)
class By:
    """Who administers: the name that the audit log has, and what is theirs to change.

    That is what is of `tenant`, None being any, within `reach`.
    """

    actor: str
    tenant: str | None
    reach: Reach


BY_COMMAND_LINE = By(COMMAND_LINE, None, EVERYTHING)
