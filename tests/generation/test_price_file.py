"""The operator's prices: what is read, and what is said of a file with an error in it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from generation.money import price_file
from generation.money.price_file import OwnPrice, read_price_file
from generation.money.price_table import PriceTable
from generation.money.prices import Price, Rates
from rag.errors import SettingsError
from rag.types import Usage

TODAY = date(2026, 11, 20)

WHOLE = """
[[models]]
provider = "OpenAI"
model = "gpt-4o"
input = "2.50"
cached_input = 1.25
cache_write = 3
output = 10.00
reasoning = 12
batch_discount = 0.2
as_of = 2026-11-01
source = "https://openai.com/api/pricing/"

[[models.tiers]]
above_input_tokens = 200_000
input = 5.00
cached_input = 2.5
cache_write = 6
output = 20
reasoning = 24
"""
SHORT = """
[[models]]
provider = "acme"
model = "one"
input = 1
output = 2
as_of = 2026-11-20
source = "our contract"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.toml"


def read(path: Path, text: str) -> dict[tuple[str, str], OwnPrice]:
    path.write_text(text, "utf-8")
    return read_price_file(path, TODAY)


def test_a_row_is_read_whole(path: Path) -> None:
    own = read(path, WHOLE)["openai", "gpt-4o"]
    short = Rates(
        input=Decimal("2.5"),
        cached_input=Decimal("1.25"),
        cache_write=Decimal(3),
        output=Decimal(10),
        reasoning=Decimal(12),
    )
    long = Rates(
        input=Decimal(5),
        cached_input=Decimal("2.5"),
        cache_write=Decimal(6),
        output=Decimal(20),
        reasoning=Decimal(24),
        above_input_tokens=200_000,
    )
    source = "https://openai.com/api/pricing/"
    assert own.price == Price("OpenAI", "gpt-4o", (short, long), date(2026, 11, 1), source)
    usage = Usage(300_000, 100_000, 1_000, 50_000, 500)
    assert own.batch is not None
    assert own.batch.cost_usd(usage) == own.price.cost_usd(usage) * 8 / 10


def test_a_short_row_prices_no_batch_and_nothing_apart(path: Path) -> None:
    own = read(path, WHOLE + SHORT)["acme", "one"]
    assert own.price.rates == (Rates(input=Decimal(1), output=Decimal(2)),)
    assert own.batch is None


def test_fractions_are_read_exactly(path: Path) -> None:
    own = read(path, SHORT.replace("input = 1", "input = 0.1234567890123456789"))["acme", "one"]
    assert str(own.price.rates[0].input) == "0.1234567890123456789"


def test_an_empty_file_has_no_prices(path: Path) -> None:
    assert read(path, "# nothing yet\n") == {}


def test_the_example_in_the_module_is_valid_and_is_what_the_table_uses(path: Path) -> None:
    assert price_file.__doc__ is not None
    lines = price_file.__doc__.splitlines()
    own = read(path, "\n".join(line[4:] for line in lines if line.startswith("    ")))
    price = PriceTable(own).price("openai", "gpt-4o")
    assert price is not None
    assert len(price.rates) == 2
    assert price.source == "https://openai.com/api/pricing/"


WRONG = [
    ("input = 1", "", "input is missing"),
    ("output = 2", "", "output is missing"),
    ("as_of = 2026-11-20", "", "as_of is missing"),
    ('source = "our contract"', "", "source is missing"),
    ('source = "our contract"', 'source = " "', "source is ' ', no text"),
    ('provider = "acme"', "", "provider is missing"),
    ('model = "one"', "model = 1", "model is 1, no text"),
    ("input = 1", "input = -1", "input is -1"),
    ("input = 1", "input = 10_001", "input is 10001"),
    ("input = 1", "input = nan", "input is NaN"),
    ("input = 1", "input = inf", "input is Infinity"),
    ("input = 1", "input = true", "input is True"),
    ("input = 1", 'input = "a dollar"', "input is a dollar"),
    ("input = 1", "input = [1]", "input is [1]"),
    ("input = 1", "input = 1\ncached_input = -0.1", "cached_input is -0.1"),
    ("input = 1", "input = 1\nbatch_discount = 50", "batch_discount is 50"),
    ("input = 1", "input = 1\ncached = 1", "cached is no field here"),
    ("input = 1", "input = 1\ntiers = 3", "tiers is 3, no list"),
    ("input = 1", "input = 1\ntiers = [3]", "3 is no table"),
    ("as_of = 2026-11-20", 'as_of = "2026-11-20"', "as_of is '2026-11-20', no day"),
    ("as_of = 2026-11-20", "as_of = 2026-11-20T08:00:00", "no day"),
    ("as_of = 2026-11-20", "as_of = 2026-11-22", "as_of is 2026-11-22, after today"),
]
TIER = "[[models.tiers]]\nabove_input_tokens = 1000\ninput = 2\noutput = 3\n"
WRONG_TIERS = [
    ("above_input_tokens = 1000", "", "above_input_tokens is missing"),
    ("above_input_tokens = 1000", "above_input_tokens = 0", "above_input_tokens is 0"),
    (
        "above_input_tokens = 1000",
        "above_input_tokens = 1.5",
        "above_input_tokens is Decimal('1.5'",
    ),
    ("input = 2", "", "input is missing"),
    ("input = 2", "input = 2\ncached_input = 1", "cached_input is not in the model's own row"),
    ("input = 2", "input = 2\nas_of = 2026-11-20", "as_of is no field here"),
    ("output = 3", "output = 3\n" + TIER, "above_input_tokens is 1,000, not more than 1,000"),
]


def said(path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as error:
        read(path, text)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize(("right", "wrong", "expected"), WRONG)
def test_a_wrong_row_is_named_with_its_field(
    path: Path, right: str, wrong: str, expected: str
) -> None:
    message = said(path, WHOLE + SHORT.replace(right, wrong))
    assert ", model 2" in message
    assert expected in message
    assert message.count(": ") >= 2, "the row, what is wrong, and the mend"


@pytest.mark.parametrize(("right", "wrong", "expected"), WRONG_TIERS)
def test_a_wrong_tier_is_named_with_its_field(
    path: Path, right: str, wrong: str, expected: str
) -> None:
    message = said(path, SHORT + TIER.replace(right, wrong))
    assert ", model 1 (acme one), tier " in message
    assert expected in message


def test_a_rate_that_a_tier_leaves_out_is_not_guessed(path: Path) -> None:
    row = SHORT.replace("input = 1", "input = 1\ncached_input = 0.1")
    assert "tier 1: cached_input is missing" in said(path, row + TIER)


def test_a_model_has_one_price(path: Path) -> None:
    again = SHORT.replace('"one"', '"ONE"')
    assert "model 2: acme one has a price already: keep one" in said(path, SHORT + again)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[models]\n", "is not TOML ("),
        ("[[model]]\n", "model is no field here"),
        ("[models]\ninput = 1\n", "write [[models]] in double brackets"),
        ("models = [3]\n", "model 1: 3 is no table"),
    ],
)
def test_a_file_of_another_form(path: Path, text: str, expected: str) -> None:
    assert expected in said(path, text)


def test_a_file_that_is_not_there_or_no_text(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(No such file"):
        read_price_file(path, TODAY)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not TOML"):
        read_price_file(path, TODAY)
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory"):
        read_price_file(path.parent, TODAY)
