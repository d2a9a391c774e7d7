"""The command `rag` around the fake application, for tests that need processes of their own.

It embeds nothing as long as there is a file `hold` in the working folder.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for what all tests share

from api_fakes import HeldEmbedder, fake_application

from api.cli.main import make_app

if __name__ == "__main__":
    build = partial(fake_application, embedder=HeldEmbedder(Path("hold")))
    make_app(build)()  # type: ignore[arg-type]
