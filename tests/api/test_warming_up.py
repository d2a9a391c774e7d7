"""What a service loads before it listens."""

from __future__ import annotations

from typing import Any

import pytest

from api.assembly import answering
from api.assembly.answering import Answering


async def test_only_a_service_with_models_loads_what_reads_their_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = []
    monkeypatch.setattr(answering, "load_identifier", lambda: loaded.append(1))
    none: Any = None
    for adapters in ((), (none,)):
        assert not loaded
        ready = Answering(none, none, none, none, none, none, none, adapters=adapters)
        await ready.warm_up()
    assert loaded == [1]
