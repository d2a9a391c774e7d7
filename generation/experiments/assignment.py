"""Which configuration of an experiment serves a conversation.

The hash of a conversation's id decides, so that nothing has to be kept: every process gives it the
same arm at all times, and an experiment of another name divides the conversations anew. Who changes
the arms or their shares gives the experiment a new name, or some conversations change their arm.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_HASHES = 2**64


@dataclass(frozen=True, slots=True)
class Arm:
    """A configuration that takes part, with its share of the conversations, above 0 to 1."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """Arms side by side; the first is the control, the configuration that is in force anyway.

    There are two arms at least, each of another name, and their shares add up to 1. `error`, above
    0 and below 1, is the chance that anything false is ever said to be proven, however often one
    looks and however long it runs.
    """

    name: str
    arms: tuple[Arm, ...]
    error: float = 0.05

    @property
    def control(self) -> Arm:
        """What the others are compared with."""
        return self.arms[0]

    def label(self, arm: str) -> str:
        """What stands on the answers of an arm."""
        return f"{self.name}/{arm}"


def assign(experiment: Experiment, conversation_id: str) -> str:
    """The name of the arm that serves a conversation."""
    drawn = f"{experiment.name}\0{conversation_id}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(drawn).digest()
    left = int.from_bytes(digest[:8], "big") / _HASHES
    for arm in experiment.arms:
        left -= arm.share
        if left < 0:
            return arm.name
    return experiment.arms[-1].name  # shares that add up to a little less than 1
