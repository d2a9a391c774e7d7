"""Writes the table of settings into `configuration.md`, from the models in `api/settings.py`.

    python docs/generate_settings.py

A test fails when the table is not the one that this program would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from api.settings import Settings, setting_paths, variable_name

PAGE = Path(__file__).with_name("configuration.md")
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"


def settings_table() -> str:
    """The table in Markdown: a row for each setting, in the order of the models."""
    rows = ["| Variable | In `rag.toml` | Default | Allowed | Meaning |", "|---|---|---|---|---|"]
    for path in setting_paths():
        field = _field(path)
        cells = (
            f"`{variable_name(path)}`",
            f"`{'.'.join(path)}`",
            _default(field.default),
            _allowed(field),
            (field.description or "").replace("|", "\\|"),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def with_table(page: str, table: str) -> str:
    """`page` with `table` between the markers."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _field(path: tuple[str, ...]) -> FieldInfo:
    model: Any = Settings
    for name in path[:-1]:
        model = model.model_fields[name].annotation
    field: FieldInfo = model.model_fields[path[-1]]
    return field


def _default(value: object) -> str:
    if value is None:
        return "unset"
    if value in ((), {}):
        return "none"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(field: FieldInfo) -> str:
    """The range or the choices of a setting; what any text may be, in words."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    limits = list(_limits(field))
    return " to ".join(limits) if limits else "text"


def _limits(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        if isinstance(constraint, Ge):
            yield f"{constraint.ge:,}"
        if isinstance(constraint, Gt):
            yield f"above {constraint.gt:,}"
        if isinstance(constraint, Le):
            yield f"{constraint.le:,}"
        if isinstance(constraint, Lt):
            yield f"below {constraint.lt:,}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), settings_table()), "utf-8")
