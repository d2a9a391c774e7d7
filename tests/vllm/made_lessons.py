"""Made lessons in the format of `rag distill export`, and the recipe that learns them."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.vllm_server import PYTHON, ROOT, environment

RECIPE = ROOT / "deploy" / "finetune_lora.py"
SEED = 3
SYSTEM = "Answer from the sources."
TOWNS = "Aldern Brock Corin Delft Eskar Fallow Garm Holt Ister Jarrow".split()
THINGS = "tower bridge mill market library harbour station".split()


def made_lessons(count: int = 40) -> list[dict[str, Any]]:
    """Questions after a number in their source, the same at every call."""
    chosen = random.Random(SEED)
    lessons = []
    for _ in range(count):
        place = f"{chosen.choice(THINGS)} of {chosen.choice(TOWNS)}"
        fact = f"The {place} has {chosen.randint(20, 900)} steps"
        asked = f"[1] {fact}.\n\nHow many steps has the {place}?"
        lessons.append(
            {
                "messages": [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": f"{fact} [1]."},
                ],
                "verdict": "right",
            }
        )
    return lessons


def write_lessons(file: Path, lessons: list[dict[str, Any]]) -> Path:
    """As rows of JSON."""
    file.write_text("".join(f"{json.dumps(lesson)}\n" for lesson in lessons))
    return file


def finetune(lessons: Path, model: Path, output: Path, *more: str) -> tuple[int, str, str]:
    """Run the recipe: exit status, standard output and standard error."""
    done = subprocess.run(
        [
            *(str(PYTHON), str(RECIPE), str(lessons)),
            *("--model", str(model), "--output", str(output), *more),
        ],
        env=environment() | {"OMP_NUM_THREADS": "1"},  # more only get into each other's way
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
