"""How a local model is served: facts, memory, what is chosen and why, and what cannot be."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generation.serving.command import arguments, arithmetic, command, notes, options, settings
from generation.serving.facts import ModelFacts, facts_as_told, facts_in_folder
from generation.serving.gpus import GPUS, Gpu, gpu_named
from generation.serving.known_models import KNOWN_MODELS, known_model, unknown_model
from generation.serving.ladder import Wish
from generation.serving.memory import BLOCK_TOKENS, kv_bytes_per_token, weight_bytes
from generation.serving.plan import MOST_SEQUENCES, Plan, make_plan
from rag.errors import InputError, RangeError

STATED_BILLIONS = {
    "Qwen/Qwen2.5-0.5B-Instruct": 0.49,
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54,
    "Qwen/Qwen2.5-3B-Instruct": 3.09,
    "Qwen/Qwen2.5-7B-Instruct": 7.61,
    "Qwen/Qwen2.5-14B-Instruct": 14.7,
    "Qwen/Qwen2.5-32B-Instruct": 32.5,
    "Qwen/Qwen2.5-72B-Instruct": 72.7,
    "Qwen/Qwen3-0.6B": 0.6,
    "Qwen/Qwen3-1.7B": 1.7,
    "Qwen/Qwen3-4B": 4.0,
    "Qwen/Qwen3-8B": 8.2,
    "Qwen/Qwen3-14B": 14.8,
    "Qwen/Qwen3-32B": 32.8,
    "Qwen/Qwen3-4B-Instruct-2507": 4.0,
    "meta-llama/Llama-3.2-1B-Instruct": 1.23,
    "meta-llama/Llama-3.2-3B-Instruct": 3.21,
    "meta-llama/Llama-3.1-8B-Instruct": 8.03,
    "meta-llama/Llama-3.1-70B-Instruct": 70.6,
    "meta-llama/Llama-3.3-70B-Instruct": 70.6,
    "mistralai/Mistral-7B-Instruct-v0.3": 7.25,
    "mistralai/Mistral-Nemo-Instruct-2407": 12.2,
    "mistralai/Mistral-Small-24B-Instruct-2501": 23.6,
    "google/gemma-2-9b-it": 9.24,
    "google/gemma-3-4b-it": 4.3,
    "google/gemma-3-12b-it": 12.2,
    "google/gemma-3-27b-it": 27.4,
    "microsoft/Phi-4-mini-instruct": 3.84,
    "microsoft/phi-4": 14.7,
}
"""Billions of parameters as the makers' pages state them."""

TINY = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": 8_192,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}


def known(name: str) -> ModelFacts:
    facts = known_model(name)
    assert facts is not None
    return facts


def plan_of(model: str, gpu: str, **wish: Any) -> Plan:
    return make_plan(known(model), gpu_named(gpu), Wish(**wish))


