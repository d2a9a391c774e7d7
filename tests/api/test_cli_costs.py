"""`rag costs` around the fake application: its tables, its words, CSV and plots."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from api_fakes import fake_application
from rich.console import Console
from spent import SPENT, Spent, judge_reuse, write
from typer.testing import CliRunner

from api.cli.main import make_app
from api.cli.tables.costs import in_words, print_sums, usd
from api.models.costs import CostsOut, SumOut
from api.settings import Settings
from api.state.opening import open_state
from generation.money.budgets import Walls
from generation.money.ledger import utc_now

NOVEMBER = ("--since", "2026-11-01", "--until", "2026-11-30")
PNG = b"\x89PNG\r\n\x1a\n"


def invoke(*arguments: str, walls: Walls | None = None) -> Any:
    build = partial(fake_application, walls=walls)
    return CliRunner().invoke(make_app(build), ["costs", *arguments])  # type: ignore[arg-type]


def ok(*arguments: str, walls: Walls | None = None) -> str:
    result = invoke(*arguments, walls=walls)
    assert result.exit_code == 0, result.output
    text: str = result.stdout
    return text


def book(rows: Sequence[Spent] = SPENT) -> None:
    """Write it into the data folder of the commands."""
    engine = open_state(Settings().data_dir)
    asyncio.run(write(engine, rows))
    engine.dispose()


def cells(shown: str, first: str) -> list[str]:
    """What stands in the row that begins so."""
    rows = [line.strip("│┃").replace("┃", "│").split("│") for line in shown.splitlines()]
    return next([one.strip() for one in row] for row in rows if row[0].strip() == first)


def test_a_row_for_each_day_the_total_and_the_sentence() -> None:
    book()
    shown = ok(*NOVEMBER)
    assert cells(shown, "day") == [
        "day", "answers", "calls", "tokens in", "cached", "out",
        "spent", "unknown", "baseline", "saved", "Wh",
    ]  # fmt: skip
    assert cells(shown, "2026-11-02") == [
        "2026-11-02", "2", "2", "900", "300", "120",
        "$0.0030", "1 (≤ $0.0071)", "$0.0080", "-$0.0021", "0.25",
    ]  # fmt: skip
    assert cells(shown, "total") == [
        "total", "4", "3", "1,800", "600", "240",
        "$0.0030", "1 (≤ $0.0071)", "$0.0160", "$0.0059", "0.25",
    ]  # fmt: skip
    assert (
        "\n$0.0030 spent for 4 answers, at least $0.0059 saved against the baseline of $0.0160 "
        "(37%); 1 call of unknown cost, at most $0.0071\n"
    ) in shown
    assert "\nWh is estimated: share of the GPU's time x watts stated; of others' GPUs " in shown


def test_what_was_given_again_has_a_line() -> None:
    book()
    assert "given again" not in ok(*NOVEMBER)
    again = Spent("2026-11-03", "cache", baseline="0.005")
    book([again])
    assert "\n1 answer given again, 20% of all, $0.0050 saved; none was judged\n" in ok(*NOVEMBER)
    engine = open_state(Settings().data_dir)
    judge_reuse(engine, "2026-11-03", right=6, wrong=1, compared=1)
    engine.dispose()
    told = "; 8 judged, 1 wrong: 12.5%, at most 47.1% in the long run (95% sure)\n"
    assert told in ok(*NOVEMBER)


def test_by_model_nothing_is_told_of_answers() -> None:
    book()
    shown = ok(*NOVEMBER, "--by", "model")
    assert cells(shown, "model") == [
        "model", "calls", "tokens in", "cached", "out", "spent", "unknown", "Wh"
    ]  # fmt: skip
    assert cells(shown, "=llama")[5] == "$0.000020"
    assert "spent for 4 answers" in shown


def test_who_gave_no_name_is_shown_so() -> None:
    book([*SPENT, Spent("2026-11-03", "extractive", tenant="[red]")])
    assert cells(ok(*NOVEMBER, "--by", "key"), "(not named)")[1] == "3"
    assert cells(ok(*NOVEMBER, "--by", "tenant"), "[red]")[1] == "1"  # no markup


def test_nothing_asked_is_no_error() -> None:
    assert ok() == f"nothing was asked from {_days_ago(29)} to {_days_ago(0)}\n"
    book()
    assert ok("--until", "2020-02-29") == "nothing was asked from 2020-01-31 to 2020-02-29\n"
    result = invoke("--until", "2020-02-29", "--plot", "a.svg", "--json")
    assert (result.exit_code, json.loads(result.stdout)["rows"]) == (0, [])
    assert result.stderr == "note: there is nothing to draw\n"
    assert not Path("a.svg").exists()


def _days_ago(days: int) -> str:
    return f"{utc_now() - timedelta(days=days):%Y-%m-%d}"


def test_walls_are_shown_the_fullest_first() -> None:
    today = _days_ago(0)
    book([Spent(today, "premium", "0.45", at_most="0.5", tenant="acme")])
    month_usd, no_limits = Decimal("0.50"), (None, None)
    walls = Walls(
        day_usd=Decimal(9), tenant_month_usd=month_usd, keys={"none": (Decimal(0), None)},
        tenants={"free": no_limits},
    )  # fmt: skip
    shown = ok("--until", "2020-01-01", walls=walls)
    table = shown[shown.index("budget") :]
    names = [line.split("│")[1].strip() for line in table.splitlines() if "│" in line]
    assert names == ["key none", "tenant acme", "service"]
    assert cells(table, "tenant acme")[1:6] == [today[:7], "$0.5000", "$0.4500", "$0.0000", "90%"]
    assert cells(table, "key none")[5] == "100%"  # nothing fits before a wall of $0
    many = Walls(tenants={f"t{number:02}": (Decimal(1), None) for number in range(23)})
    assert "\nand 3 that are less full\n" in ok(walls=many)


def total(**values: Any) -> SumOut:
    given = {
        "name": "total", "calls": 1, "answers": 131, "input_tokens": 0, "cached_input_tokens": 0,
        "output_tokens": 0, "spent_usd": "0.0412", "unknown_calls": 0,
        "unknown_at_most_usd": "0.000000", "baseline_usd": "0.5532", "saved_usd": "0.5120",
        "watt_hours": None,
    }  # fmt: skip
    return SumOut.model_validate({**given, **values})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ", $0.5120 saved against the baseline of $0.5532 (93%)"),
        (
            {"unknown_calls": 2, "unknown_at_most_usd": "0.0071", "saved_usd": "0.5049"},
            ", at least $0.5049 saved against the baseline of $0.5532 (91%); "
            "2 calls of unknown cost, at most $0.0071",
        ),
        (
            {"unknown_calls": 2, "unknown_at_most_usd": None, "saved_usd": None},
            ", beside a baseline of $0.5532; 2 calls of unknown cost",
        ),
        (
            {"baseline_usd": "0.0400", "saved_usd": "-0.0012"},
            ", $0.0012 more than the baseline of $0.0400 (3%)",
        ),
        ({"baseline_usd": None, "saved_usd": None}, ""),
        (
            {"baseline_usd": "0.000000", "saved_usd": "0.000000"},
            ", $0.0000 saved against the baseline of $0.0000",
        ),
    ],
)
def test_the_sentence(values: dict[str, Any], words: str) -> None:
    assert in_words(total(**values)) == "$0.0412 spent for 131 answers" + words


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (None, ""),
        ("0.000000", "$0.0000"),
        ("0.041200", "$0.0412"),
        ("0.00002", "$0.000020"),
        ("-0.000000123", "-$0.00000012"),
        ("1234.5", "$1,234.5000"),
    ],
)
def test_dollars(told: str | None, shown: str) -> None:
    assert usd(told) == shown


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_number_is_cut_in_a_narrow_terminal(width: int) -> None:
    book()
    costs = CostsOut.model_validate_json(ok(*NOVEMBER, "--by", "tier", "--json"))
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    print_sums(console, costs)
    shown = console.export_text()
    assert "…" not in shown
    assert cells(shown, "total")[-1 if width < 200 else -2] == "$0.0059"
    assert ("no room for Wh" in shown) == (width < 200)


def test_json_is_what_the_service_gives() -> None:
    book()
    costs = json.loads(ok(*NOVEMBER, "--by", "tier", "--json"))
    assert set(costs) == {"since", "until", "by", "rows", "total", "reuse", "walls"}
    assert (costs["since"], costs["until"], costs["by"]) == ("2026-11-01", "2026-11-30", "tier")
    assert [row["name"] for row in costs["rows"]] == ["extractive", "local", "premium"]
    assert costs["total"]["unknown_at_most_usd"] == "0.007100"


def test_csv_on_standard_output_or_in_a_file() -> None:
    book()
    printed = ok(*NOVEMBER, "--by", "model", "--csv", "-")
    assert [row["model"] for row in csv.DictReader(printed.splitlines())] == ["'=llama", "gpt-x"]
    result = invoke(*NOVEMBER, "--by", "model", "--csv", "costs.csv")
    assert result.exit_code == 0
    assert result.stderr == "note: the rows are in costs.csv\n"
    assert cells(result.stdout, "gpt-x")
    assert Path("costs.csv").read_bytes().decode().splitlines() == printed.splitlines()


@pytest.mark.parametrize(("by", "name"), [("day", "a.svg"), ("tier", "A.PNG")])
def test_plot(by: str, name: str) -> None:
    book([*SPENT, Spent("2026-11-05", "local", None, None)])
    result = invoke(*NOVEMBER, "--by", by, "--plot", name)
    assert result.exit_code == 0, result.output
    assert result.stderr == f"note: the plot is in {name}\n"
    drawn = Path(name).read_bytes()
    if name == "A.PNG":
        assert drawn.startswith(PNG)
    else:
        assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
        missing = b"calls without a known cost: 2, days without a known saving: 1"
        assert b"not shown are " + missing in drawn


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by", "hour"], "by: 'hour' does not fit: input should be 'day', 'key', 'tenant'"),
        (["--since", "2026-02-30"], "since: '2026-02-30' does not fit: give a day that exists"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "give an earlier day as since"),
        (["--plot", "a.pdf"], "--plot is 'a.pdf': give a file that ends in .svg or .png"),
        (["--plot", "-"], "--plot is '-': give a file that ends in .svg or .png"),
        ([*NOVEMBER, "--plot", "no/a.svg"], "no/a.svg cannot be written (No such file or"),
        ([*NOVEMBER, "--csv", "no/a.csv"], "no/a.csv cannot be written (No such file or"),
        (["--csv", "-", "--json"], "--csv is '-' and --json is given: print one"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], words: str) -> None:
    book()
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_without_matplotlib_it_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "sys.argv = ['rag', 'costs', '--plot', 'a.svg']; from api.cli.main import run; run()"
    )
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: matplotlib, which draws the plot, is not installed: "
        "install it with `pip install 'thrifty-rag[evaluate]'`\n"
    )
