"""What all groups of settings are made of, and what a collection may be called."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_settings import NoDecode

COLLECTION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a collection may be called: it is part of URLs, file names and metrics."""


ANY_COLLECTION_PATTERN = COLLECTION_PATTERN[:-1] + r"(:[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$"
"""The same, or that of a tenant as the operator calls it: `tenant:collection`."""


def check_collections(names: Collection[str]) -> None:
    """Raises ValueError for what can be no collection, one's own or a tenant's."""
    for name in names:
        if not re.match(ANY_COLLECTION_PATTERN, name):
            raise ValueError(f"{name!r} is no name of a collection: give those that are, in full")


def _named_once(names: tuple[str, ...]) -> tuple[str, ...]:
    check_collections(names)
    return tuple(dict.fromkeys(names))


def split_names(names: object) -> object:
    """A variable holds one text; a file holds a list."""
    return tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names


CollectionNames = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(split_names), AfterValidator(_named_once)
]
"""Collections by their names inside, each once; a variable has them between commas."""


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)
