"""The token counter: the real vocabulary, from the installed package, with no network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import FAR_S

from compression.tokens import TiktokenCounter
from rag.ports import TokenCounter

ROOT = Path(__file__).resolve().parents[2]
COUNTER: TokenCounter = TiktokenCounter()
UNREACHABLE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("hello world", 2), ("\n\n", 1), ("日本語", 2)]
)
def test_counts(text: str, tokens: int) -> None:
    assert COUNTER.count(text) == tokens


@pytest.mark.parametrize("text", ["<|endoftext|>", "a<|endofprompt|>b", "<|endoftext|>" * 50])
def test_special_tokens_in_a_text_are_text(text: str) -> None:
    as_text = tiktoken.get_encoding("o200k_base").encode(text, disallowed_special=())
    assert COUNTER.count(text) == len(as_text) > text.count("<|")


def test_half_a_character_is_counted() -> None:
    assert COUNTER.count("a \ud83d b") > 0


def test_a_long_word_takes_no_long_time() -> None:
    assert COUNTER.count("x" * 200_000) > 1_000


@settings(max_examples=100)
@given(st.text(max_size=300))
def test_as_the_vocabulary_itself_counts(text: str) -> None:
    counted = COUNTER.count(text)
    assert counted == len(tiktoken.get_encoding("o200k_base").encode_ordinary(text))
    assert COUNTER.count(text) == counted, "the second time from memory"


def in_a_fresh_process(code: str, **variables: str) -> str:
    """The standard output, with every way to the network closed."""
    environment = {k: v for k, v in os.environ.items() if "TIKTOKEN" not in k and k != "DATA_GYM"}
    closed = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    environment |= dict.fromkeys(closed, UNREACHABLE) | {"PYTHONPATH": str(ROOT)}
    environment |= variables
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=FAR_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_needs_no_network_and_no_cache_of_its_own(tmp_path: Path) -> None:
    code = "from compression.tokens import TiktokenCounter; print(TiktokenCounter().count('a b c'))"
    assert in_a_fresh_process(code, TMPDIR=str(tmp_path), HOME=str(tmp_path)) == "3"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_the_operators_own_without_the_vocabulary_is_one_line(tmp_path: Path) -> None:
    code = """
from compression.tokens import TiktokenCounter
from rag.errors import ModelError
try:
    TiktokenCounter()
except ModelError as error:
    print(error)
"""
    message = in_a_fresh_process(code, TIKTOKEN_CACHE_DIR=str(tmp_path))
    assert str(tmp_path) in message
    assert "unset TIKTOKEN_CACHE_DIR" in message
    assert "\n" not in message
