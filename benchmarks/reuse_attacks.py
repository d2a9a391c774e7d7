"""Is an answer given again to a question that only looks the same?

    python -m benchmarks.reuse_attacks --data ../shared/data

Attacks are made from real questions (`benchmarks.made_pairs`): one number, unit, name, "not",
opposite, date, direction or role is another one, and some are politely put besides. Beside them,
harmless rewordings of the same questions. Both are made with two vocabularies: the one that was
looked at while the checks were built, and one that was written afterwards. The questions of a set
are what is kept: their mean is the topic, and the nearest of the others is the rival. A pair is
reused when no difference is seen and the bundled score reaches the bundled threshold.

The peer is a threshold on the cosine that reuses as many of the rewordings.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.made_pairs.attacks import attacks
from benchmarks.made_pairs.questions import asked_questions, vectors_of
from benchmarks.made_pairs.rewordings import rewordings
from benchmarks.made_pairs.words import MadePair, vocabulary
from benchmarks.publish import write_result
from generation.reuse.differences import differences
from generation.reuse.sameness import Background, Sameness

VOCABULARIES = ("seen", "held_out")
ATTACKS_PER_KIND = 75
"""Of each set of questions, of which there are four."""
REWORDINGS_PER_KIND = 60
SEED = 0


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a pair. `cosine` is the plain one."""

    pair: MadePair
    cosine: float
    score: float
    has_difference: bool
    is_reused: bool


async def tried(pairs: Sequence[MadePair], questions: Sequence[str]) -> list[Tried]:
    """Every pair, asked of a service that keeps these questions and the pair's own."""
    sameness = Sameness.bundled()
    known = await vectors_of(questions)
    kept, asked = (
        await vectors_of([pair.kept for pair in pairs]),
        await vectors_of([pair.asked for pair in pairs]),
    )
    background = Background.of(known)
    results = []
    for pair, before, now in zip(pairs, kept, asked, strict=True):
        others = background.cosines(known, now)
        others[questions.index(pair.source)] = -1
        cosine = float(background.cosines(before[None], now)[0])
        score = sameness.score(pair.kept, pair.asked, cosine, float(others.max()))
        differs = bool(differences(pair.kept, pair.asked))
        is_reused = not differs and score >= sameness.threshold
        results.append(Tried(pair, float(before @ now), score, differs, is_reused))
    return results


async def measure(data: Path, name: str) -> dict[str, Any]:
    """Attacks and rewordings made with one vocabulary."""
    words = vocabulary(name)
    attacked: list[Tried] = []
    reworded: list[Tried] = []
    for questions in asked_questions(data).values():
        attacked += await tried(attacks(questions, ATTACKS_PER_KIND, words, SEED), questions)
        reworded += await tried(rewordings(questions, REWORDINGS_PER_KIND, words, SEED), questions)
    reused = np.mean([one.is_reused for one in reworded])
    threshold = np.quantile([one.cosine for one in reworded], 1 - reused)
    return {
        "attacks": len(attacked),
        "attacks_reused": _share([one.is_reused for one in attacked]),
        "attacks_reused_by_kind": _by_kind(attacked),
        "attacks_without_a_seen_difference": _share([not one.has_difference for one in attacked]),
        "rewordings": len(reworded),
        "rewordings_reused": _share([one.is_reused for one in reworded]),
        "rewordings_reused_by_kind": _by_kind(reworded),
        "rewordings_with_a_seen_difference": _share([one.has_difference for one in reworded]),
        "cosine threshold that reuses as many rewordings": {
            "threshold": round(float(threshold), 4),
            "attacks_reused": _share([one.cosine >= threshold for one in attacked]),
        },
    }


def _share(values: Sequence[bool]) -> float:
    return round(float(np.mean(values)), 4)


def _by_kind(results: Sequence[Tried]) -> dict[str, float]:
    kinds = dict.fromkeys(one.pair.kind for one in results)
    return {
        kind: _share([one.is_reused for one in results if one.pair.kind == kind]) for kind in kinds
    }


def figures(data: Path) -> dict[str, Any]:
    """Both vocabularies."""

    async def both() -> dict[str, Any]:
        return {name: await measure(data, name) for name in VOCABULARIES}

    return {"seed": SEED, **asyncio.run(both())}


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    write_result("reuse_attacks", figures(parser.parse_args().data))


if __name__ == "__main__":
    main()
