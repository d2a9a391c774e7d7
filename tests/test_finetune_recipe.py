"""What deploy/finetune_lora.py refuses before it loads a model; tests/vllm has the rest.

It runs in an interpreter without packages: to refuse, it needs none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import FAR_S

RECIPE = Path(__file__).resolve().parents[1] / "deploy" / "finetune_lora.py"
LESSON = {
    "messages": [
        {"role": "system", "content": "Answer from the sources."},
        {"role": "user", "content": "[1] The tower is old.\n\nHow old is the tower?"},
        {"role": "assistant", "content": "It is old [1]."},
    ]
}


def without(role: str) -> dict[str, Any]:
    return {"messages": [one for one in LESSON["messages"] if one["role"] != role]}


class Recipe:
    """The recipe in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lessons = folder / "lessons.jsonl"
        self.has(*[LESSON] * 10)

    def has(self, *rows: Any) -> None:
        self.lessons.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        arguments = [str(self.lessons), "--model", "none", "--output", "adapter", *more]
        return subprocess.run(
            [sys.executable, "-I", "-S", str(RECIPE), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=FAR_S,
            check=False,
        )

    def refused(self, *more: str) -> str:
        done = self.run(*more)
        assert done.returncode == 1
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line.removeprefix("error: ")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


def test_a_missing_package_is_named_with_what_installs_it(recipe: Recipe) -> None:
    told = "peft is missing: run pip install torch 'transformers>=5.19,<6' 'peft>=0.21'"
    assert recipe.refused() == told


def test_a_file_that_is_not_there(recipe: Recipe) -> None:
    recipe.lessons.unlink()
    assert f"{recipe.lessons} cannot be read: " in recipe.refused()


def test_a_file_that_is_no_text(recipe: Recipe) -> None:
    recipe.lessons.write_bytes(b"\xff\xfe\x00")
    assert f"{recipe.lessons} cannot be read: " in recipe.refused()


@pytest.mark.parametrize("count", [0, 9])
def test_too_few_lessons(recipe: Recipe, count: int) -> None:
    recipe.has(*[LESSON] * count)
    assert f"has {count} lessons, and 10 are needed" in recipe.refused()


@pytest.mark.parametrize(
    "broken",
    [
        without("assistant"),
        without("user"),
        {"messages": []},
        {"messages": LESSON["messages"] * 2},
        {"messages": [*LESSON["messages"][:2], {"role": "assistant", "content": " "}]},
        {"messages": [*LESSON["messages"][:2], {"role": "assistant", "content": 5}]},
        {"messages": "none"},
        {"question": "How old?"},
        [1, 2],
        "text",
    ],
)
def test_a_broken_row_is_named_by_its_number(recipe: Recipe, broken: Any) -> None:
    recipe.has(LESSON, LESSON, broken, *[LESSON] * 10)
    assert recipe.refused().startswith(f"row 3 of {recipe.lessons} is no lesson")


def test_a_row_that_is_no_json(recipe: Recipe) -> None:
    recipe.lessons.write_text(f"{json.dumps(LESSON)}\n\n{{broken\n")
    assert recipe.refused().startswith(f"row 3 of {recipe.lessons} is no lesson")


def test_a_text_may_hold_other_ends_of_lines(recipe: Recipe) -> None:
    row = json.dumps(LESSON, ensure_ascii=False).replace("old.", "old\u2028\u0085.")
    recipe.lessons.write_text(f"{row}\n" * 10, "utf-8")
    assert "peft is missing" in recipe.refused()


def test_a_chat_without_a_system_is_a_lesson(recipe: Recipe) -> None:
    recipe.has(*[without("system")] * 10)
    assert "peft is missing" in recipe.refused()


def test_an_output_that_holds_something_is_left_alone(recipe: Recipe) -> None:
    output = recipe.folder / "adapter"
    output.mkdir()
    (output / "mine.txt").write_text("mine")
    assert recipe.refused() == "adapter is not empty: name a new folder"
    assert (output / "mine.txt").read_text() == "mine"


def test_an_output_that_cannot_be_made(recipe: Recipe) -> None:
    (recipe.folder / "file").write_text("")
    assert "cannot be made" in recipe.refused("--output", "file/adapter")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--epochs", "0", "it is '0': give a number from 0.01 to 1000"),
        ("--epochs", "nan", "it is 'nan': give a number"),
        ("--held-out", "0.9", "it is '0.9': give a number from 0.01 to 0.5"),
        ("--max-tokens", "many", "it is 'many': give a whole number from 16 to 1000000"),
        ("--learning-rate", "-1", "it is '-1': give a number"),
        ("--rank", "12", "invalid choice: 12"),
    ],
)
def test_a_number_out_of_range(recipe: Recipe, option: str, value: str, told: str) -> None:
    done = recipe.run(option, value)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert not (recipe.folder / "adapter").exists()