def value_of(plan: Plan, name: str) -> str | None:
    return next((option.value for option in options(plan) if option.name == name), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 30,000 parameters, its weights an index alone."""
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    index = {"metadata": {"total_size": 60_000}, "weight_map": {}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


def rewrite(folder: Path, **changes: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(TINY | changes))
    return folder


def test_parameters_follow_from_the_shapes_as_the_makers_state_them() -> None:
    assert {facts.name for facts in KNOWN_MODELS} == set(STATED_BILLIONS)
    for facts in KNOWN_MODELS:
        assert facts.parameters == pytest.approx(STATED_BILLIONS[facts.name] * 1e9, rel=0.015)


@pytest.mark.parametrize(
    ("checkpoint", "gigabytes"),
    [
        # the sizes of the safetensors files on their pages
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", 5.73),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", 5.57),
    ],
)
def test_quantized_weights_have_the_size_of_real_checkpoints(
    checkpoint: str, gigabytes: float
) -> None:
    facts = known(checkpoint)
    assert facts.quantized_as == "awq"
    assert weight_bytes(facts, "awq") == pytest.approx(gigabytes * 1e9, rel=0.01)


def test_a_token_of_the_cache_takes_what_the_papers_say() -> None:
    llama = known("llama-3.1-8b-instruct")
    assert kv_bytes_per_token(llama, "auto", 1) == 2 * 32 * 8 * 128 * 2 == 131_072
    assert kv_bytes_per_token(llama, "fp8", 1) == 65_536
    assert kv_bytes_per_token(llama, "auto", 4) == 32_768
    assert kv_bytes_per_token(llama, "auto", 16) == 16_384  # no less than a whole head


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
@pytest.mark.parametrize("gpus", [1, 2])
def test_a_plan_takes_no_more_than_there_is_or_says_what_would_help(gpu: Gpu, gpus: int) -> None:
    for facts in KNOWN_MODELS:
        try:
            plan = make_plan(facts, gpu, Wish(gpus=gpus))
        except InputError as error:
            message = str(error)
            assert "\n" not in message
            assert ": give " in message or ": take " in message
            continue
        memory = plan.memory
        kv = memory.kv_tokens * memory.kv_bytes_per_token
        assert memory.weight_bytes + memory.reserve_bytes + kv <= memory.usable_bytes
        assert memory.usable_bytes <= gpu.memory_bytes
        assert memory.kv_tokens % BLOCK_TOKENS == 0
        assert memory.kv_tokens >= plan.context >= Wish().question_tokens
        assert 1 <= plan.sequences <= MOST_SEQUENCES
        assert plan.batched_tokens >= plan.sequences  # else vLLM does not start


def test_the_most_exact_weights_with_room_win() -> None:
    chosen = {gpu: plan_of("llama-3.1-8b-instruct", gpu) for gpu in ("H100", "RTX 4090", "T4")}
    assert {gpu: plan.rung.quantization for gpu, plan in chosen.items()} == {
        "H100": "none",
        "RTX 4090": "none",
        "T4": "awq",
    }
    assert plan_of("llama-3.1-8b-instruct", "L4", concurrent=30).rung.quantization == "fp8"
    assert [line.split(":")[0] for line in chosen["T4"].tried] == ["none", "fp8"]
    assert chosen["T4"].rung.model == "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4"


def test_four_bits_are_made_on_the_way_only_where_no_checkpoint_is_known() -> None:
    plan = plan_of("phi-4", "A10G")
    assert plan.rung.quantization == "bitsandbytes"
    assert value_of(plan, "--quantization") == "bitsandbytes"
    assert any("vllm-bnb-plugin" in note for note in notes(plan))
    plan = plan_of("qwen2.5-14b-instruct", "A10G", quantization="gptq")
    assert plan.rung.model == "Qwen/Qwen2.5-14B-Instruct-GPTQ-Int4"
    assert value_of(plan, "--quantization") is None  # the checkpoint says so itself


def test_fp8_is_called_as_vllm_calls_it() -> None:
    assert value_of(plan_of("phi-4", "L4", quantization="fp8"), "--quantization") == (
        "fp8_per_tensor"
    )
    assert "FP8" in plan_of("phi-4", "L4", quantization="fp8").rung.why
    assert "unpacks" in plan_of("phi-4", "A10G", quantization="fp8").rung.why


def test_a_small_cache_is_the_last_resort_and_on_gpus_that_can_only() -> None:
    crowded = plan_of("phi-4", "RTX 4090", concurrent=60)
    assert (crowded.rung.quantization, crowded.cache) == ("bitsandbytes", "fp8")
    assert plan_of("phi-4", "RTX 3090", concurrent=60).cache == "auto"
    with pytest.raises(InputError, match=r"8\.9, and RTX 3090 has 8\.6"):
        plan_of("phi-4", "RTX 3090", cache="fp8")


def test_what_is_wanted_and_does_not_fit_at_once_is_told() -> None:
    plan = plan_of("qwen3-8b", "T4", concurrent=200)
    assert 1 <= plan.memory.questions < 200
    assert any("not the 200 wanted" in note for note in notes(plan))
    assert not any("wanted" in note for note in notes(plan_of("qwen3-8b", "T4")))


def test_an_old_gpu_gets_16_bits_of_the_kind_it_has() -> None:
    assert value_of(plan_of("qwen3-8b", "T4"), "--dtype") == "half"
    assert value_of(plan_of("qwen3-8b", "L4"), "--dtype") == "auto"
    with pytest.raises(InputError, match="bfloat16"):
        plan_of("gemma-3-4b-it", "T4")
    with pytest.raises(InputError, match=r"7\.5: take a newer GPU"):
        make_plan(known("qwen3-8b"), replace(gpu_named("T4"), capability=7.0), Wish())


def test_a_model_that_thinks_is_told_not_to() -> None:
    value = value_of(plan_of("qwen3-8b", "L4"), "--default-chat-template-kwargs")
    assert json.loads(value or "") == {"enable_thinking": False}
    for silent in ("qwen3-4b-instruct-2507", "phi-4"):
        assert value_of(plan_of(silent, "L4"), "--default-chat-template-kwargs") is None


def test_the_context_is_as_long_as_asked_or_as_usual_or_as_fits() -> None:
    assert plan_of("phi-4", "H100").context == 4_096
    assert plan_of("phi-4", "H100", prompt_tokens=6_000).context == 7_168
    assert plan_of("phi-4", "H100", context=16_000).context == 16_000
    with pytest.raises(InputError, match="16,384 tokens at most"):
        plan_of("phi-4", "H100", context=20_000)
    with pytest.raises(InputError, match="give 1,900 or more"):
        plan_of("phi-4", "H100", context=1_000)
    narrow = replace(gpu_named("L4"), memory_bytes=12_200_000_000)
    plan = make_plan(known("gemma-3-12b-it"), narrow, Wish())
    assert 1_900 <= plan.context == min(4_096, plan.memory.kv_tokens) < 4_096


def test_large_batches_are_for_large_and_new_gpus() -> None:
    batched = {gpu: plan_of("phi-4", gpu).batched_tokens for gpu in ("H100", "A100-80GB", "L4")}
    assert batched == {"H100": 8_192, "A100-80GB": 2_048, "L4": 2_048}


def test_gpus_share_a_model_by_its_heads() -> None:
    plan = plan_of("llama-3.3-70b-instruct", "H100", gpus=4)
    assert value_of(plan, "--tensor-parallel-size") == "4"
    assert plan.memory.weight_bytes == weight_bytes(plan.facts, "none") // 4
    assert value_of(plan_of("phi-4", "H100"), "--tensor-parallel-size") is None
    with pytest.raises(InputError, match="give --gpus 1, 2, 4"):
        plan_of("qwen2.5-7b-instruct", "L4", gpus=3)


def test_too_little_memory_tells_how_much_and_what_would_fit() -> None:
    with pytest.raises(InputError) as caught:
        plan_of("llama-3.1-70b-instruct", "L4")
    message = str(caught.value)
    assert "GB are missing: take --gpus 2 or a smaller model such as " in message
    smaller = message.rpartition(" ")[2]
    assert plan_of(smaller, "L4").memory.questions >= Wish().concurrent
    assert plan_of("llama-3.1-70b-instruct", "L4", gpus=2).memory.questions >= 1


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"quantization": "awq"}, "needs a checkpoint"),
        ({"concurrent": 0}, "--concurrent is 0"),
        ({"gpus": 0}, "--gpus is 0"),
        ({"context": -1}, "--context is -1"),
        ({"utilization": 1.2}, "--gpu-memory-utilization is 1.2"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(wish: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        plan_of("phi-4", "H100", **wish)


def test_a_quantized_checkpoint_stays_as_it_is() -> None:
    plan = plan_of("Qwen/Qwen3-8B-FP8", "H100")
    assert (plan.rung.model, plan.rung.quantization) == ("Qwen/Qwen3-8B-FP8", "fp8")
    assert value_of(plan, "--quantization") is None
    with pytest.raises(InputError, match="is quantized already, by fp8"):
        plan_of("Qwen/Qwen3-8B-FP8", "H100", quantization="awq")


@pytest.mark.parametrize("spelled", ["rtx 4090", "RTX-4090", "4090", "GeForce RTX 4090"])
def test_a_gpu_may_be_spelled_in_many_ways(spelled: str) -> None:
    assert gpu_named(spelled).name == "RTX 4090"


def test_an_unknown_gpu_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"T4, .*RTX 5090, or its memory"):
        gpu_named("Voodoo 2")
    with pytest.raises(InputError, match="give A100-40GB or A100-80GB"):
        gpu_named("a100")


def test_an_unknown_model_names_the_nearest_and_what_to_tell() -> None:
    message = str(unknown_model("Qwen/Qwen2.5-8B-Instruct"))
    assert "Qwen/Qwen2.5-7B-Instruct" in message
    assert "--parameters, --layers, --kv-heads and --head-dim" in message
    assert known_model("nobody/knows") is None
    assert known_model("") is None


def test_the_command_is_one_for_a_shell_and_its_arithmetic_is_shown() -> None:
    plan = plan_of("qwen3-8b", "T4")
    assert shlex.split(command(plan).replace("\\\n", "")) == arguments(plan)
    assert all(option.why for option in options(plan))
    shown = "\n".join(arithmetic(plan))
    assert "2 x 36 layers x 8 heads x 128 x 2 bytes = 147,456 bytes" in shown
    assert "1,500 tokens of prompt + 400 of answer = 1,900" in shown
    told = settings(plan)
    assert told["RAG_LOCAL__BASE_URL"].startswith("http://127.0.0.1:8001/")
    assert told["RAG_LOCAL__MODEL"] == "Qwen/Qwen3-8B-AWQ"
    assert told["RAG_LOCAL__MAX_CONCURRENT"] == value_of(plan, "--max-num-seqs")
    assert value_of(plan, "--host") == "127.0.0.1"


def test_the_facts_of_a_folder(folder: Path) -> None:
    facts = facts_in_folder(folder)
    assert (facts.parameters, facts.embedding_parameters) == (30_000, 12_800)
    assert (facts.layers, facts.kv_heads, facts.head_dim, facts.heads) == (2, 2, 16, 4)
    assert facts.max_context == 8_192
    assert not facts.quantized_as
    assert not facts.thinks
    plan = make_plan(facts, gpu_named("T4"), Wish())
    assert arguments(plan)[:3] == ["vllm", "serve", str(folder.resolve())]
    assert value_of(plan, "--served-model-name") == folder.name


def test_a_folder_with_weights_is_measured(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model.safetensors").write_bytes(b"\0" * 40_000)
    assert facts_in_folder(folder).parameters == 20_000
    rewrite(folder, torch_dtype=None, dtype="float32")
    assert facts_in_folder(folder).parameters == 10_000


def test_a_quantized_folder_keeps_its_size(folder: Path) -> None:
    facts = facts_in_folder(rewrite(folder, quantization_config={"quant_method": "awq"}))
    assert (facts.quantized_as, facts.weight_bytes) == ("awq", 60_000)
    assert weight_bytes(facts, "awq") == 60_000
    assert "as they lie in the checkpoint" in "".join(
        arithmetic(make_plan(facts, gpu_named("T4"), Wish()))
    )


def test_a_chat_template_that_can_think_is_noticed(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% if enable_thinking is false %}{% endif %}")
    assert facts_in_folder(folder).thinks


def test_a_model_that_sees_has_its_text_part_planned(folder: Path) -> None:
    text = {**TINY, "num_hidden_layers": 3, "head_dim": 32}
    config = {"model_type": "gemma3", "text_config": text}
    (folder / "config.json").write_text(json.dumps(config))
    facts = facts_in_folder(folder)
    assert (facts.layers, facts.head_dim) == (3, 32)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_hidden_layers": None}, "num_hidden_layers None"),
        ({"num_attention_heads": 0}, "num_attention_heads 0"),
        ({"hidden_size": "wide"}, "hidden_size 'wide'"),
        ({"kv_lora_rank": 512}, "multi-head latent attention"),
        ({"layer_types": ["full_attention", "mamba"]}, "mamba"),
        ({"quantization_config": {"bits": 8}}, "quant_method"),
        ({"num_attention_heads": 128}, "head_dim 0"),
        ({"vocab_size": True}, "vocab_size True"),
    ],
)
def test_a_folder_that_cannot_be_planned_says_why(
    folder: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        facts_in_folder(rewrite(folder, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.json", None, "config.json does not exist"),
        ("config.json", "{", "cannot be read as JSON"),
        ("config.json", "[]", "holds list"),
        ("model.safetensors.index.json", None, "no weights"),
        ("model.safetensors.index.json", "nothing", "cannot be read as JSON"),
        ("model.safetensors.index.json", "{}", "total_size None"),
    ],
)
def test_a_damaged_folder_says_what_is_wrong(
    folder: Path, file: str, content: str | None, told: str
) -> None:
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InputError, match=told):
        facts_in_folder(folder)


def test_a_model_may_be_told_in_numbers() -> None:
    facts = facts_as_told("my/own", parameters=7, layers=32, kv_heads=8, head_dim=128)
    plan = make_plan(facts, gpu_named("L4"), Wish())
    assert plan.memory.weight_bytes == 14_000_000_000
    with pytest.raises(RangeError, match="--layers is 0"):
        facts_as_told("my/own", parameters=7, layers=0, kv_heads=8, head_dim=128)
