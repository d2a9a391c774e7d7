"""The service around the real engine, state and pipelines, with an embedder that needs no model."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for what all tests share

from fakes import CHUNK_TOKENS, HashingEmbedder, WordTokenizer

from api.build import Application, build_around
from api.cli.main import make_app
from api.settings import Settings


def build(settings: Settings) -> Application:
    return build_around(settings, HashingEmbedder(), WordTokenizer(), CHUNK_TOKENS)


if __name__ == "__main__":
    make_app(build)()
