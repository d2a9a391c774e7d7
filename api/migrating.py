"""From the store of the settings to another one. The manifest stays where it is."""

from __future__ import annotations

from typing import Any

from api.build import embedding, open_store
from api.settings import Settings, load_settings
from indexing.stores.migration import CopyReport, copy_store
from rag.errors import InputError

EMBEDDED = "embedded"


def setting_for(target: str) -> str:
    """What to set so that `target` is used."""
    return "unset RAG_STORE__URL" if target == EMBEDDED else f"set RAG_STORE__URL={target}"


async def copy(settings: Settings, target: str) -> CopyReport:
    """Copy the store of the settings to `target`; the caller must hold the data folder's lock.

    Raises InputError when both are the same, SettingsError for an address that is none, and
    StoreError.
    """
    if (settings.store.url or EMBEDDED) == target:
        raise InputError(f"{target} is the store of the settings already: name another")
    embedder, _, _ = embedding(settings)
    origin = open_store(settings, embedder)
    try:
        there = open_store(_pointed_at(settings, target), embedder)
        try:
            return await copy_store(origin, there, lambda _: None)
        finally:
            await there.close()
    finally:
        await origin.close()


def _pointed_at(settings: Settings, target: str) -> Settings:
    """The settings with another store, checked as if they were written so."""
    url = None if target == EMBEDDED else target
    store: dict[str, Any] = settings.store.model_dump() | {"url": url}
    return load_settings({"store": store, "data_dir": settings.data_dir})
