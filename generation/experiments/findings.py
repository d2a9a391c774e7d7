"""What is found of the arms of an experiment, and what the operator has said about finding it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from generation.experiments.records import ArmRecord
from generation.experiments.sequential import Interval
from generation.experiments.worth import Encs, Worths

State = Literal["control", "running", "better", "worse", "stopped"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """About how many outcomes more, of both arms together, and in how many days at this pace."""

    more: int
    days: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm minus the control, in one of the outcomes; `difference` is that of the means.

    The e-values are those of the claims that the arm is worse and better: 1 is no evidence, and
    `e_needed` proves one. `outlook` is what it takes to prove the difference that is seen, None
    where there is none.
    """

    difference: Interval
    e_worse: float
    e_better: float
    e_needed: float
    outlook: Outlook | None

    @property
    def proves_worse(self) -> bool:
        """Whether the arm is proven worse."""
        return self.e_worse >= self.e_needed

    @property
    def proves_better(self) -> bool:
        """Whether the arm is proven better."""
        return self.e_better >= self.e_needed


@dataclass(frozen=True, slots=True)
class ArmFindings:
    """An arm beside the control. A comparison is None before there are outcomes of both.

    `quality` is of the share that is right, `worth` of dollars that an answer is worth to its
    reader, and `cost` of dollars that it costs. `excess` is what it costs beyond the operator's
    limit, None where he sets none; it is proven where its lower end is above 0. Both are None
    before there are 100 conversations of both whose cost is known.
    """

    quality: Comparison | None
    worth: Comparison | None
    cost: Interval | None
    excess: Interval | None


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What is known of an arm, and one sentence that `says` it, with the numbers.

    `findings` are None of the control. A stopped arm stays so, whatever is found afterwards.
    """

    record: ArmRecord
    state: State
    says: str
    encs: Encs | None
    findings: ArmFindings | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has said: what uses are worth, and what an arm may cost at most.

    `max_cost_ratio` is the most that an answer may cost, as a multiple of the control's.
    """

    worths: Worths | None = None
    max_cost_ratio: float | None = None
