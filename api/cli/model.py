"""`rag model`: how to serve a model on a GPU of one's own, why so, and starting it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import JsonOption, print_json, print_note
from rag.errors import InputError

if TYPE_CHECKING:
    from generation.serving.adapters import Adapter
    from generation.serving.facts import ModelFacts
    from generation.serving.gpus import Gpu
    from generation.serving.ladder import Wish
    from generation.serving.plan import Plan

_QUANTIZATIONS = ("none", "fp8", "awq", "gptq", "bitsandbytes")
_CACHES = ("auto", "fp8")
_GIGA = 1_000_000_000
_UNKNOWN_CAPABILITY = 8.0
_AROUND_THE_CONTEXT = 500
"""Tokens of a prompt besides its context: instructions, sources and the question."""

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model's name, or the folder that holds it.")
]
GpuOption = Annotated[
    str | None, typer.Option(help="GPU, such as L4; by default the one in this machine.")
]
MemoryOption = Annotated[
    float | None, typer.Option(help="Memory of the GPU in GB, for one that is not in the table.")
]
CapabilityOption = Annotated[
    float | None, typer.Option(help="Compute capability of that GPU; by default 8.0.")
]
GpusOption = Annotated[int, typer.Option(help="GPUs that share the model.")]
ContextOption = Annotated[
    int | None, typer.Option(help="Tokens that prompt and answer may have; by default 4,096.")
]
ConcurrentOption = Annotated[
    int, typer.Option(help="Questions at once that there shall be room for.")
]
QuantizationOption = Annotated[
    str | None, typer.Option(help=f"How weights are kept: {', '.join(_QUANTIZATIONS)}.")
]
CacheOption = Annotated[
    str | None, typer.Option("--kv-cache", help=f"How the cache is kept: {', '.join(_CACHES)}.")
]
UtilizationOption = Annotated[
    float, typer.Option(help="Share of the GPU's memory that vLLM may take.")
]
ParametersOption = Annotated[
    float | None, typer.Option(help="Billions of parameters, of a model that is not in the table.")
]
LayersOption = Annotated[int | None, typer.Option(help="Its layers.")]
KvHeadsOption = Annotated[int | None, typer.Option(help="Its heads for keys and values.")]
HeadDimOption = Annotated[int | None, typer.Option(help="Its dimensions of a head.")]
AdapterOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=FOLDER", help="A LoRA adapter to serve beside it; may be repeated."),
]
RunOption = Annotated[bool, typer.Option("--run", help="Start vLLM so, in place of this command.")]


def model(
    model: ModelArgument,
    *,
    gpu: GpuOption = None,
    memory_gb: MemoryOption = None,
    compute_capability: CapabilityOption = None,
    gpus: GpusOption = 1,
    context: ContextOption = None,
    concurrent: ConcurrentOption = 16,
    quantization: QuantizationOption = None,
    kv_cache: CacheOption = None,
    gpu_memory_utilization: UtilizationOption = 0.92,
    parameters: ParametersOption = None,
    layers: LayersOption = None,
    kv_heads: KvHeadsOption = None,
    head_dim: HeadDimOption = None,
    adapter: AdapterOption = None,
    json: JsonOption = False,
    run: RunOption = False,
) -> None:
    """Choose how to serve a model on a GPU, print the command and why, and run it with --run."""
    from generation.serving.plan import make_plan

    if json and run:
        raise InputError("--json prints the plan and --run starts it: leave one of the two out")
    told = {
        "--parameters": parameters,
        "--layers": layers,
        "--kv-heads": kv_heads,
        "--head-dim": head_dim,
    }
    wish = _wish(
        concurrent=concurrent,
        gpus=gpus,
        context=context,
        quantization=_one_of("--quantization", quantization, _QUANTIZATIONS),
        cache=_one_of("--kv-cache", kv_cache, _CACHES),
        utilization=gpu_memory_utilization,
        adapters=_adapters(adapter or []),
    )
    facts = _facts(model, told)
    plan = make_plan(facts, _gpu(gpu, memory_gb, compute_capability), wish)
    if run:
        _run(plan)
    elif json:
        print_json(_as_json(plan))
    else:
        _print(plan)


def _wish(**wanted: Any) -> Wish:
    """With the size of a question that follows from the settings."""
    from api.settings import load_settings
    from generation.serving.ladder import Wish

    settings = load_settings()
    return Wish(
        prompt_tokens=settings.context.max_tokens + _AROUND_THE_CONTEXT,
        output_tokens=settings.local.max_output_tokens,
        **wanted,
    )


def _adapters(told: list[str]) -> tuple[Adapter, ...]:
    """The adapters as NAME=FOLDER names them. Raises InputError."""
    from generation.serving.adapters import read_adapter

    adapters = []
    for one in told:
        name, _, folder = one.partition("=")
        if not name or not folder:
            raise InputError(f"--adapter is {one!r}: give NAME=FOLDER, such as taught=./adapter")
        adapters.append(read_adapter(name, Path(folder)))
    return tuple(adapters)


def _one_of(option: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        raise InputError(f"{option} is {value!r}: give one of {', '.join(allowed)}")
    return value


def _facts(model: str, told: dict[str, float | None]) -> ModelFacts:
    """The facts of the folder, of the table, or as told."""
    from generation.serving.facts import facts_as_told, facts_in_folder
    from generation.serving.known_models import known_model, unknown_model

    folder = Path(model).expanduser()
    named = {option: value for option, value in told.items() if value is not None}
    known = facts_in_folder(folder) if folder.is_dir() else known_model(model)
    if known is not None:
        if named:
            raise InputError(
                f"{model} is known from {known.source}: leave {' and '.join(named)} out"
            )
        return known
    if model.endswith(".gguf"):
        raise InputError(f"{model} is a GGUF file, which vLLM does not serve: use llama.cpp for it")
    if not named:
        if folder.is_absolute() or model.startswith("."):
            raise InputError(f"{model} is not a folder: give one that holds a model, or a name")
        raise unknown_model(model)
    if missing := [option for option in told if option not in named]:
        raise InputError(f"the model {model!r} is not in the table: give {', '.join(missing)} too")
    return facts_as_told(model, **{option[2:].replace("-", "_"): n for option, n in named.items()})


def _gpu(name: str | None, memory_gb: float | None, capability: float | None) -> Gpu:
    """The GPU that is named, described, or here. Raises InputError."""
    from dataclasses import replace

    from generation.serving.gpus import Gpu, find_gpus, gpu_named
    from rag.errors import RangeError

    if memory_gb is not None and not 1 <= memory_gb <= 10_000:
        raise RangeError("--memory-gb", memory_gb, 1, 10_000)
    if name is None and memory_gb is not None:
        if capability is None:
            print_note(f"taken for a GPU of compute capability {_UNKNOWN_CAPABILITY}")
        return Gpu("the GPU", int(memory_gb * _GIGA), capability or _UNKNOWN_CAPABILITY)
    if capability is not None:
        raise InputError("--compute-capability goes with --memory-gb: give both, or --gpu alone")
    if name is None:
        found = find_gpus()
        if not found:
            raise InputError(
                "nvidia-smi finds no GPU on this machine: give --gpu NAME or --memory-gb N"
            )
        return found[0]
    gpu = gpu_named(name)
    if memory_gb is None:
        return gpu
    if memory_gb * _GIGA > gpu.memory_bytes:
        raise InputError(
            f"--memory-gb is {memory_gb:g}, and {gpu.name} has {gpu.memory_bytes / _GIGA:.1f}: "
            "give less, for a part of it, or leave one of the two out"
        )
    return replace(gpu, memory_bytes=int(memory_gb * _GIGA))


def _print(plan: Plan) -> None:
    """The command, the settings, and the reasons."""
    from generation.serving.command import arithmetic, command, notes, options, settings

    typer.echo(f"{command(plan)}\n")
    for name, value in settings(plan).items():
        typer.echo(f"{name}={value}" if value else f"# {name}=  (yours to fill in)")
    typer.echo(f"\nwhy {plan.rung.quantization}: {plan.rung.why}")
    for option in options(plan):
        typer.echo(f"  {' '.join(option.words)}: {option.why}")
    typer.echo(f"why it fits, by {plan.facts.source}:")
    for line in arithmetic(plan):
        typer.echo(f"  {line}")
    for note in notes(plan):
        print_note(note)


def _as_json(plan: Plan) -> dict[str, Any]:
    from dataclasses import asdict

    from generation.serving.command import arguments, arithmetic, notes, options, settings

    memory = plan.memory
    return {
        "model": plan.rung.model,
        "gpu": asdict(plan.gpu),
        "gpus": plan.wish.gpus,
        "quantization": plan.rung.quantization,
        "why": plan.rung.why,
        "arguments": arguments(plan),
        "options": [asdict(option) for option in options(plan)],
        "settings": settings(plan),
        "memory": {
            **asdict(memory),
            "kv_bytes": memory.kv_bytes,
            "questions": memory.questions,
        },
        "arithmetic": arithmetic(plan),
        "notes": list(notes(plan)),
    }


def _run(plan: Plan) -> None:
    """Become vLLM. Raises MissingExtraError without it, and InputError without the GPUs."""
    import os
    import shutil
    import sys

    from generation.serving.command import arguments, command, notes
    from generation.serving.gpus import find_gpus
    from rag.errors import MissingExtraError

    found = len(find_gpus())
    if found < plan.wish.gpus:
        raise InputError(
            f"nvidia-smi finds {found} GPUs on this machine, and the plan needs {plan.wish.gpus}: "
            "run the printed command on the machine that has them"
        )
    program = shutil.which("vllm")
    if program is None:
        raise MissingExtraError(
            "vLLM (the command `vllm`)",
            "python3 -m venv vllm && vllm/bin/pip install vllm && export PATH=$PWD/vllm/bin:$PATH",
        )
    for note in (*notes(plan), f"starting\n{command(plan)}"):
        print_note(note)
    sys.stdout.flush()
    os.execv(program, arguments(plan))  # noqa: S606
