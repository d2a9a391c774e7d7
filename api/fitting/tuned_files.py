"""Writes what came of a tuning: the settings as TOML, with the curve, its JSON and its page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.fitting.tuning import CHUNK_TOKENS, nested
from api.settings import TOML_FILE, variable_name
from evaluation.tuning.choosing import front_of
from evaluation.tuning.outcome import Tuning, tuning_as_json
from evaluation.tuning.page import make_tuning_page
from rag.errors import InputError

MARK = "# Written by `rag tune`"


def check_output(path: Path) -> None:
    """Raises InputError for a file that settings are read from, or that another has written."""
    if path.name == TOML_FILE:
        raise InputError(
            f"--output is {path}, which settings are read from: give another name, look at what is "
            f"in it, and then copy it into {TOML_FILE}"
        )
    if path.suffix != ".toml":
        raise InputError(f"--output is {path}: give a name that ends in .toml")
    try:
        is_ours = not path.exists() or path.read_bytes().startswith(MARK.encode())
    except OSError as error:
        raise _unwritable(path, error) from None
    if not is_ours:
        raise InputError(
            f"{path} is there, and `rag tune` has not written it: give another with --output"
        )


def write_tuning(tuning: Tuning, path: Path) -> list[Path]:
    """The files: the settings at `path`, and beside it the same name with .json and .html."""
    files = {
        path: tuned_toml(tuning),
        path.with_suffix(".json"): tuning_as_json(tuning),
        path.with_suffix(".html"): make_tuning_page(tuning),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            file.write_text(content, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None
    return list(files)


def tuned_toml(tuning: Tuning) -> str:
    """The settings that are to be changed, with what was measured as comments."""
    outcome = tuning.outcome
    lines = [
        f"{MARK} {tuning.version} on {tuning.finished_at}: {tuning.questions:,} questions of",
        f"# {tuning.question_file}, collection {tuning.collection}, wanted {tuning.goal}.",
        "#",
        f"# {outcome.verdict}",
        "#",
        f"# What tokens buy (half of the questions): tokens, {tuning.measure}, ms, settings",
    ]
    lines += [
        f"# {one.context_tokens:8,.0f}  {one.quality:.3f}  {one.ms:7,.1f}  {one.name}"
        for one in front_of(outcome.trials)
    ]
    if not outcome.changes:
        lines += ["#", "# No setting is to be changed."]
    for group, values in nested(outcome.changes).items():
        lines += ["", f"[{group}]", *_assignments(values)]
    return "\n".join(lines) + "\n"


def how_to_apply(tuning: Tuning, path: Path) -> list[str]:
    """What is left for a person to do, line by line; nothing where no setting changes."""
    changes = tuning.outcome.changes
    if not changes:
        return []
    lines = [f"to use them, copy {path} into {TOML_FILE}, and start `rag serve` again if it runs"]
    variables = [variable_name(tuple(name.split("."))) for name in changes]
    if fixed := [name for name in variables if os.environ.get(name)]:
        lines.append(f"{', '.join(fixed)} goes before {TOML_FILE}: change it there, or unset it")
    if CHUNK_TOKENS in changes:
        lines.append("then give `rag ingest` all documents again: it cuts and embeds them anew")
    return lines


def _assignments(values: Mapping[str, Any]) -> list[str]:
    """A JSON number or text is one of TOML too; there is no null, and none is needed: an unset
    setting is left out."""
    return [
        f"{name} = {json.dumps(value)}" if value is not None else f"# {name}: leave it out"
        for name, value in values.items()
    ]


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path} cannot be written ({error.strerror}): give another file with --output"
    )
