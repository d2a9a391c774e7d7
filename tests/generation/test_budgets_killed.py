"""Budgets under load, with a process that is killed: the benchmark of them, in small."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from benchmarks.budgets import Place, trial

REQUESTS = 400
TO_BE_NOTHING = (
    *("walls_passed", "moments_past_a_wall", "bills_not_covered", "false_refusals"),
    *("still_reserved", "wrong_sums"),
)


def test_nothing_passes_a_wall_and_nothing_stays_reserved(
    state_url: SecretStr | None, tmp_path: Path
) -> None:
    url = "" if state_url is None else state_url.get_secret_value()
    found = trial(Place(tmp_path, url), REQUESTS, processes=2, kills=1, hold_s=4)
    assert {name: found[name] for name in TO_BE_NOTHING} == dict.fromkeys(TO_BE_NOTHING, 0)
    assert found["answered"] > REQUESTS / 10, "most of them fit"
    assert found["refused"] > REQUESTS / 10, "and many do not"
    assert set(found["outcomes"]) >= {"done", "failed", "cut off", "cancelled"}
