"""Which questions the weights of this project were fitted on, and which are held out.

Every program that fits, and every one that measures what was fitted, takes the split from here.
"""

from __future__ import annotations

import random


def is_held_out(question_set: str, question_id: str) -> bool:
    """Whether nothing was fitted on this question: a seeded half of each set."""
    return random.Random(f"{question_set}/{question_id}").random() < 0.5
