"""The Redis that counts the limits of keys goes away and comes back under a running service."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cable import cable_to
from conftest import eventually, serving
from patience import FAR_S
from redis_server import running_redis

from api.keys.key import Key
from api.keys.records import KeyRecords
from api.state.opening import open_state

ASKED = {"question": "How often does machine 3 need oil?"}


def test_keys_with_limits_wait_for_redis_and_others_do_not(data_dir: Path, tmp_path: Path) -> None:
    state = open_state(data_dir)
    keys = KeyRecords(state)
    limited = keys.create(Key("limited", frozenset({"ask"}), requests_per_minute=3))
    free = keys.create(Key("free", frozenset({"ask"})))
    state.dispose()
    with (
        running_redis(tmp_path) as redis_url,
        cable_to(urlsplit(redis_url).port or 0) as cable,
        serving(data_dir, RAG_SERVER__REDIS_URL=f"redis://127.0.0.1:{cable.port}") as service,
    ):

        def ask(token: str) -> httpx.Response:
            shown = {"authorization": f"Bearer {token}"}
            return service.client.post("/v1/answers", json=ASKED, headers=shown, timeout=FAR_S)

        assert ask(limited).status_code == 200
        cable.cut()
        refused = ask(limited)
        assert (refused.status_code, refused.json()["retryable"]) == (503, True), refused.text
        assert "start what server.redis_url names" in refused.json()["detail"]
        assert ask(free).status_code == 200, "who has no limit needs no counter"
        cable.mend()
        eventually(lambda: ask(limited).status_code != 503)
        counted = [ask(limited).status_code for _ in range(3)]
        assert counted[-1] == 429, "what was counted before the fault still counts"
