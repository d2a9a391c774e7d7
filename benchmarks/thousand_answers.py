"""What 1,000 answers cost beside the naive way, at which quality. The models are simulated.

    python -m benchmarks.thousand_answers --data ../shared/data

The workload is the held-out questions of nq_open and of clapnq, half of which have no answer, over
their whole corpora. Search, compression, quotes, their confidence, the chances and the decision are
the real ones: with the defaults of the project, and as `rag calibrate` would make them, for each
collection, of verdicts on the other half of the questions. Quotes are judged by the sets' gold.

No language model is called. What one would have written is drawn: it is right with a stated chance
(its skill) where what it was given holds the answer, and finds that there is none with the same
chance where it does not. Both models, and the naive way, draw from one number a question, so that
the dearer model knows whatever the cheaper one knows. The confidence of a written answer is drawn
too: from its chance, and evidence as strong as separates right from wrong with an AUROC of .86, as
measured on human verdicts (see calibration). Prices are stated below; tokens are counted.

The naive way sends the five best chunks whole to the premium model, for every question. Quality is
the share of questions that are answered rightly, or rightly not answered.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.setting_groups.answers import AnswerSettings, ContextSettings, RetrievalSettings
from benchmarks.fit_confidence import as_citations
from benchmarks.indexed import Indexed
from benchmarks.publish import write_result
from benchmarks.question_sets import QuestionSet, load_clapnq, load_nq_open
from benchmarks.splits import is_held_out
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from generation.batching.collected import Heard
from generation.confidence.calibration import Calibrator
from generation.confidence.fitting import Outcome, fit_calibrator
from generation.confidence.quoted import LogisticConfidence
from generation.confidence.signals import retrieval_signals
from generation.deciding.asked import Asked
from generation.deciding.chances import ChanceEstimator, bundled_chances, traits_of
from generation.deciding.decision import Option, Stakes
from generation.deciding.fitting_routes import RoutingExample, fit_router
from generation.deciding.frontier import Played, Point, Told, frontier
from generation.deciding.policy import Case
from generation.tiers.extractive import ExtractiveGenerator
from rag.types import Passage, Piece, Question

SEEDS = 5
SKILL = {"local": 0.85, "premium": 0.95}
SEPARATION = 1.5  # standard deviations between right and wrong: an AUROC of .86
PROMPT_TOKENS, OUTPUT_TOKENS = 350, 120
USD_INPUT, USD_OUTPUT = 2.50e-6, 10.00e-6  # of GPT-4o
USD_LOCAL = 1.20 / 3600 * 0.5  # half a second of a GPU at $1.20 an hour
NAIVE_CHUNKS = 5
MOST_LABELS = 1_500
RISING = ("quote_confidence", "quote_cosine", "sparse_score", "top_score", "top_cosine", "margin")
WANTED_QUALITY, WANTED_COST = 0.97, 0.15


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question, and what is real of it; `options` have the chances before any call."""

    question_id: str
    is_held_out: bool
    asked: Asked
    quote: Told
    holds: bool
    naive_holds: bool
    has_answer: bool
    tokens: int
    naive_tokens: int
    options: tuple[Option, ...]


