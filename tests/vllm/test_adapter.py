"""The recipe for LoRA on the small model, and its adapter on the real vLLM server."""

from __future__ import annotations

import json
import random
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from made_lessons import finetune, made_lessons, write_lessons
from model_contract import make_model_call, read_all, text_of
from patience import FAR_S
from tokenizers import Tokenizer

from benchmarks.vllm_server import MODEL, VllmServer, missing
from generation.providers.openai_chat import OpenAIChatModel
from rag.calls import Prompt

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def losses_told(printed: str) -> tuple[float, float]:
    found = re.search(r"([\d.]+) before, ([\d.]+) after; lower on (\d+) of (\d+)", printed)
    assert found is not None, printed
    return float(found[1]), float(found[2])


def asked_of(lesson: dict[str, Any]) -> tuple[Prompt, str]:
    """The prompt, and the answer that was to be learned."""
    system, user, answer = (message["content"] for message in lesson["messages"])
    return Prompt("test-1", system, user), answer


def test_what_was_held_out_is_learned_too(taught: tuple[Path, str]) -> None:
    folder, printed = taught
    assert "40 lessons: 36 to learn, 4 held out, 0 left out" in printed
    before, after = losses_told(printed)
    assert after < before / 2
    assert (folder / "adapter_model.safetensors").is_file()
    assert f"to serve it: rag model {folder.parent / 'model'} --adapter taught={folder}" in printed


def test_the_server_lists_the_adapter_beside_its_model(
    vllm: VllmServer, taught: tuple[Path, str]
) -> None:
    with urllib.request.urlopen(f"{vllm.url}/models", timeout=FAR_S) as told:
        listed = {model["id"]: model["parent"] for model in json.load(told)["data"]}
    assert listed == {MODEL: None, taught[0].name: MODEL}


async def test_the_adapter_answers_as_it_was_taught_and_the_model_does_not(
    vllm: VllmServer, vllm_model: OpenAIChatModel
) -> None:
    adapted = OpenAIChatModel(vllm.url, "taught", None, provider="vllm", timeout_s=300)
    right = {"taught": 0, MODEL: 0}
    for lesson in made_lessons()[:10]:
        prompt, answer = asked_of(lesson)
        call = make_model_call(prompt.user, len(answer), prompt.system)
        for model in (adapted, vllm_model):
            text = text_of(await read_all(model, call))
            right[model.model or ""] += "steps [1]" in text and text.startswith("The ")
    await adapted.close()
    assert right["taught"] >= 9
    assert right[MODEL] == 0


def test_the_server_finds_answers_as_likely_as_the_recipe_did(
    vllm: VllmServer, taught: tuple[Path, str]
) -> None:
    lessons = made_lessons()
    random.Random(0).shuffle(lessons)  # the recipe holds out the first four of these
    for model, told in zip((MODEL, "taught"), losses_told(taught[1]), strict=True):
        losses = [loss_on_server(vllm, model, *asked_of(lesson)) for lesson in lessons[:4]]
        # the server calculates in 16 bits
        assert sum(losses) / len(losses) == pytest.approx(told, rel=0.05)


def loss_on_server(vllm: VllmServer, model: str, prompt: Prompt, answer: str) -> float:
    """The mean negative log-probability that the server gives a token of `answer`."""
    tokenizer = Tokenizer.from_file(str(vllm.model_folder / "tokenizer.json"))
    asked = vllm.token_ids(prompt)
    tokens = asked + list(tokenizer.encode(f"{answer}<|end|>\n").ids)
    body = {"model": model, "prompt": tokens, "max_tokens": 1, "prompt_logprobs": 0}
    request = urllib.request.Request(
        f"{vllm.url}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=FAR_S) as told:
        likely = json.load(told)["choices"][0]["prompt_logprobs"]
    found = [one[str(token)]["logprob"] for one, token in zip(likely, tokens, strict=True) if one]
    answered = found[len(asked) - 1 :]  # the first token of all has none
    return -sum(answered) / len(answered)


class TestRefused:
    """What no adapter comes of: the exit status is 1, and one line says why."""

    @pytest.fixture
    def lessons(self, tmp_path: Path) -> Path:
        return write_lessons(tmp_path / "lessons.jsonl", made_lessons())

    def refused(self, lessons: Path, model: Path, *more: str) -> str:
        output = lessons.parent / "adapter"
        status, _, told = finetune(lessons, model, output, *more)
        assert status == 1
        assert not list(output.glob("*"))
        assert "Traceback" not in told
        return told.splitlines()[-1]

    def test_one_that_is_not_better(self, lessons: Path, model_folder: Path) -> None:
        told = self.refused(lessons, model_folder, "--learning-rate", "1", "--epochs", "1")
        assert told.startswith("error: the adapter is NOT better than the model")

    def test_lessons_that_are_too_long(self, lessons: Path, model_folder: Path) -> None:
        rows = [*made_lessons(9), *made_lessons(2)]
        for row in rows[9:]:
            row["messages"][1]["content"] *= 30
        write_lessons(lessons, rows)
        told = self.refused(lessons, model_folder, "--max-tokens", "500")
        assert "9 of 11 lessons have 500 tokens or fewer, and 10 are needed" in told

    def test_a_model_without_a_chat_template(self, lessons: Path, model_folder: Path) -> None:
        plain = lessons.parent / "plain"
        shutil.copytree(model_folder, plain)
        (plain / "chat_template.jinja").unlink()
        told = self.refused(lessons, plain)
        assert f"the model {plain} has no chat template" in told

    def test_a_folder_that_holds_no_model(self, lessons: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        told = self.refused(lessons, tmp_path / "empty")
        assert told.startswith(f"error: the model {tmp_path / 'empty'} cannot be loaded: ")
