"""The real service in a process of its own, for clients that others wrote."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from client_place import RAG, Place
from patience import FAR_S, told_json

TEXTS = {
    "shop": "# Returns\n\nYou can return an item within 30 days of delivery. Keep the receipt.\n",
    "museum": "# Tickets\n\nA ticket of the museum costs nine euros for an adult.\n",
}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The collections `shop` and `museum`, with nobody at work on them."""
    folder = tmp_path_factory.mktemp("clients")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    data = folder / "data"
    made = Place(data, kept | {"RAG_DATA_DIR": str(data)})
    for name, text in TEXTS.items():
        (folder / f"{name}.md").write_text(text)
        made.run("ingest", str(folder / f"{name}.md"), "--collection", name)
    return made


@pytest.fixture(scope="module")
def service_url(place: Place) -> Iterator[str]:
    """The address of `rag serve` over it."""
    with subprocess.Popen(
        [RAG, "serve", "--port", "0", "--json"],
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield told_json(process)["url"]
        finally:
            process.terminate()
            process.wait(timeout=FAR_S)