async def prepare(question_set: QuestionSet) -> list[Prepared]:
    """The held-out questions, searched, compressed, quoted and judged."""
    indexed = await Indexed.of(question_set)
    counter, settings = TiktokenCounter(), ContextSettings()
    compressor = BudgetCompressor(counter, Usefulness.bundled(), settings.min_usefulness)
    quoting = ExtractiveGenerator(LogisticConfidence.bundled(), abstain_below=0.0)
    record = bundled_chances()
    estimator = ChanceEstimator(
        Calibrator.from_record(record["holds_answer"]), traits_of(record), indexed.embedder
    )
    prepared = []
    async with indexed.searchable() as retriever:
        for asked in question_set.questions:
            [embedded] = await indexed.embedder.embed([Passage(asked.text, "question")])
            question = Question(asked.text, question_set.name)
            hits = await retriever.retrieve(question, RetrievalSettings().chunks)
            context = compressor.compress(question, hits, settings.max_tokens)
            quote = await quoting.generate(question, hits, context, Heard([]))
            naive = [Piece(hit, hit.chunk.start, hit.chunk.end) for hit in hits[:NAIVE_CHUNKS]]
            case = Case(question, hits, context, [quote], ["local", "premium"])
            chances = await estimator.estimate(case, ["local", "premium"])
            prepared.append(
                Prepared(
                    question_id=f"{question_set.name}/{asked.question_id}",
                    is_held_out=is_held_out(question_set.name, asked.question_id),
                    asked=Asked(
                        asked.text,
                        embedded.vector,
                        question_set.name,
                        retrieval_signals(hits, quote),
                    ),
                    quote=Told(0.0, quote.confidence, asked.is_right(quote.citations)),
                    holds=asked.is_right(as_citations(context.pieces)),
                    naive_holds=asked.is_right(as_citations(naive)),
                    has_answer=bool(asked.gold),
                    tokens=context.tokens,
                    naive_tokens=sum(counter.count(piece.text) for piece in naive),
                    options=tuple(
                        Option(tier, 0.0, 0.0, told.chance, told.sharpness, told.after_error)
                        for tier, told in chances.by_tier.items()
                    ),
                )
            )
    return prepared


def usd_of(tokens: int) -> float:
    """A call of the premium model with so many tokens of context."""
    return (PROMPT_TOKENS + tokens) * USD_INPUT + OUTPUT_TOKENS * USD_OUTPUT


def written(one: Prepared, tier: str, usd: float, luck: float, noise: float) -> Told:
    """What a model writes; "no answer" has no confidence, and is right where there is none."""
    chance = next(option.chance for option in one.options if option.tier == tier)
    knows = luck < SKILL[tier]
    if not one.holds and knows:
        return Told(usd, 0.0, is_right=False, abstains=True)
    right = one.holds and knows
    evidence = noise + (SEPARATION / 2 if right else -SEPARATION / 2)
    log_odds = math.log(max(chance, 1e-6) / max(1 - chance, 1e-6)) + SEPARATION * evidence
    return Told(usd, 1 / (1 + math.exp(-log_odds)), right)


def calibrated(prepared: Sequence[Prepared]) -> list[Prepared]:
    """The held-out ones with confidence and chances fitted to verdicts on the others."""
    known = [one for one in prepared if not one.is_held_out]
    quotes = fit_calibrator(
        [Outcome(one.asked.signals, one.quote.is_right) for one in known],
        "extractive",
        "the other half",
        0,
        RISING,
    )
    judge = Calibrator.from_record(quotes.record)
    chosen = random.Random(0).sample(known, min(MOST_LABELS, len(known)))
    examples = []
    for one in chosen:
        luck = random.Random(f"verdict/{one.question_id}").random()
        right = {tier: one.holds and luck < skill for tier, skill in SKILL.items()}
        examples.append(RoutingExample(one.asked, right))
    router = fit_router(examples, 0)
    fitted = []
    for one in prepared:
        if one.is_held_out:
            chances = router.chances(one.asked)
            sure = judge.estimate(one.asked.signals).probability
            fitted.append(
                replace(
                    one,
                    quote=replace(one.quote, confidence=sure),
                    options=tuple(replace(o, chance=chances[o.tier]) for o in one.options),
                )
            )
    return fitted


