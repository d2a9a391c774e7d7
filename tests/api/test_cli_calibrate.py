"""`rag calibrate` and `rag frontier` on outcomes: what is fitted, kept, drawn, and refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from api_fakes import fake_application
from typer.testing import CliRunner

from api.assembly.deciding import calibrators, read_calibration
from api.cli.main import make_app
from api.settings import Settings
from api.state.opening import open_state
from generation.deciding.feedback import Feedback
from generation.money.tables import ANSWERS

TOPICS = {
    "easy": ("refunds", "opening hours", "the delivery"),
    "hard": ("customs forms", "tax exemption", "export licences"),
}


def outcomes(count: int = 180, seed: int = 2) -> list[dict[str, Any]]:
    """Two tiers on the same questions: local knows the easy ones, and its support tells it."""
    chooser = random.Random(seed)
    rows = []
    for number in range(count):
        kind = chooser.choice(list(TOPICS))
        question = f"What must I know about {chooser.choice(TOPICS[kind])}, case {number}?"
        for tier, chance, usd in (
            ("local", {"easy": 0.95, "hard": 0.15}[kind], 0.0001),
            ("premium", 0.85, 0.004),
        ):
            right = chooser.random() < chance
            supported = min(max(chooser.gauss(0.8 if right else 0.4, 0.15), 0.0), 1.0)
            rows.append(
                {
                    "question": question,
                    "tier": tier,
                    "right": right,
                    "confidence": round(supported**3, 3),
                    "signals": {"supported": round(supported, 3)},
                    "usd": usd,
                }
            )
    return rows


def written(rows: list[Any], name: str = "outcomes.jsonl") -> str:
    Path(name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return name


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(make_app(fake_application), arguments)  # type: ignore[arg-type]


def audited() -> list[tuple[str, str, str]]:
    """Actor, action and object of each entry of the audit log."""
    entries = json.loads(invoke("audit", "--json").stdout)
    return [(one["actor"], one["action"], one["object"]) for one in entries]


def test_confidence_means_more_afterwards_and_is_kept() -> None:
    result = invoke("calibrate", written(outcomes()), "--plot", "plot.svg", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    for one in told["tiers"]:
        assert one["outcomes"] == 180
        assert one["refused"] is None
        assert one["ece_after"] < one["ece_before"]
    assert told["routing"] == {"tiers": ["local", "premium"], "refused": None}
    assert "<svg" in Path("plot.svg").read_text()
    fitted = calibrators(Settings())
    high, low = (fitted["local", ""].estimate({"supported": x}).probability for x in (0.9, 0.3))
    assert high > 0.8
    assert low < 0.3
    record = read_calibration(Settings().data_dir) or {}
    assert record["source"] == "outcomes.jsonl"
    assert audited() == [("command-line", "calibration.keep", "outcomes.jsonl")]
    assert 0.3 < record["traits"]["local"]["sharpness"] <= 1


def test_without_a_file_it_learns_from_the_feedback_that_was_given() -> None:
    result = invoke("calibrate")
    assert result.exit_code == 1
    assert "nobody has said of an answer whether it is right" in result.stderr
    state = open_state(Settings().data_dir)
    rows = [row for row in outcomes() if row["tier"] == "local"]
    answers = [
        {
            "answer_id": f"ans_{number}", "at": f"2026-11-01T00:00:{number:06d}", "tenant": "",
            "key": "", "collection": "default", "tier": "local", "status": "answered",
            "confidence": row["confidence"], "spent_pico_usd": 10**8, "baseline_pico_usd": 10**9,
            "ms": 1.0, "because": "", "signals": json.dumps(row["signals"]),
        }
        for number, row in enumerate(rows)
    ]  # fmt: skip
    with state.begin() as connection:
        connection.execute(ANSWERS.insert(), answers)
    feedback = Feedback(state)
    for number, row in enumerate(rows):
        feedback.record(f"ans_{number}", is_right=row["right"])
    state.dispose()
    result = invoke("calibrate", "--json")
    assert result.exit_code == 0, result.output
    (local,) = json.loads(result.stdout)["tiers"]
    assert (local["tier"], local["outcomes"]) == ("local", 180)
    assert local["ece_after"] < local["ece_before"]
    assert (read_calibration(Settings().data_dir) or {})["source"] == "feedback"


def test_a_dry_run_keeps_nothing() -> None:
    result = invoke("calibrate", written(outcomes()), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "ECE before" in result.stdout
    assert read_calibration(Settings().data_dir) is None
    assert audited() == []


def test_a_tier_with_too_little_is_refused_and_the_others_are_fitted() -> None:
    rows = [row for row in outcomes() if row["tier"] == "local" or "case 7" in row["question"]]
    result = invoke("calibrate", written(rows))
    assert result.exit_code == 0, result.output
    assert "premium keeps its present confidence: the tier premium has" in result.stdout
    assert list(calibrators(Settings())) == [("local", "")]


def test_what_is_refused_keeps_what_was_fitted_before() -> None:
    assert invoke("calibrate", written(outcomes())).exit_code == 0
    before = read_calibration(Settings().data_dir) or {}
    rows = [row for row in outcomes(seed=5) if row["tier"] == "local"]
    result = invoke("calibrate", written([{**row, "question": "the same"} for row in rows]))
    assert result.exit_code == 0, result.output
    after = read_calibration(Settings().data_dir) or {}
    kept = {one["tier"]: one for one in after["calibrators"]}
    assert kept["premium"] in before["calibrators"]
    assert kept["local"] not in before["calibrators"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "has no rows"),
        ([{"right": True}], "neither an answer_id nor both a question and a tier"),
        ([{"question": "q", "tier": "cache", "right": True}], "row 1: tier: "),
        ([{"question": "q", "tier": "magic", "right": True}], "row 1: tier: "),
        ([{"question": "q", "tier": "local"}], "row 1: right: "),
        ([{"question": "q", "tier": "local", "right": "perhaps"}], "row 1: right: "),
        ([{"answer_id": "ans_nobody", "right": True}], "no answer of this service has the id"),
        ([{"question": "q", "tier": "local", "right": True, "signals": {"x": "y"}}], "signals.x"),
        ([{"question": "q", "tier": "local", "right": True, "usd": -1}], "row 1: usd: "),
        ([["q"]], "row 1: "),
    ],
)
def test_a_row_that_does_not_fit_is_told(rows: list[Any], told: str) -> None:
    result = invoke("calibrate", written(rows))
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert told in line


def test_outcomes_of_one_kind_are_refused() -> None:
    rows = [row | {"right": True} for row in outcomes()]
    result = invoke("calibrate", written(rows))
    assert result.exit_code == 1
    assert "0 wrong answers, at least 10 are needed" in result.stderr


def test_the_frontier_lies_above_random_mixing_and_below_the_perfect_choice() -> None:
    result = invoke("frontier", written(outcomes(240)), "--plot", "f.png", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    local, premium = told["singles"]
    perfect = told["perfect"]
    best = max(one["quality"] for one in told["points"])
    assert best >= premium["quality"] - 0.02
    assert perfect["quality"] >= best
    middle = [
        one
        for one in told["points"]
        if local["usd_per_1000"] < one["usd_per_1000"] < 0.9 * premium["usd_per_1000"]
    ]
    assert middle
    for one in middle:
        share = (one["usd_per_1000"] - local["usd_per_1000"]) / (
            premium["usd_per_1000"] - local["usd_per_1000"]
        )
        mixed = local["quality"] + share * (premium["quality"] - local["quality"])
        assert one["quality"] > mixed
    assert Path("f.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (outcomes(20), "at least 125 are needed"),
        (
            [row | {"tier": "extractive"} for row in outcomes() if row["tier"] == "local"],
            "nothing to choose between",
        ),
    ],
)
def test_a_frontier_of_too_little_is_refused(rows: list[Any], told: str) -> None:
    result = invoke("frontier", written(rows))
    assert result.exit_code == 1
    assert told in result.stderr
