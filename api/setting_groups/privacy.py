"""The settings of privacy: what is masked before it leaves, and what never leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from api.setting_groups.group import CollectionNames, Group, check_collections, split_names
from generation.privacy.kinds import KINDS, Kind

NOTHING = "none"


def _split_kinds(kinds: object) -> object:
    """`none` masks nothing: an empty variable counts as unset."""
    names = split_names(kinds)
    return () if names == (NOTHING,) else names


def _check_regions(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch("[A-Z]{2}", name):
            raise ValueError(f"{name!r} is no country: give two capital letters, as in US,DE")
    return tuple(dict.fromkeys(names))


def _check_masked(kinds: Mapping[str, tuple[Kind, ...]]) -> Mapping[str, tuple[Kind, ...]]:
    check_collections(kinds)
    return kinds


Kinds = Annotated[tuple[Kind, ...], NoDecode, BeforeValidator(_split_kinds)]
KindsByCollection = Annotated[
    Mapping[str, Annotated[tuple[Kind, ...], BeforeValidator(_split_kinds)]],
    AfterValidator(_check_masked),
]


class PrivacySettings(Group):
    """What leaves for the premium tier. The local tier is yours, and sees everything."""

    mask: Kinds = Field(
        default=KINDS,
        description="Kinds of personal data, between commas, that the premium tier gets "
        "placeholders for; `none` masks nothing. Names are masked where `names_model` is set.",
    )
    mask_of: KindsByCollection = Field(
        default={},
        description='Collections that mask something else, as `{public = "none", staff = '
        '"email,phone"}` in `rag.toml`.',
    )
    phone_regions: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(split_names), AfterValidator(_check_regions)
    ] = Field(
        default=("US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "BR", "IN"),
        description="Countries, between commas, whose telephone numbers are masked without their "
        "country code too; with it, all are.",
    )
    names_model: str | None = Field(
        default=None,
        min_length=1,
        description="A model of spaCy's that is installed, or its folder, to find names of people "
        "with; unset masks no names.",
    )
    stays_here: CollectionNames = Field(
        default=(),
        description="Collections, between commas, that the premium tier is never asked about, "
        "whoever names it.",
    )