def play(prepared: Sequence[Prepared], seed: int) -> dict[str, Any]:
    """One drawing of all models: the naive way, and every price of an error."""
    played, naive = [], []
    for one in prepared:
        chooser = random.Random(f"{seed}/{one.question_id}")
        luck, usd = chooser.random(), usd_of(one.tokens)
        told = {
            "extractive": one.quote,
            "local": written(one, "local", USD_LOCAL, luck, chooser.gauss(0, 1)),
            "premium": written(one, "premium", usd, luck, chooser.gauss(0, 1)),
        }
        priced = {"local": USD_LOCAL, "premium": usd}
        options = tuple(
            Option(o.tier, priced[o.tier], 0.0, o.chance, o.sharpness, o.after_error)
            for o in one.options
        )
        played.append(Played(told, options, abstaining_is_right=not one.has_answer))
        knows = luck < SKILL["premium"]
        naive.append((usd_of(one.naive_tokens), knows and one.naive_holds == one.has_answer))
    stakes = Stakes(1.0, 0.0, AnswerSettings().abstain_below)
    found = frontier(played, stakes)
    usd = statistics.fmean(usd for usd, _ in naive)
    quality = statistics.fmean(is_right for _, is_right in naive)
    return {"naive": Point("naive", usd, quality), "frontier": found}


def _cheapest(found: Any, naive: Point) -> Point | None:
    enough = [one for one in found.points if one.quality >= WANTED_QUALITY * naive.quality]
    return min(enough, key=lambda one: one.usd, default=None)


def summed(prepared: Sequence[Prepared]) -> dict[str, Any]:
    """Over all drawings: means, and the price of an error that suffices in each."""
    plays = [play(prepared, seed) for seed in range(SEEDS)]
    naive_usd = statistics.fmean(one["naive"].usd for one in plays)
    naive_quality = statistics.fmean(one["naive"].quality for one in plays)
    curve = []
    for place, first in enumerate(plays[0]["frontier"].points):
        at = [one["frontier"].points[place] for one in plays]
        usd = statistics.fmean(one.usd for one in at)
        quality = statistics.fmean(one.quality for one in at)
        curve.append(
            {
                "error_usd": float(f"{first.error_usd:.3g}"),
                "usd_per_1000": round(1000 * usd, 4),
                "quality": round(quality, 4),
                "of_naive_usd": round(usd / naive_usd, 4),
                "of_naive_quality": round(quality / naive_quality, 4),
            }
        )
    enough = [one for one in curve if one["of_naive_quality"] >= WANTED_QUALITY]
    shares = [
        None if best is None else round(best.usd / one["naive"].usd, 4)
        for one in plays
        for best in [_cheapest(one["frontier"], one["naive"])]
    ]
    return {
        "questions": len(prepared),
        "without_an_answer": sum(not one.has_answer for one in prepared),
        "naive": {
            "usd_per_1000": round(1000 * naive_usd, 4),
            "quality": round(naive_quality, 4),
            "tokens": round(statistics.fmean(one.naive_tokens for one in prepared), 1),
        },
        "tokens": round(statistics.fmean(one.tokens for one in prepared), 1),
        "singles": [
            {
                "name": point.name,
                "usd_per_1000": round(1000 * point.usd, 4),
                "quality": round(point.quality, 4),
            }
            for point in plays[0]["frontier"].singles
        ],
        "cheapest_enough": min(enough, key=lambda one: one["usd_per_1000"], default=None),
        "share_by_seed": shares,
        "curve": curve,
    }


def main() -> None:
    """Prepare, draw, publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    sets = [load(arguments.data) for load in (load_nq_open, load_clapnq)]
    prepared = {one.name: asyncio.run(prepare(one)) for one in sets}
    every = [one for some in prepared.values() for one in some]
    figures: dict[str, Any] = {
        "skill": SKILL,
        "auroc_of_confidence": 0.86,
        "usd": {"input": USD_INPUT, "output": USD_OUTPUT, "local_answer": round(USD_LOCAL, 6)},
        "default": summed([one for one in every if one.is_held_out]),
        "calibrated": summed([one for some in prepared.values() for one in calibrated(some)]),
    }
    for name, some in prepared.items():
        told = summed(calibrated(some))
        figures[name] = {key: told[key] for key in ("questions", "naive", "cheapest_enough")}
    write_result("thousand_answers", figures)


if __name__ == "__main__":
    main()
