# ruff: noqa: T201
"""Teaches a model of your own what escalation taught, by LoRA, on the machine that has the GPU.

    rag distill export --output lessons.jsonl
    python deploy/finetune_lora.py lessons.jsonl --model Qwen/Qwen2.5-7B-Instruct --output adapter

It needs PyTorch, transformers and peft, and nothing else of Thrifty RAG. The loss is that of the
answers' tokens alone. A part of the lessons is held out: where the adapter is not better on them
than the model is, it is not written, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLES = ["system", "user", "assistant"]
RANKS = (8, 16, 32, 64, 128, 256)
"""Those that vLLM serves as they are; for others it takes the memory of the next."""
FEWEST = 10
"""Fewer lessons teach nothing, and hold out nothing that would tell."""
LESSONS_A_STEP = 8
IGNORED = -100
"""The label of a token that has no part in the loss."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A chat as the model reads it: all its tokens, of which the first `asked` are the question."""

    tokens: list[int]
    asked: int

    @property
    def labels(self) -> list[int]:
        """What is to be learned: the answer."""
        return [IGNORED] * self.asked + self.tokens[self.asked :]


def main() -> None:
    """Read, train, compare, write. Exits with one line where something is wrong."""
    told = read_arguments()
    chats = read_chats(told.lessons)
    make_folder(told.output)
    # one GPU, the first; PyTorch looks when it is imported
    os.environ["CUDA_VISIBLE_DEVICES"] = os.getenv("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    check_packages()
    import torch

    try:
        tokenizer, model = load(told.model)
        lessons = [read_lesson(tokenizer, chat) for chat in chats]
        held_out, training = split(lessons, told)
        adapted = with_adapter(model, told)
        before = losses(adapted, held_out)
        train(adapted, training, told)
        after = losses(adapted, held_out)
    except torch.OutOfMemoryError:
        sys.exit(
            f"error: the GPU's memory is full, with lessons of {told.max_tokens:,} tokens at most: "
            "lower --max-tokens, or take a smaller model or a larger GPU"
        )
    conclude(adapted, before, after, told)


def read_arguments() -> argparse.Namespace:
    """The command line, every number in its range."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lessons", type=Path, help="what `rag distill export` wrote")
    parser.add_argument("--model", required=True, help="its name, or the folder that holds it")
    parser.add_argument("--output", required=True, type=Path, help="a new folder for the adapter")
    parser.add_argument("--rank", type=int, default=16, choices=RANKS, help="the adapter's size")
    for name, kind, usual, low, high, meaning in (
        ("--epochs", float, 2, 0.01, 1_000, "how often each lesson is read"),
        ("--learning-rate", float, 2e-4, 1e-7, 1, "the highest; it falls to 0"),
        ("--max-tokens", int, 4_096, 16, 1_000_000, "longer lessons are left out, never cut"),
        ("--held-out", float, 0.1, 0.01, 0.5, "the share of lessons to compare on"),
        ("--seed", int, 0, 0, 2**31, "of the split, the first weights and the order"),
    ):
        told = f"{meaning}; by default {usual:g}"
        reader = number(kind, low, high)
        parser.add_argument(name, type=reader, default=usual, help=told, metavar="N")
    return parser.parse_args()


def number(kind: type[float], low: float, high: float) -> Callable[[str], float]:
    """Reads a number from `low` to `high`."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            whole = "whole " if kind is int else ""
            raise argparse.ArgumentTypeError(
                f"it is {text!r}: give a {whole}number from {low:g} to {high}"
            )
        return value

    return read


def read_chats(file: Path) -> list[list[dict[str, str]]]:
    """The `messages` of every row: a system's, a user's, and the answer that is to be learned."""
    try:
        rows = file.read_text("utf-8").split("\n")  # a text may hold other ends of lines
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: {file} cannot be read: {error}")
    chats = []
    for number_of_row, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            chat = [(one["role"], one["content"]) for one in json.loads(row)["messages"]]
        except (ValueError, KeyError, TypeError):
            chat = []
        roles = [role for role, _ in chat]
        if roles not in (ROLES, ROLES[1:]) or not all(
            isinstance(text, str) and text.strip() for _, text in chat
        ):
            sys.exit(
                f"error: row {number_of_row} of {file} is no lesson: it needs messages of "
                f"{', '.join(ROLES)}, each with its text, as `rag distill export` writes them"
            )
        chats.append([{"role": role, "content": text} for role, text in chat])
    if len(chats) < FEWEST:
        sys.exit(
            f"error: {file} has {len(chats)} lessons, and {FEWEST} are needed (some hundreds teach "
            "well): let more questions escalate, then export again"
        )
    return chats


def make_folder(folder: Path) -> None:
    """Made before the hours of training. Exits where it cannot be, or holds something."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        sys.exit(f"error: {folder} cannot be made: {error}")
    if not is_empty:
        sys.exit(f"error: {folder} is not empty: name a new folder")


def check_packages() -> None:
    """Exits where one is missing."""
    try:
        import peft  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        sys.exit(
            f"error: {error.name} is missing: run pip install torch 'transformers>=5.19,<6' "
            "'peft>=0.21'"
        )


def load(name: str) -> tuple[Any, Any]:
    """The tokenizer and the model, in 16 bits on a GPU and in 32 without one."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name = str(Path(name).resolve()) if Path(name).is_dir() else name
    if torch.cuda.is_available():
        dtype = (
            torch.bfloat16
            if torch.cuda.is_bf16_supported(including_emulation=False)
            else torch.float16
        )
    else:
        print(
            "note: no GPU is found, and a CPU is slow: take it for a small model only",
            file=sys.stderr,
        )
        dtype = torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForCausalLM.from_pretrained(name, dtype=dtype)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"error: the model {name} cannot be loaded: {first_line(error)}")
    if not tokenizer.chat_template:
        sys.exit(
            f"error: the model {name} has no chat template, so it answers no questions: take its "
            "instruct version"
        )
    return tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu")


