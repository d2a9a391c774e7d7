"""The command `rag` around the fake application, for tests that need processes of their own."""

from __future__ import annotations

from api_fakes import fake_application

from api.cli.main import make_app

if __name__ == "__main__":
    make_app(fake_application)()  # type: ignore[arg-type]
