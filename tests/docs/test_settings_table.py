"""The table of settings in the handbook is the one that the code gives."""

import runpy
from pathlib import Path

from api.settings import setting_paths

DOCS = Path(__file__).resolve().parents[2] / "docs"
GENERATOR = runpy.run_path(str(DOCS / "generate_settings.py"))


def test_the_table_is_that_of_the_code():
    page = (DOCS / "configuration.md").read_text("utf-8")
    fresh = GENERATOR["with_table"](page, GENERATOR["settings_table"]())
    assert page == fresh, "run: python docs/generate_settings.py"


def test_the_table_has_every_setting_once():
    table = GENERATOR["settings_table"]()
    for path in setting_paths():
        assert table.count(f"| `{'.'.join(path)}` |") == 1
