"""A dial goes on where the last process was."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from fakes import HashingEmbedder
from sqlalchemy import Engine, func, select

from api.assembly.deciding import open_deciding
from api.setting_groups.models import DecisionSettings
from api.settings import Settings
from generation.deciding.decision import Option, Stakes
from generation.deciding.dials import LEAST_ERROR_USD, Situation
from generation.deciding.price_of_error import Allowance, DialledPrice, Floor
from generation.deciding.traffic import SITUATIONS, WINDOW, KeptTraffic

START = Stakes(1e-7, 0.0, 0.3)
DIAL = Allowance(2.0)


def situation(number: int) -> Situation:
    chooser = random.Random(number)
    premium = Option("premium", 0.004, 1.5, 0.5 + 0.5 * chooser.random())
    return Situation(chooser.random(), (Option("local", 0.0002, 0.5, 0.6), premium))


async def see(price: DialledPrice, count: int) -> None:
    """So many questions come; what they lead to is waited for."""
    for number in range(count):
        await price.saw(situation(number))
    (solving,) = asyncio.all_tasks() - {asyncio.current_task()}
    await solving


async def test_a_start_goes_on_with_the_price_that_was_solved(state_engine: Engine) -> None:
    first = DialledPrice(DIAL, START, KeptTraffic(state_engine))
    await see(first, 25)
    solved = first.stakes("help")
    assert solved.error_usd > START.error_usd
    assert DialledPrice(DIAL, START, KeptTraffic(state_engine)).stakes("help") == solved
    assert DialledPrice(DIAL, START).stakes("help") == START


async def test_what_one_process_saw_counts_in_the_next(state_engine: Engine) -> None:
    for number in range(24):
        await DialledPrice(DIAL, START, KeptTraffic(state_engine)).saw(situation(number))
    last = DialledPrice(DIAL, START, KeptTraffic(state_engine))
    await see(last, 1)
    alone = DialledPrice(DIAL, START)
    await see(alone, 25)
    assert last.stakes("help") != START
    kept = KeptTraffic(state_engine).last()
    assert kept == [situation(number) for number in range(24)] + [situation(0)]


async def test_another_dial_has_a_price_of_its_own(state_engine: Engine) -> None:
    kept = KeptTraffic(state_engine)
    await see(DialledPrice(DIAL, START, kept), 25)
    for dial in (Allowance(3.0), Floor(0.9)):
        assert DialledPrice(dial, START, kept).stakes("help") == START
    assert kept.price(DIAL.name) is not None
    assert kept.price(Floor(0.9).name) is None


async def test_the_service_goes_on_too(state_engine: Engine, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, decision=DecisionSettings(usd_per_1000_answers=2))
    opened = [open_deciding(settings, HashingEmbedder(), state_engine).price_of_error]
    assert isinstance(opened[0], DialledPrice)
    await see(opened[0], 25)
    opened.append(open_deciding(settings, HashingEmbedder(), state_engine).price_of_error)
    first, second = (one.stakes("help") for one in opened if one is not None)
    assert first == second
    assert first.error_usd > LEAST_ERROR_USD


async def test_no_more_is_kept_than_a_dial_looks_at(state_engine: Engine) -> None:
    kept = KeptTraffic(state_engine)
    for number in range(WINDOW + 20):
        kept.note(situation(number))
    kept.solved(DIAL.name, 0.1)
    kept.solved(DIAL.name, 0.2)
    with state_engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(SITUATIONS)) == WINDOW
    assert kept.last() == [situation(number) for number in range(20, WINDOW + 20)]
    assert kept.price(DIAL.name) == 0.2
