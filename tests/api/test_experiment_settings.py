"""What an experiment may be: its settings, and those of its arms."""

from __future__ import annotations

from typing import Any

import pytest

from api.assembly.experimenting import settings_of_arms
from api.settings import load_settings
from rag.errors import SettingsError

SHORT = {"share": 0.5, "set": {"context": {"max_tokens": 300}}}


def loaded(arms: dict[str, Any], **others: Any) -> dict[str, int]:
    """By arm, the tokens of context that it gives."""
    settings = load_settings({"experiment": {"name": "x", "arms": arms, **others}})
    return {name: own.context.max_tokens for name, own in settings_of_arms(settings).items()}


def test_an_arm_differs_in_what_it_sets_and_in_nothing_else() -> None:
    chosen = {
        "experiment": {"name": "x", "arms": {"short": SHORT}},
        "context": {"max_tokens": 900, "min_usefulness": 0.3},
        "premium": {"api_key": "secret"},
    }
    settings = load_settings(chosen)
    control, short = settings_of_arms(settings).values()
    assert control is settings
    assert (short.context.max_tokens, short.context.min_usefulness) == (300, 0.3)
    assert short.premium == settings.premium


def test_it_goes_before_a_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CONTEXT__MAX_TOKENS", "77")
    assert loaded({"short": SHORT}) == {"control": 77, "short": 300}


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        ({}, "has no arm beside 'control': give experiment.arms one"),
        ({"control": SHORT}, "named 'control', which is the settings as they are: call it"),
        ({"a": SHORT, "b": SHORT}, "add up to 1, and 'control' gets the rest: stay below 1"),
        ({"a": SHORT | {"share": 0}}, "share is 0: input should be greater than 0"),
        ({"a": SHORT | {"set": {}}}, "experiment.arms.a.set has nothing: an arm changes"),
        ({"a": SHORT | {"set": {"store": {}}}}, "experiment.arms.a.set has store: an arm changes"),
        (
            {"a": SHORT | {"set": {"context": {"max_tokens": 0}}}},
            "experiment.arms.a.set: context.max_tokens is 0: ",
        ),
        (
            {"a": SHORT | {"set": {"context": {"max_token": 5}}}},
            "experiment.arms.a.set: context.max_token is not a setting",
        ),
    ],
)
def test_what_cannot_be_an_arm_is_told_in_one_line(arms: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(arms)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_arms_without_a_name_and_half_of_what_uses_are_worth_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"experiment\.name is not: name it"):
        load_settings({"experiment": {"arms": {"short": SHORT}}})
    with pytest.raises(SettingsError, match="say what each is worth"):
        loaded({"short": SHORT}, used_usd=2)
