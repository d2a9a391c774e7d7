"""How often the share of wrong reuses stays within the bound that was set.

    python -m benchmarks.reuse_bound --data ../shared/data

Streams of questions, each in 100 shuffles. What a fresh answer would have been is known from the
labels, and is told to the bound only where a fresh answer is made: never after a reuse.

- banking77: 4,000 of its 13,083 questions, drawn anew for each shuffle. A question's answer is its
  intent; the nearest of those that were answered afresh speak for theirs.
- covid_question_similarity, English and German: its pairs. The first question of a pair is kept,
  the second asked, and the set says whether they are the same. Nothing is known of a question and
  those of other pairs, so no other candidate is looked at.

Counted strictly: wrong reuses among reuses. Among all questions, as vCache counts, stands beside.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.publish import write_result
from generation.reuse.bound import HEARD, Bound, Candidate, Verdict, propose
from generation.reuse.differences import differences
from generation.reuse.sameness import Background, Sameness
from indexing.embedding.packaged import PackagedEmbedder
from rag.types import Passage, Vector

LIMITS = (0.01, 0.02, 0.05)
SHUFFLES = 100
STREAM = 4_000
_CENTRE_GROWTH = 1.2
_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Questions, their unit vectors `[n, 384]`, and the names of their answers."""

    texts: Sequence[str]
    vectors: Vector
    answers: Sequence[str]

    def sample(self, count: int, seed: int) -> Labelled:
        """So many of them in random order."""
        chosen = np.random.default_rng(seed).permutation(len(self.texts))[:count]
        return Labelled(
            [self.texts[i] for i in chosen],
            self.vectors[chosen],
            [self.answers[i] for i in chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Kept and asked questions, the cosines of their vectors, and whether they are the same."""

    kept: Sequence[str]
    asked: Sequence[str]
    cosines: Vector
    same: Sequence[bool]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one stream."""

    questions: int
    hits: int
    wrong: int

    @property
    def wrong_share(self) -> float:
        """Wrong reuses among reuses."""
        return self.wrong / self.hits if self.hits else 0.0

    @property
    def wrong_of_all(self) -> float:
        """Wrong reuses among questions."""
        return self.wrong / self.questions


def load_banking(data: Path, embed: Callable[[Sequence[str]], Vector]) -> Labelled:
    """All questions, with their intents for answers."""
    rows = [row for name in ("train", "test") for row in _rows(data / "banking77" / f"{name}.csv")]
    texts = [row["text"] for row in rows]
    return Labelled(texts, embed(texts), [row["category"] for row in rows])


def load_pairs(data: Path, language: str, embed: Callable[[Sequence[str]], Vector]) -> Pairs:
    """The pairs of one language, their vectors centred on the questions of that language."""
    folder = data / "covid_question_similarity"
    rows = list(_rows(folder / f"eval_question_similarity_{language}.csv"))
    kept, asked = ([row[f"question_{i}"] for row in rows] for i in (1, 2))
    kept_vectors, asked_vectors = embed(kept), embed(asked)
    background = Background.of(kept_vectors)
    cosines = np.sum(background.centred(kept_vectors) * background.centred(asked_vectors), axis=1)
    return Pairs(kept, asked, cosines, [row["similar"] == "1" for row in rows])


def packaged_embed(texts: Sequence[str]) -> Vector:
    """Vectors of the packaged model."""

    async def embedded() -> Vector:
        with TemporaryDirectory() as folder:
            embedder = PackagedEmbedder(Path(folder))
            found = [
                embedding.vector
                for first in range(0, len(texts), _AT_ONCE)
                for embedding in await embedder.embed(
                    [Passage(text, "question") for text in texts[first : first + _AT_ONCE]]
                )
            ]
        return np.array(found)

    return asyncio.run(embedded())


@lru_cache(maxsize=200_000)
def differ(kept: str, asked: str) -> bool:
    """Whether one can see that they ask for different things."""
    return bool(differences(kept, asked))


def reuse(stream: Labelled, bound: Bound, seed: int) -> Run:
    """Answer a stream as the service does: reuse within the bound, or answer afresh and keep it."""
    draws = np.random.default_rng(seed).random(len(stream.texts))
    kept: list[int] = []
    hits = wrong = 0
    for asked, found in _nearest(stream, kept):
        proposal = propose([_candidate(stream, near, asked, cosine) for near, cosine in found])
        if proposal is not None:
            is_right = proposal.answer == stream.answers[asked]
            if bound.decide(proposal, draws[asked]).action == "reuse":
                hits += 1
                wrong += not is_right
                continue
            bound.observe(Verdict(proposal.answer, proposal.score, is_right))
        kept.append(asked)
    return Run(len(stream.texts), hits, wrong)


def reuse_pairs(pairs: Pairs, bound: Bound, seed: int) -> Run:
    """The same for pairs in random order."""
    random = np.random.default_rng(seed)
    draws = random.random(len(pairs.same))
    sameness = _sameness()
    hits = wrong = 0
    for i in random.permutation(len(pairs.same)).tolist():
        if differ(pairs.kept[i], pairs.asked[i]):
            continue
        score = sameness.score(pairs.kept[i], pairs.asked[i], float(pairs.cosines[i]))
        proposal = propose([Candidate(pairs.kept[i], score)])
        assert proposal is not None
        if bound.decide(proposal, draws[i]).action == "reuse":
            hits += 1
            wrong += not pairs.same[i]
        else:
            bound.observe(Verdict(proposal.answer, proposal.score, pairs.same[i]))
    return Run(len(pairs.same), hits, wrong)


@cache
def _sameness() -> Sameness:
    return Sameness.bundled()


def _nearest(stream: Labelled, kept: list[int]) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """Each question with the nearest of those that were `kept` so far and their centred cosines."""
    rows = np.empty_like(stream.vectors)
    filled, next_centre = 0, 0.0
    for asked in range(len(stream.texts)):
        if len(kept) >= next_centre:
            centred = Background.of(stream.vectors[kept]).centred(stream.vectors)
            filled, next_centre = 0, 1.0 + len(kept) * _CENTRE_GROWTH
        rows[filled : len(kept)] = centred[kept[filled:]]
        filled = len(kept)
        cosines = rows[:filled] @ centred[asked]
        best = np.argsort(-cosines, kind="stable")[:HEARD]
        yield asked, [(kept[place], float(cosines[place])) for place in best.tolist()]


def _candidate(stream: Labelled, near: int, asked: int, cosine: float) -> Candidate:
    kept, question = stream.texts[near], stream.texts[asked]
    score = _sameness().score(kept, question, cosine)
    return Candidate(stream.answers[near], score, not differ(kept, question))


def figure(runs: Sequence[Run], limit: float) -> dict[str, float]:
    """Medians over shuffles, and in how many of them the bound held."""
    return {
        "hits": median(run.hits for run in runs),
        "wrong_share": round(sum(r.wrong for r in runs) / max(1, sum(r.hits for r in runs)), 5),
        "worst_wrong_share": round(max(run.wrong_share for run in runs), 5),
        "held": sum(run.wrong_share <= limit for run in runs),
        "held_of_all": sum(run.wrong_of_all <= limit for run in runs),
    }


def measure(data: Path, shuffles: int) -> dict[str, Any]:
    """All sets at all limits."""
    banking = load_banking(data, packaged_embed)
    sets = {
        "banking77": at_limits(shuffles, lambda seed: partial(reuse, banking.sample(STREAM, seed)))
    }
    for language in ("en", "de"):
        pairs = load_pairs(data, language, packaged_embed)
        name = f"covid_question_similarity {language}"
        sets[name] = at_limits(shuffles, lambda seed, pairs=pairs: partial(reuse_pairs, pairs))
    return {"shuffles": shuffles, "seeds": f"0 to {shuffles - 1}", "sets": sets}


def at_limits(
    shuffles: int, stream: Callable[[int], Callable[[Bound, int], Run]]
) -> dict[str, Any]:
    """The same shuffles at each limit; `stream` gives what answers the one of a seed."""
    runs: dict[float, list[Run]] = {limit: [] for limit in LIMITS}
    for seed in range(shuffles):
        answer = stream(seed)
        for limit in LIMITS:
            runs[limit].append(answer(Bound(limit), seed))
    return {
        "questions": runs[LIMITS[0]][0].questions,
        "limits": {str(limit): figure(runs[limit], limit) for limit in LIMITS},
    }


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--shuffles", type=int, default=SHUFFLES)
    arguments = parser.parse_args()
    write_result("reuse_bound", measure(arguments.data, arguments.shuffles))


if __name__ == "__main__":
    main()
