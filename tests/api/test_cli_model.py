"""`rag model`: what it prints, which GPU it finds, and that it becomes vLLM with --run.

`nvidia-smi` and `vllm` are small programs on the path here, started as the real ones are.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_fakes import fake_application
from patience import FAR_S
from safetensors.numpy import save_file
from typer.testing import CliRunner

from api.cli.main import make_app
from api.settings import setting_paths, variable_name

QWEN = "Qwen/Qwen2.5-7B-Instruct"
L4 = "NVIDIA L4, 23034, 8.9, 72.00"


class Shell:
    """A shell in an empty folder, with programs of ours on its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.variables: dict[str, str] = {}

    def has(self, name: str, script: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def has_gpus(self, *lines: str) -> None:
        self.has("nvidia-smi", "\n".join(f"echo '{line}'" for line in lines))

    def rag(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = "from api.cli.main import run; run()"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
        root = str(Path(__file__).resolve().parents[2])
        return subprocess.run(
            [sys.executable, "-c", code, "model", *arguments],
            cwd=self.folder,
            env=kept | {"PATH": str(self.programs), "PYTHONPATH": root} | self.variables,
            capture_output=True,
            text=True,
            timeout=FAR_S,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self.rag(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def error(self, *arguments: str) -> str:
        done = self.rag(*arguments)
        assert done.returncode == 1, done.stdout
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line.removeprefix("error: ")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_it_prints_a_command_the_settings_and_why(shell: Shell) -> None:
    done = shell.rag(QWEN, "--gpu", "L4")
    assert done.returncode == 0, done.stderr
    first, told, why = done.stdout.split("\n\n", 2)
    words = shlex.split(first.replace("\\\n", ""))
    assert words[:3] == ["vllm", "serve", QWEN]
    assert words == shell.json(QWEN, "--gpu", "L4")["arguments"]
    assert "RAG_LOCAL__BASE_URL=http://127.0.0.1:8001/v1" in told.splitlines()
    assert f"RAG_LOCAL__MODEL={QWEN}" in told.splitlines()
    assert "# RAG_LOCAL__GPU_USD_PER_HOUR=" in told
    for word in words:
        assert not word.startswith("--") or f"  {word}" in why
    assert "= 57,344 bytes" in why


def test_the_settings_that_it_prints_exist(shell: Shell) -> None:
    known = {variable_name(path) for path in setting_paths()}
    assert set(shell.json(QWEN, "--gpu", "L4")["settings"]) <= known


def test_questions_are_as_long_as_the_settings_say(shell: Shell) -> None:
    assert shell.json(QWEN, "--gpu", "L4")["memory"]["question_tokens"] == 1_900
    shell.variables = {"RAG_CONTEXT__MAX_TOKENS": "3000", "RAG_LOCAL__MAX_OUTPUT_TOKENS": "900"}
    assert shell.json(QWEN, "--gpu", "L4")["memory"]["question_tokens"] == 4_400


def test_the_gpu_of_this_machine_is_found(shell: Shell) -> None:
    assert "give --gpu NAME or --memory-gb N" in shell.error(QWEN)
    shell.has_gpus(L4, L4)
    gpu = shell.json(QWEN)["gpu"]
    assert gpu == {"name": "L4", "memory_bytes": 23_034 * 1024**2, "capability": 8.9, "watts": 72}
    shell.has("nvidia-smi", "echo 'No devices were found'; exit 6")
    assert "finds no GPU" in shell.error(QWEN)


def test_a_gpu_may_be_told_by_its_memory(shell: Shell) -> None:
    done = shell.rag(QWEN, "--memory-gb", "24")
    assert done.returncode == 0
    assert "compute capability 8.0" in done.stderr
    plan = shell.json("phi-4", "--memory-gb", "24", "--compute-capability", "8.9")
    assert plan["quantization"] == "bitsandbytes"
    part = shell.json("qwen3-0.6b", "--gpu", "H100", "--memory-gb", "10")
    assert part["gpu"]["memory_bytes"] == 10_000_000_000


def test_a_model_may_be_told_by_its_numbers_or_its_folder(shell: Shell) -> None:
    numbers = ("--parameters", "7.6", "--layers", "28", "--kv-heads", "4", "--head-dim", "128")
    assert shell.json("my/own", "--gpu", "L4", *numbers)["memory"]["kv_bytes_per_token"] == 57_344
    folder = shell.folder / "small"
    folder.mkdir()
    config = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    (folder / "model.safetensors").write_bytes(b"\0" * 60_000)
    done = shell.rag("./small", "--gpu", "T4", "--context", "1950")
    assert done.returncode == 0, done.stderr
    assert "--served-model-name small" in done.stdout
    assert "RAG_LOCAL__MODEL=small" in done.stdout


def test_an_adapter_is_served_beside_its_model_and_named_in_the_settings(shell: Shell) -> None:
    folder = shell.folder / "adapter"
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 16, "base_model_name_or_path": QWEN}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    layer = {name: np.zeros((16, 16), np.float32) for name in ("q.lora_A", "q.lora_B")}
    save_file(layer, folder / "adapter_model.safetensors")
    plan = shell.json(QWEN, "--gpu", "L4", "--adapter", "taught=adapter")
    assert plan["arguments"][-2:] == ["--lora-modules", f"taught={folder}"]
    assert plan["settings"]["RAG_LOCAL__MODEL"] == "taught"
    assert plan["memory"]["adapter_bytes"] == 16 * 32 * 2
    shown = shell.rag(QWEN, "--gpu", "L4", "--adapter", "taught=adapter").stdout
    assert f"who asks for taught gets that one, and who asks for {QWEN} none" in shown
    told = shell.error("qwen3-8b", "--gpu", "L4", "--adapter", "taught=adapter")
    assert f"was trained on {QWEN}, and the model is Qwen/Qwen3-8B" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody/knows", "--gpu", "L4"), "is not in the table of known models"),
        (("./nowhere", "--gpu", "L4"), "is not a folder"),
        (("model.gguf", "--gpu", "L4"), "use llama.cpp"),
        (("nobody/knows", "--gpu", "L4", "--layers", "3"), "give --parameters, --kv-heads"),
        ((QWEN, "--gpu", "L4", "--layers", "3"), "leave --layers out"),
        ((QWEN, "--gpu", "L5"), "give one of T4"),
        ((QWEN, "--memory-gb", "-3"), "--memory-gb is -3"),
        ((QWEN, "--gpu", "L4", "--memory-gb", "80"), "L4 has 24.2"),
        ((QWEN, "--gpu", "L4", "--compute-capability", "9"), "goes with --memory-gb"),
        ((QWEN, "--gpu", "L4", "--quantization", "q4"), "give one of none, fp8, awq"),
        ((QWEN, "--gpu", "L4", "--kv-cache", "fp4"), "give one of auto, fp8"),
        ((QWEN, "--gpu", "L4", "--json", "--run"), "leave one of the two out"),
        ((QWEN, "--gpu", "L4", "--concurrent", "0"), "--concurrent is 0"),
        (("llama-3.1-70b-instruct", "--gpu", "T4"), "GB are missing: take"),
        ((QWEN, "--gpu", "L4", "--adapter", "./adapter"), "give NAME=FOLDER"),
        ((QWEN, "--gpu", "L4", "--adapter", "taught="), "give NAME=FOLDER"),
        ((QWEN, "--gpu", "L4", "--adapter", "taught=./nowhere"), "holds no adapter_config.json"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(arguments: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(make_app(fake_application), ["model", *arguments])
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert told in line


def test_run_becomes_vllm(shell: Shell) -> None:
    shell.has_gpus(L4)
    shell.has("vllm", 'printf "%s\\n" "$@"; exit 7')
    done = shell.rag(QWEN, "--run")
    assert done.returncode == 7
    assert ["vllm", *done.stdout.splitlines()] == shell.json(QWEN)["arguments"]
    assert "note: starting" in done.stderr


def test_run_needs_vllm_and_the_gpus(shell: Shell) -> None:
    assert "finds 0 GPUs on this machine" in shell.error(QWEN, "--gpu", "L4", "--run")
    shell.has_gpus(L4)
    assert "pip install vllm" in shell.error(QWEN, "--run")
    assert "finds 1 GPUs" in shell.error(QWEN, "--gpus", "2", "--run")
