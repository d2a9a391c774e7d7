"""What an experiment shows so far: which arms are proven better or worse than the control.

The experiment's error is divided evenly among all that may be said to be proven: of each arm beside
the control, that its verdicts are worse and that they are better, the same of what its uses are
worth where the operator has said that, and that it is too dear where he has set a limit. So the
chance that anything false is ever said to be proven is at most the error, of costs asymptotically.
The interval of a difference leaves 0 out just when one of its sides is proven.

Verdicts and uses are compared among those who gave them: an arm whose users judge other answers
than the control's users do is not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from generation.experiments.assignment import Experiment
from generation.experiments.findings import (
    ArmFindings,
    ArmResult,
    Comparison,
    Outlook,
    Rules,
    State,
)
from generation.experiments.records import ArmRecord
from generation.experiments.sequential import (
    Interval,
    Outcomes,
    block_sizes,
    blocks_to_proof,
    cost_difference,
    evidence,
    in_blocks,
    interval,
)
from generation.experiments.wording import said_of
from generation.experiments.worth import encs


def judge(
    experiment: Experiment,
    records: Sequence[ArmRecord],
    rules: Rules,
    stopped: Mapping[str, str],
    now: datetime,
) -> list[ArmResult]:
    """The result of each arm; `records` are in the order of the arms, the control's first.

    `stopped` tells by name why an arm was stopped.
    """
    control = records[0]
    error = experiment.error / (len(experiment.arms) - 1) / _claims(rules)
    results = []
    for arm, record in zip(experiment.arms, records, strict=True):
        found = None
        if record is not control:
            sizes = block_sizes(arm.share, experiment.control.share)
            found = _find(_Pair(record, control, sizes, now), rules, error, experiment.error)
        why = stopped.get(record.arm)
        state: State = "stopped" if why is not None else _state(found)
        saving = None if rules.worths is None else encs(record, rules.worths, experiment.error)
        says = said_of(record, control, found, state) if why is None else f"stopped: {why}"
        results.append(ArmResult(record, state, says, saving, found))
    return results


@dataclass(frozen=True, slots=True)
class _Pair:
    """An arm and the control, how many outcomes of each make a block, and the time."""

    arm: ArmRecord
    control: ArmRecord
    sizes: tuple[int, int]
    now: datetime

    def compare(
        self,
        arm: Sequence[float],
        control: Sequence[float],
        error: float,
        scale: float = 1.0,
    ) -> Comparison | None:
        """Outcomes from 0 to 1, of which 1 is worth `scale`."""
        blocks = in_blocks(np.array(arm, float), np.array(control, float), self.sizes)
        if not blocks.size:
            return None
        low, high = interval(blocks, error)
        difference = sum(arm) / len(arm) - sum(control) / len(control)
        return Comparison(
            Interval(scale * difference, scale * (2 * low - 1), scale * (2 * high - 1)),
            e_worse=evidence(1 - blocks),
            e_better=evidence(blocks),
            e_needed=1 / error,
            outlook=self._outlook(blocks, error),
        )

    def _outlook(self, blocks: Outcomes, error: float) -> Outlook | None:
        more = blocks_to_proof(blocks, error)
        if more is None:
            return None
        began = [record.began for record in (self.arm, self.control) if record.began is not None]
        days = (self.now - min(began)).total_seconds() / 86_400
        return Outlook(more * sum(self.sizes), more / len(blocks) * days)


def _find(pair: _Pair, rules: Rules, error: float, error_of_cost: float) -> ArmFindings:
    arm, control = pair.arm, pair.control
    worth = excess = None
    if rules.worths is not None:
        least, most = rules.worths.range_usd
        own, others = rules.worths.scaled(arm.uses), rules.worths.scaled(control.uses)
        worth = pair.compare(own, others, error, most - least)
    if rules.max_cost_ratio is not None:
        excess = cost_difference(arm.cost, control.cost, error, rules.max_cost_ratio)
    return ArmFindings(
        quality=pair.compare(arm.verdicts, control.verdicts, error),
        worth=worth,
        cost=cost_difference(arm.cost, control.cost, error_of_cost),
        excess=excess,
    )


def _claims(rules: Rules) -> int:
    """How many things may be proven of an arm."""
    return 2 + 2 * (rules.worths is not None) + (rules.max_cost_ratio is not None)


def _state(found: ArmFindings | None) -> State:
    if found is None:
        return "control"
    compared = [one for one in (found.quality, found.worth) if one is not None]
    is_too_dear = found.excess is not None and found.excess.low > 0
    if is_too_dear or any(one.proves_worse for one in compared):
        return "worse"
    return "better" if any(one.proves_better for one in compared) else "running"
