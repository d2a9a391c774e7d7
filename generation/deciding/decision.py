"""What to do next, by expected dollars: the price, the price of an error, the price of waiting.

With the best answer so far, of confidence p, one can stop, which is expected to cost

    error_usd * (1 - p)

or abstain, which costs what an answer of the confidence `abstain_below` would (Chow, "On optimum
recognition error and reject tradeoff", 1970), or ask a dearer tier, which costs

    its price + wait_usd_per_s * its seconds + what is expected of the state after it

The state after a call is not known before it: the confidence that the tier's answer will get is
taken for one of two values, whose mean is the tier's chance (`Option.sharpness` tells how far they
are apart). So a cascade, which pays for a cheap call first and may go on, is weighed against going
straight to the dearer tier (2605.06350), by expected dollars (2405.17637, 2507.03834).

Knows neither models nor documents: numbers in, a choice out, in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rag.types import Tier


@dataclass(frozen=True, slots=True)
class Stakes:
    """What a wrong answer costs, in dollars, and a second of waiting.

    An answer that is less likely right than `abstain_below` (0 to 1) is not worth giving.
    """

    error_usd: float
    wait_usd_per_s: float
    abstain_below: float


@dataclass(frozen=True, slots=True)
class Option:
    """A tier that may be asked: its price and time for this question, and its chance to be right.

    `sharpness`, 0 to 1, is how much its confidence will tell: 0 nothing beyond the chance, 1 all.
    `after_error`, 0 or more, is its chance where the tier before it was wrong, as a share of its
    chance: 1 where the errors of both have nothing to do with each other.
    """

    tier: Tier
    price_usd: float
    seconds: float
    chance: float
    sharpness: float = 0.5
    after_error: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is expected when `ask` is asked next, or nobody where it is None.

    `total_usd` is what all of it is expected to cost: `price_usd`, what waiting costs, and what
    errors cost. `chance` is that of a right answer in the end. Where `abstains`, none is given.
    """

    ask: Option | None
    total_usd: float
    price_usd: float
    chance: float
    abstains: bool = False


def plans(confidence: float, options: Sequence[Option], stakes: Stakes) -> list[Plan]:
    """Everything that can be done next, the cheapest by expectation first.

    `confidence` is that of the best answer so far, 0 without any. `options` are the tiers that may
    still be asked, cheapest first. Of equals, the one that spends less comes first.
    """
    found = [_stop(confidence, stakes), *_asked(confidence, options, stakes)]
    return sorted(found, key=lambda plan: (plan.total_usd, plan.price_usd))


def after(option: Option, asked: Option, confidence: float) -> Option:
    """`option`, now that `asked` was asked and its answer has this confidence."""
    right = min(max(asked.chance, 1e-9), 1 - 1e-9)
    # where the one is wrong, no more and no less than lets the option keep its chance on average
    least, most = (option.chance - right) / (1 - right), option.chance / (1 - right)
    when_wrong = min(max(option.chance * option.after_error, least, 0.0), most, 1.0)
    when_right = (option.chance - (1 - right) * when_wrong) / right
    chance = confidence * when_right + (1 - confidence) * when_wrong
    return replace(option, chance=min(max(chance, 0.0), 1.0))


def _stop(confidence: float, stakes: Stakes) -> Plan:
    abstains = confidence < stakes.abstain_below
    worth = stakes.abstain_below if abstains else confidence
    return Plan(
        None, stakes.error_usd * (1 - worth), 0.0, 0.0 if abstains else confidence, abstains
    )


def _asked(confidence: float, options: Sequence[Option], stakes: Stakes) -> Iterator[Plan]:
    for place, option in enumerate(options):
        dearer = options[place + 1 :]
        total = option.price_usd + stakes.wait_usd_per_s * option.seconds
        price, chance = option.price_usd, 0.0
        for probability, told in _outcomes(option):
            left = [after(one, option, told) for one in dearer]
            best = plans(max(confidence, told), left, stakes)[0]
            total += probability * best.total_usd
            price += probability * best.price_usd
            chance += probability * best.chance
        yield Plan(option, total, price, chance)


def _outcomes(option: Option) -> list[tuple[float, float]]:
    """The confidences that its answer may get, each with its probability; their mean is its chance.

    It is high as often as the answer is right; `sharpness` squared is the share of the variance of
    right and wrong that it explains.
    """
    chance, sharpness = option.chance, option.sharpness
    high = chance + sharpness * (1 - chance)
    low = chance * (1 - sharpness)
    return [(chance, high), (1 - chance, low)]
