"""`rag keys`: made once, shown once, revoked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli.main import make_app

PUBLISH = ("--scope", "publish", "--origin", "https://www.example.org/")


def keys(*arguments: str) -> Result:
    """What `rag keys` with these arguments does; it builds no application."""

    def build(_: Any) -> Any:
        raise AssertionError("keys need no application")

    return CliRunner().invoke(make_app(build), ["keys", *arguments])


def listed() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(keys("list", "--json").stdout)}


def test_a_key_is_printed_alone_once() -> None:
    made = keys("create", "desk", "--tenant", "acme", "--days", "30", "--month-usd", "2.50")
    assert made.exit_code == 0
    assert made.stdout.startswith("rag_sk_")
    assert len(made.stdout.split()) == 1
    assert "shown this once" in made.stderr
    assert made.stdout.strip() not in keys("list").output + keys("list", "--json").output
    [desk] = listed().values()
    assert desk["hint"] == made.stdout[:11]
    assert (desk["tenant"], desk["scopes"], desk["collections"]) == ("acme", ["ask"], None)
    assert desk["month_usd"] == "2.500000"
    assert desk["expires_at"] is not None
    assert desk["requests_per_minute"] is None


def test_a_publishable_key_has_limits_and_a_collection_without_being_told() -> None:
    made = json.loads(keys("create", "site", *PUBLISH, "--visitor-per-day", "9", "--json").stdout)
    assert made["key"].startswith("rag_pk_")
    site = listed()["site"]
    assert site["origins"] == ["https://www.example.org"]
    assert site["collections"] == ["default"]
    limits = ("requests_per_minute", "visitor_requests_per_minute", "visitor_questions_per_day")
    assert [site[name] for name in limits] == [600, 20, 9]


def test_a_revoked_key_is_shown_as_such() -> None:
    keys("create", "desk")
    keys("create", "site", *PUBLISH)
    revoked = keys("revoke", "desk")
    assert (revoked.stdout, revoked.stderr) == ("desk is revoked\n", "")
    assert "revoked 20" in keys("list").stdout
    assert listed()["desk"]["revoked_at"] is not None
    assert "the service asks for none" in keys("revoke", "site").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "desk", "--day-usd", "1x"), "--day-usd is '1x': give dollars"),
        (("create", "desk", "--scope", "all"), "the scope is 'all'"),
        (("create", "site", "--scope", "publish"), "give --origin"),
        (("revoke", "desk"), "there is no key 'desk'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = keys(*arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
