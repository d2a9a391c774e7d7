"""One sentence on each arm of an experiment, with the numbers that tell how it stands."""

from __future__ import annotations

from collections.abc import Callable

from generation.experiments.findings import ArmFindings, Comparison, State
from generation.experiments.records import ArmRecord

LONG_DAYS = 90.0
"""An experiment that would take longer to end is told that it has too little traffic."""


def said_of(record: ArmRecord, control: ArmRecord, found: ArmFindings | None, state: State) -> str:
    """The sentence on an arm that was not stopped; `found` is None for the control itself."""
    if found is None:
        return f"what the others are compared with: {_right(record)}"
    seen = _seen(record, control, found, state)
    if state == "running":
        return f"cannot be told yet: {'; '.join([*seen, _missing(record, control, found)])}"
    return f"{state} than {control.arm}: {'; '.join(seen)}"


def _seen(record: ArmRecord, control: ArmRecord, found: ArmFindings, state: State) -> list[str]:
    """What is seen of each outcome; of those that prove the state alone, where it is proven."""
    seen = []
    if found.quality is not None and _tells(found.quality, state):
        both = f"{_right(record)}, {control.arm} {_right(control)}"
        seen.append(f"{both}: {_difference(found.quality, _points, ' points')}")
    if found.worth is not None and _tells(found.worth, state):
        uses = f"by {len(record.uses):,} and {len(control.uses):,} uses, it is worth"
        seen.append(f"{uses} {_difference(found.worth, _usd, ' an answer')}")
    if found.excess is not None and state == "worse" and found.excess.low > 0:
        seen.append(
            f"an answer costs {_usd(record.cost.mean)} and one of {control.arm} "
            f"{_usd(control.cost.mean)}: above the limit by {_usd(found.excess.low)} at least"
        )
    return seen


def _tells(compared: Comparison, state: State) -> bool:
    proves = {"worse": compared.proves_worse, "better": compared.proves_better}
    return proves.get(state, True)


def _missing(record: ArmRecord, control: ArmRecord, found: ArmFindings) -> str:
    """What it takes to end it."""
    if found.quality is None and found.worth is None:
        silent = [one.arm for one in (record, control) if not (one.verdicts or one.uses)]
        if silent:
            return f"no verdict was given yet on answers of {' and '.join(silent)}"
        return f"too few verdicts on answers of {record.arm} and {control.arm} to compare them"
    of = (("verdicts", found.quality), ("uses", found.worth))
    told = [(one.outlook, name) for name, one in of if one is not None and one.outlook is not None]
    if not told:
        return "no difference is seen that more of them could prove"
    outlook, name = min(told, key=lambda pair: pair[0].days)
    line = f"about {outlook.more:,} more {name} prove such a difference, at the pace so far in "
    line += "less than a day" if outlook.days < 1 else f"{outlook.days:,.0f} days"
    if outlook.days <= LONG_DAYS:
        return line
    return f"{line}: too little traffic, so give the arm a greater share or end the experiment"


def _right(record: ArmRecord) -> str:
    verdicts = record.verdicts
    if not verdicts:
        return "without verdicts"
    return f"right in {sum(verdicts) / len(verdicts):.1%} of {len(verdicts):,} verdicts"


def _difference(compared: Comparison, shown: Callable[[float], str], unit: str) -> str:
    one = compared.difference
    between = f"{shown(one.value)}{unit} ({shown(one.low)} to {shown(one.high)})"
    if compared.proves_worse or compared.proves_better:
        evidence = max(compared.e_worse, compared.e_better)
        return f"{between}, with e = {evidence:,.3g} where {compared.e_needed:,.0f} is proof"
    return between


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _usd(usd: float) -> str:
    return f"{'-' if usd < 0 else ''}${abs(usd):.6f}"
