"""Settings: where they come from, and the one line that a wrong one gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings, load_settings, setting_paths, variable_name
from rag.errors import SettingsError


def test_with_nothing_set() -> None:
    settings = load_settings()
    assert settings.data_dir == Path(".rag")
    assert settings.collection == "default"
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert settings.embedding.model is None
    assert settings.retrieval.reranker is None


def test_every_setting_is_described() -> None:
    for path in setting_paths():
        model: Any = Settings
        for name in path[:-1]:
            model = model.model_fields[name].annotation
        assert model.model_fields[path[-1]].description, path


def test_caller_before_variable_before_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rag.toml").write_text(
        'collection = "file"\n[server]\nport = 1\nmax_body_bytes = 5000\n'
    )
    monkeypatch.setenv("RAG_SERVER__PORT", "2")
    monkeypatch.setenv("rag_retrieval__dense_share", "0.25")
    settings = load_settings({"server": {"host": "::1"}})
    assert settings.collection == "file"
    assert settings.retrieval.dense_share == 0.25
    assert settings.server.model_dump(include={"host", "port", "max_body_bytes"}) == {
        "host": "::1",
        "port": 2,
        "max_body_bytes": 5_000,
    }
    assert load_settings({"server": {"port": 3}}).server.port == 3


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_EMBEDDING__MODEL", "")
    monkeypatch.setenv("RAG_SERVER__PORT", "")
    assert load_settings() == Settings()


def test_hosts_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_SERVER__ALLOWED_HOSTS", "rag.example, other.example")
    assert load_settings().server.allowed_hosts == ("rag.example", "other.example")


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_DATA_DIR", "~/rag-data")
    assert load_settings().data_dir == Path.home() / "rag-data"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RAG_DATDIR", "x", "RAG_DATDIR is not a setting.*RAG_DATA_DIR"),
        ("RAG_SERVER_PORT", "1", "RAG_SERVER_PORT is not a setting.*RAG_SERVER__PORT"),
        ("RAG_SERVER__PRT", "1", "RAG_SERVER__PRT is not a setting.*RAG_SERVER__PORT"),
        ("rag_server__prt", "1", "rag_server__prt is not a setting"),
        ("RAG_LOCAL__URL", "http://x", "RAG_LOCAL__URL is not a setting"),
        ("RAG_SERVER", "{}", "RAG_SERVER is not a setting"),
        ("RAG_SERVER__PORT__X", "1", "RAG_SERVER__PORT__X is not a setting"),
        ("RAG_SERVER__PORT", "70000", "RAG_SERVER__PORT is '70000': .* equal to 65535"),
        ("RAG_SERVER__PORT", "http", "RAG_SERVER__PORT is 'http': "),
        ("RAG_SERVER__REDIS_URL", "http://u:p@x", "RAG_SERVER__REDIS_URL is not fit: give redis"),
        ("RAG_SERVER__REDIS_URL", "redis://", "RAG_SERVER__REDIS_URL is not fit: give redis"),
        ("RAG_RETRIEVAL__DENSE_SHARE", "1.5", "RAG_RETRIEVAL__DENSE_SHARE is '1.5': "),
        ("RAG_RETRIEVAL__DENSE_SHARE", "nan", "RAG_RETRIEVAL__DENSE_SHARE is 'nan': "),
        ("RAG_ANSWERS__ABSTAIN_BELOW", "-1", "RAG_ANSWERS__ABSTAIN_BELOW is '-1': "),
        ("RAG_CONTEXT__MAX_TOKENS", "0", "RAG_CONTEXT__MAX_TOKENS is '0': "),
        ("RAG_COLLECTION", "a/b", "RAG_COLLECTION is 'a/b': "),
        ("RAG_LOG__LEVEL", "loud", "RAG_LOG__LEVEL is 'loud': .*'debug', 'info'"),
        ("RAG_LOG__QUESTIONS", "maybe", "RAG_LOG__QUESTIONS is 'maybe': "),
        ("RAG_RETRIEVAL__CANDIDATES", "2", "retrieval.chunks is 10, more than.*raise"),
    ],
)
def test_wrong_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("prt = 1", "prt is not a setting.*nearest"),
        ("[server]\nprt = 1", "server.prt is not a setting.*server.port"),
        ("[sever]\nport = 1", "sever is not a setting"),
        ("[server]\nport = 99999", "server.port is 99999: .* 65535"),
        ("[server]\nport = ", "rag.toml is not valid TOML: "),
        ("server = 1", "server is 1: "),
        ("[server]\nallowed_hosts = 1", "server.allowed_hosts is 1: "),
    ],
)
def test_wrong_file(tmp_path: Path, toml: str, words: str) -> None:
    (tmp_path / "rag.toml").write_text(toml)
    with pytest.raises(SettingsError, match=words) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"rag\.toml is not valid TOML"):
        load_settings()


def test_variable_name() -> None:
    assert variable_name(("server", "port")) == "RAG_SERVER__PORT"


@pytest.mark.parametrize("setting", ["STORE__URL", "LOCAL__BASE_URL", "TRACING__ENDPOINT"])
def test_no_message_repeats_the_password_of_an_address(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(f"RAG_{setting}", "http://me:hunter2@127.0.0.1:9/v1")
    with pytest.raises(SettingsError, match=f"RAG_{setting} is not fit: ") as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)
