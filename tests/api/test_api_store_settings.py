"""Settings of the store: their contradictions, and a key that is never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import make_app
from api.settings import load_settings
from rag.errors import SettingsError

URL = "http://127.0.0.1:6333"
KEY = "geheim-4711"


def test_without_a_server_the_chunks_stay_in_the_data_folder() -> None:
    store = load_settings().store
    assert (store.url, store.api_key) == (None, None)
    assert (store.name, store.shards, store.replicas) == ("thrifty_rag", 1, 1)


def test_a_key_alone_turns_on_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_STORE__API_KEY", KEY)
    assert load_settings().store.url is None


def test_a_key_that_is_no_text_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rag.toml").write_text(f'[store]\nurl = "{URL}"\napi_key = 4711\n')
    with pytest.raises(SettingsError, match=r"store\.api_key is ") as refused:
        load_settings()
    assert "4711" not in str(refused.value)


def test_more_replicas_to_write_than_there_are_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"write_consistency is 3, more than.*replicas 2"):
        load_settings({"store": {"url": URL, "replicas": 2, "write_consistency": 3}})


@pytest.mark.parametrize("url", ["127.0.0.1:6333", "ftp://host", "http://", "http://u:p@host"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"store\.url is .*: give http:// or https://"):
        load_settings({"store": {"url": url}})


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_the_configuration_hides_the_key(
    option: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_STORE__URL", URL)
    monkeypatch.setenv("RAG_STORE__API_KEY", KEY)
    shown = CliRunner().invoke(make_app(None), ["config", *option])
    assert shown.exit_code == 0
    assert URL in shown.output
    assert KEY not in shown.output
    if option:
        assert json.loads(shown.output)["settings"]["store"]["api_key"] == "**********"


def test_the_settings_themselves_do_not_show_the_key() -> None:
    settings = load_settings({"store": {"url": URL, "api_key": KEY}})
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()
