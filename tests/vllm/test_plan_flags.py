"""The options of `rag model` and of docker-compose.yml are ones that the real vLLM takes.

Its own parser reads them, in its own environment; nothing is started.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from patience import FAR_S

from benchmarks.vllm_server import PYTHON, missing
from generation.serving.adapters import Adapter
from generation.serving.command import arguments, options
from generation.serving.gpus import gpu_named
from generation.serving.known_models import known_model
from generation.serving.ladder import Wish
from generation.serving.memory import BLOCK_TOKENS
from generation.serving.plan import Plan, make_plan

ROOT = Path(__file__).resolve().parents[2]
READ = """
import json, sys
from dataclasses import asdict, is_dataclass
from typing import get_args
from vllm.config.cache import CacheConfig, CacheDType
from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
from vllm.utils.argparse_utils import FlexibleArgumentParser

parser = FlexibleArgumentParser()
ServeSubcommand().subparser_init(parser.add_subparsers())
read = [vars(parser.parse_args(words)) for words in json.load(sys.stdin)]
print("READ", json.dumps({
    "read": read,
    "quantizations": QUANTIZATION_METHODS,
    "caches": get_args(CacheDType),
    "block": CacheConfig.DEFAULT_BLOCK_SIZE,
}, default=lambda one: asdict(one) if is_dataclass(one) else str(one)))
"""

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def plans() -> list[Plan]:
    """Plans that have, together, every option that there is."""
    adapters = tuple(
        Adapter(name, Path("/adapters") / f"the {name}", "Qwen/Qwen3-8B", rank, 10_000)
        for name, rank in (("taught", 12), ("other", 257))
    )
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        ("qwen3-8b", "T4", {}),
        ("qwen3-8b", "L4", {"adapters": adapters}),
        ("phi-4", "L4", {"quantization": "fp8"}),
        ("phi-4", "RTX 4090", {"concurrent": 60}),
        ("llama-3.3-70b-instruct", "H100", {"gpus": 4, "utilization": 0.8}),
    ]
    made = []
    for name, gpu, wish in wanted:
        facts = known_model(name)
        assert facts is not None
        made.append(make_plan(facts, gpu_named(gpu), Wish(**wish)))
    return made


def composed() -> list[str]:
    """The command of docker-compose.yml, as Compose makes words of it."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["vllm"]
    return ["serve", *shlex.split(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", service["command"]))]


@pytest.fixture(scope="module")
def understood() -> Any:
    """What vLLM's parser makes of the commands."""
    commands = [*(arguments(plan)[1:] for plan in plans()), composed()]
    done = subprocess.run(
        [str(PYTHON), "-c", READ],
        input=json.dumps(commands),
        env={name: value for name, value in os.environ.items() if not name.startswith("VLLM_")},
        capture_output=True,
        text=True,
        timeout=FAR_S,
        check=False,
    )
    [line] = [line for line in done.stdout.splitlines() if line.startswith("READ ")] or [""]
    assert line, done.stderr[-2_000:]
    return json.loads(line.removeprefix("READ "))


def test_vllm_reads_every_option_as_it_was_meant(understood: Any) -> None:
    for plan, read in zip(plans(), understood["read"], strict=False):
        assert read["model_tag"] == plan.rung.model
        for option in options(plan):
            found = read[option.name.removeprefix("--").replace("-", "_")]
            if option.name == "--default-chat-template-kwargs":
                assert found == json.loads(option.value)
            elif option.name == "--lora-modules":
                told = [f"{one.name}={one.folder}" for one in plan.wish.adapters]
                assert [f"{one['name']}={one['path']}" for one in found] == told
            else:
                assert str(found) == (option.value or "True"), option.name


def test_vllm_reads_the_command_of_the_container(understood: Any) -> None:
    read = understood["read"][-1]
    assert (read["host"], read["port"]) == ("0.0.0.0", 8001)
    assert read["enable_prefix_caching"]
    assert read["enable_prompt_tokens_details"]


def test_vllm_knows_the_ways_to_quantize(understood: Any) -> None:
    used = {o.value for plan in plans() for o in options(plan) if o.name == "--quantization"}
    assert used == {"fp8_per_tensor", "bitsandbytes"}
    assert "fp8_per_tensor" in understood["quantizations"]
    # the plugin that a note of the plan names brings it back
    assert "bitsandbytes" not in understood["quantizations"]
    assert {"auto", "fp8"} <= set(understood["caches"])
    assert understood["block"] == BLOCK_TOKENS
