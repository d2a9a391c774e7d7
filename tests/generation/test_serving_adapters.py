"""LoRA adapters in the plan for vLLM: what is read of one, what it takes, and what is refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from generation.serving.adapters import RANKS, Adapter, read_adapter, served_rank
from generation.serving.command import arguments, arithmetic, command, options, settings
from generation.serving.gpus import gpu_named
from generation.serving.known_models import known_model
from generation.serving.ladder import Wish
from generation.serving.plan import Plan, make_plan
from rag.errors import InputError

QWEN = "Qwen/Qwen2.5-7B-Instruct"
WIDTH = 8_192 + 4_096
LAYER = "base_model.model.model.layers.0.self_attn"


def make_adapter(folder: Path, rank: int = 12, **config: Any) -> Path:
    """A folder as peft writes it, of two layers: 4,096 to 4,096 and 3,584 to 512."""
    folder.mkdir(exist_ok=True)
    told = {"peft_type": "LORA", "r": rank, "base_model_name_or_path": QWEN, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(told | config))
    weights = {
        f"{LAYER}.q_proj.lora_A.weight": np.zeros((rank, 4_096), np.float32),
        f"{LAYER}.q_proj.lora_B.weight": np.zeros((4_096, rank), np.float32),
        f"{LAYER}.k_proj.lora_A.weight": np.zeros((rank, 3_584), np.float32),
        f"{LAYER}.k_proj.lora_B.weight": np.zeros((512, rank), np.float32),
    }
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def plan_with(*adapters: Adapter, model: str = QWEN, **wish: Any) -> Plan:
    facts = known_model(model)
    assert facts is not None
    return make_plan(facts, gpu_named("L4"), Wish(adapters=adapters, **wish))


def test_rank_base_and_width_stand_in_the_folder(tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "taught")
    assert read_adapter("taught", folder) == Adapter("taught", folder.resolve(), QWEN, 12, WIDTH)


def test_a_larger_rank_of_some_layers_counts(tmp_path: Path) -> None:
    folder = make_adapter(tmp_path, 8, rank_pattern={"q_proj": 24})
    assert read_adapter("taught", folder).rank == 24


@pytest.mark.parametrize(("rank", "served"), [(1, 1), (2, 8), (8, 8), (12, 16), (257, 320)])
def test_the_server_takes_certain_ranks_only(rank: int, served: int) -> None:
    assert served_rank([Adapter("small", Path("a"), QWEN, 1, 1)]) == 1
    assert served_rank([Adapter("taught", Path("a"), QWEN, rank, 1)]) == served
    assert served in RANKS


def test_the_command_serves_it_and_the_settings_ask_for_it(tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "the adapter")
    plan = plan_with(read_adapter("taught", folder))
    words = arguments(plan)
    assert words[-5:-2] == ["--enable-lora", "--max-lora-rank", "16"]
    assert words[-2:] == ["--lora-modules", f"taught={folder}"]
    assert shlex.split(command(plan).replace("\\\n", "")) == words
    assert settings(plan)["RAG_LOCAL__MODEL"] == "taught"
    assert "rank 12" in next(one.why for one in options(plan) if one.name == "--max-lora-rank")


def test_two_may_answer_at_once(tmp_path: Path) -> None:
    folder = make_adapter(tmp_path)
    plan = plan_with(read_adapter("a", folder), read_adapter("b", folder))
    assert arguments(plan)[-6:-3] == ["16", "--max-loras", "2"]
    assert arguments(plan)[-3:] == ["--lora-modules", f"a={folder}", f"b={folder}"]


def test_the_cache_gives_the_room_that_they_take(tmp_path: Path) -> None:
    adapter = read_adapter("taught", make_adapter(tmp_path))
    plain, beside = plan_with(), plan_with(adapter)
    taken = 16 * WIDTH * 2  # of rank 16, which is served, in 16 bits
    assert beside.memory.adapter_bytes == taken
    assert plain.memory.kv_bytes - beside.memory.kv_bytes == taken
    assert plain.memory.kv_tokens > beside.memory.kv_tokens
    assert not [line for line in arithmetic(plain) if "adapter" in line]
    [line] = [line for line in arithmetic(beside) if "adapter" in line]
    assert f"1 x rank 16 x {WIDTH:,} inputs and outputs x 2 bytes" in line


def test_adapters_that_leave_no_room_are_named(tmp_path: Path) -> None:
    large = Adapter("taught", tmp_path, QWEN, 512, 20_000_000)
    with pytest.raises(InputError, match="weights, adapters, reserve and a sequence"):
        plan_with(large)


@pytest.mark.parametrize("model", [f"{QWEN}-AWQ", f"{QWEN}-GPTQ-Int4", "qwen2.5-7b-instruct"])
def test_other_weights_of_the_same_model_are_no_other_model(tmp_path: Path, model: str) -> None:
    plan = plan_with(read_adapter("taught", make_adapter(tmp_path)), model=model)
    assert "--enable-lora" in arguments(plan)


@pytest.mark.parametrize("base", ["Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-Coder-7B-Instruct", "", None])
def test_an_adapter_of_another_model_is_refused(tmp_path: Path, base: str | None) -> None:
    folder = make_adapter(tmp_path, base_model_name_or_path=base)
    with pytest.raises(InputError, match=f"was trained on .*, and the model is {QWEN}: ") as told:
        plan_with(read_adapter("taught", folder))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("names", [("a", "a"), (QWEN,), (QWEN.partition("/")[2],)])
def test_two_of_one_name_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = make_adapter(tmp_path)
    with pytest.raises(InputError, match="two are named"):
        plan_with(*(read_adapter(name, folder) for name in names))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"peft_type": "IA3"}, r"\(IA3, bias none\)"),
        ({"bias": "all"}, r"\(LORA, bias all\)"),
        ({"use_dora": True}, r"\(use_dora\)"),
        ({"modules_to_save": ["lm_head"]}, r"\(modules_to_save\)"),
        ({"r": 600}, r"has rank \[600\]: vLLM serves 1 to 512"),
        ({"r": None}, r"has rank \[None\]"),
        ({"rank_pattern": {"q_proj": 0}}, r"has rank \[12, 0\]"),
    ],
)
def test_what_vllm_does_not_serve_is_refused(
    tmp_path: Path, config: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        read_adapter("taught", make_adapter(tmp_path, **config))


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=r"holds no adapter_config\.json, so it is no adapter"):
            read_adapter("taught", folder)


@pytest.mark.parametrize("content", [b"", b"\x05\0\0\0\0\0\0\0[1,2]", b"\xff" * 40, None])
def test_broken_weights_are_refused(tmp_path: Path, content: bytes | None) -> None:
    weights = make_adapter(tmp_path) / "adapter_model.safetensors"
    weights.unlink() if content is None else weights.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        read_adapter("taught", tmp_path)


def test_an_adapter_without_weights_is_refused(tmp_path: Path) -> None:
    save_file({}, make_adapter(tmp_path) / "adapter_model.safetensors")
    with pytest.raises(InputError, match="holds no weights"):
        read_adapter("taught", tmp_path)


def test_a_name_that_the_server_would_misread_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reads a comma as JSON"):
        read_adapter("a,b", make_adapter(tmp_path))
