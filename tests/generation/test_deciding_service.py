"""Who answers as what is at stake changes: a real service, and models that are scripted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_answers_with_models import QUESTION, TRUE, VAGUE, made, model, said

from api.setting_groups.models import DecisionSettings
from api.settings import load_settings
from rag.errors import SettingsError

__all__ = ["made", "model"]  # fixtures

FAR = "Who won the chess tournament of 1927?"


async def tier_of(made: Any, **decision: Any) -> tuple[str, str]:
    """Which tier answers, and why, where both models know the answer."""
    service = await made(decision=DecisionSettings(**decision))
    service.local.replies.append(said(TRUE))
    service.premium.replies.append(said(TRUE))
    answer = await service.ask()
    return answer["tier"], answer["because"]


async def test_where_errors_cost_nothing_no_tier_is_worth_its_price(made: Any) -> None:
    tier, because = await tier_of(made, error_usd=0.000001)
    assert tier == "extractive"
    assert "an error costs $1e-06" in because


async def test_where_errors_are_dear_a_dearer_tier_is_worth_its_price(made: Any) -> None:
    tier, because = await tier_of(made, error_usd=10)
    assert tier in ("local", "premium")
    assert "asking" in because


async def test_an_error_may_cost_more_in_some_collections(made: Any) -> None:
    _, because = await tier_of(made, error_usd=0.000001, error_usd_of={"default": 10})
    assert "an error costs $10" in because


async def test_a_model_that_was_unsure_is_followed_by_the_next(made: Any) -> None:
    service = await made(decision=DecisionSettings(error_usd=5, wait_usd_per_s=0))
    service.local.replies.append(said(VAGUE))
    service.premium.replies.append(said(TRUE))
    answer = await service.ask()
    assert answer["tier"] == "premium"
    if service.local.chats:
        assert "; then " in answer["because"]


async def test_a_question_that_the_documents_do_not_answer_costs_nothing(made: Any) -> None:
    service = await made(
        decision=DecisionSettings(error_usd=0.001), answers={"abstain_below": 0.35}
    )
    answer = await service.ask(question=FAR)
    assert answer["status"] == "abstained"
    assert not service.premium.chats
    assert answer["cost"]["total_usd"] == "0.000000"


async def test_the_plain_rule_says_why_too(made: Any) -> None:
    service = await made()
    service.local.replies.append(said(TRUE))
    answer = await service.ask()
    assert answer["because"].startswith("extractive has a confidence of ")
    named = await service.ask(tier="extractive")
    assert named["because"] == "extractive was asked for"


async def test_a_budget_dial_is_solved_from_the_questions_that_come(made: Any) -> None:
    service = await made(decision=DecisionSettings(usd_per_1000_answers=1_000))
    for _ in range(40):
        service.local.replies.append(said(TRUE))
        service.premium.replies.append(said(TRUE))
    answers = [await service.ask(question=f"{QUESTION} ({n})") for n in range(40)]
    tiers = [answer["tier"] for answer in answers]
    assert set(tiers[:25]) == {"extractive"}  # nothing is spent before it is known for what
    assert tiers[-1] != "extractive"


async def test_a_budget_of_nothing_spends_nothing(made: Any) -> None:
    service = await made(decision=DecisionSettings(usd_per_1000_answers=0))
    answers = [await service.ask(question=f"{QUESTION} ({n})") for n in range(30)]
    assert {answer["tier"] for answer in answers} == {"extractive"}
    assert {answer["cost"]["total_usd"] for answer in answers} == {"0.000000"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"ERROR_USD": "0.1", "QUALITY_FLOOR": "0.9"}, "are both set"),
        ({"ERROR_USD": "-1"}, "greater than 0"),
        ({"QUALITY_FLOOR": "1.5"}, "less than 1"),
        ({"USD_PER_1000_ANSWERS": "nan"}, "finite"),
        ({"ERROR_USD_OF": '{"medicine": 20}'}, "decision.error_usd is not"),
    ],
)
def test_settings_that_make_no_sense_are_told(
    variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(f"RAG_DECISION__{name}", value)
    with pytest.raises(SettingsError, match=told):
        load_settings()


async def test_a_calibration_that_is_damaged_is_told(made: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "calibration.json").write_text("{broken")
    with pytest.raises(SettingsError, match="run rag calibrate again"):
        await made(decision=DecisionSettings(error_usd=1))