def read_lesson(tokenizer: Any, chat: list[dict[str, str]]) -> Lesson:
    """The tokens of a chat; the question's are those that the server will make of it."""
    from jinja2 import TemplateError

    # as `rag model` has it served
    usual = {"tokenize": False, "enable_thinking": False}
    try:
        asked = tokenizer.apply_chat_template(chat[:-1], add_generation_prompt=True, **usual)
        whole = tokenizer.apply_chat_template(chat, **usual)
    except TemplateError as error:
        sys.exit(f"error: the model's chat template refuses the lessons: {first_line(error)}")
    if not whole.startswith(asked):
        sys.exit(
            "error: the model's chat template puts an answer elsewhere than where it asks for one: "
            "take another model"
        )
    question, tokens = (tokenizer.encode(text, add_special_tokens=False) for text in (asked, whole))
    if tokens[: len(question)] != question:  # a token spans the end of the question
        tokens = question + tokenizer.encode(whole[len(asked) :], add_special_tokens=False)
    return Lesson(tokens, len(question))


def split(lessons: Sequence[Lesson], told: argparse.Namespace) -> tuple[list[Lesson], list[Lesson]]:
    """Those held out and those to learn, without the too long ones. Exits where few are left."""
    fitting = [lesson for lesson in lessons if len(lesson.tokens) <= told.max_tokens]
    if len(fitting) < FEWEST:
        longest = max(len(lesson.tokens) for lesson in lessons)
        sys.exit(
            f"error: {len(fitting)} of {len(lessons)} lessons have {told.max_tokens:,} tokens or "
            f"fewer, and {FEWEST} are needed: raise --max-tokens (the longest has {longest:,})"
        )
    random.Random(told.seed).shuffle(fitting)  # noqa: S311
    count = max(1, round(told.held_out * len(fitting)))
    print(
        f"{len(lessons)} lessons: {len(fitting) - count} to learn, {count} held out, "
        f"{len(lessons) - len(fitting)} left out as longer than {told.max_tokens:,} tokens"
    )
    return fitting[:count], fitting[count:]


def with_adapter(model: Any, told: argparse.Namespace) -> Any:
    """With an adapter on every linear layer, which changes nothing until it is trained."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(told.seed)
    config = LoraConfig(
        task_type="CAUSAL_LM", target_modules="all-linear", r=told.rank, lora_alpha=2 * told.rank
    )
    return get_peft_model(model, config)


def losses(model: Any, lessons: Iterable[Lesson]) -> list[float]:
    """Of each lesson, the mean negative log-probability of a token of its answer."""
    import torch

    model.eval()
    found = []
    with torch.inference_mode():
        for lesson in lessons:
            row = {"input_ids": [lesson.tokens], "labels": [lesson.labels]}
            tensors = {name: torch.tensor(ids, device=model.device) for name, ids in row.items()}
            found.append(float(model(**tensors).loss))
    return found


def train(model: Any, lessons: Sequence[Lesson], told: argparse.Namespace) -> None:
    """Learn the lessons."""
    import torch
    from transformers import Trainer, TrainingArguments, default_data_collator

    arguments = TrainingArguments(
        output_dir=str(told.output),
        num_train_epochs=told.epochs,
        learning_rate=told.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        # one at a time, so that nothing is padded
        per_device_train_batch_size=1,
        gradient_accumulation_steps=LESSONS_A_STEP,
        gradient_checkpointing=True,
        bf16=model.dtype == torch.bfloat16,
        fp16=model.dtype == torch.float16,
        dataloader_pin_memory=torch.cuda.is_available(),
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        seed=told.seed,
    )
    rows: Any = [{"input_ids": one.tokens, "labels": one.labels} for one in lessons]
    Trainer(model, arguments, default_data_collator, rows).train()


def conclude(
    model: Any, before: Sequence[float], after: Sequence[float], told: argparse.Namespace
) -> None:
    """Write the adapter and say how to serve it, if it is better."""
    lower = sum(new < old for new, old in zip(after, before, strict=True))
    means = [sum(values) / len(values) for values in (before, after)]
    print(
        f"loss a token on held-out answers: {means[0]:.4f} before, {means[1]:.4f} after; lower on "
        f"{lower} of {len(before)} lessons"
    )
    if not means[1] < means[0]:
        sys.exit(
            "error: the adapter is NOT better than the model, so it is not written: give it more "
            "lessons, or a lower --learning-rate"
        )
    model.save_pretrained(told.output)
    adapter = told.output.resolve()
    serving = shlex.join(["rag", "model", told.model, "--adapter", f"{adapter.name}={adapter}"])
    print(
        f"the adapter is in {adapter}, of rank {told.rank}\n"
        f"to serve it: {serving}\n"
        "A lower loss is no proof of better answers: compare both before you stay with it."
    )


def first_line(error: Exception) -> str:
    """Of a message that may have many."""
    return str(error).strip().partition("\n")[0]


if __name__ == "__main__":
    main()
