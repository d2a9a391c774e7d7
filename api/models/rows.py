"""Reads JSONL files of inputs, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from api.models.inputs import Input, validation_lines
from evaluation.loading import numbered_lines
from rag.errors import InputError

I = TypeVar("I", bound=Input)  # noqa: E741


def read_rows(path: Path, model: type[I]) -> list[tuple[int, I]]:
    """The rows of a JSONL file with their numbers, from 1; blank lines are left out.

    Raises InputError, naming the row, for the first that does not fit.
    """
    found = []
    for row, line in numbered_lines(path):
        try:
            found.append((row, model.model_validate(json.loads(line))))
        except ValidationError as error:
            field, told = validation_lines(error.errors())[0]
            said = f"{field}: {told}" if field else told
            raise InputError(f"{path.name}, row {row}: {said}") from None
        except ValueError as error:
            raise InputError(
                f"{path.name}, row {row}: it is not JSON ({error}): write one JSON object a line"
            ) from None
    return found
