"""What it takes to decide who answers: chances, the plans, and the sentence that says why.

    python -m benchmarks.deciding_speed --data ../shared/data

The policy of least expected cost with a router fitted on 1,500 questions of routellm's MMLU decides
about other questions of it: once before any call, and once more after an unsure local answer. The
vector of the question is there already, as it is in the service, where the search needs it first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from api.build import embedding
from api.settings import Settings
from benchmarks.publish import write_result
from generation.confidence.calibration import Calibrator
from generation.deciding.asked import Asked
from generation.deciding.chances import ChanceEstimator, bundled_chances, traits_of
from generation.deciding.decision import Stakes
from generation.deciding.expected_cost import ExpectedCost
from generation.deciding.fitting_routes import RoutingExample, fit_router
from generation.deciding.policy import Case, PlainRule
from generation.deciding.price_of_error import StatedPrice
from generation.deciding.tier_costs import TierCost, TierCosts
from indexing.embedding.remembering import RememberingEmbedder
from rag.types import Context, Generation, Passage, Question

FITTED, DECIDED = 1_500, 500


async def measure(data: Path, folder: Path) -> dict[str, Any]:
    """Milliseconds of both decisions of a question together."""
    with (data / "routellm" / "mmlu.jsonl").open(encoding="utf-8") as lines:
        rows = random.Random(0).sample([json.loads(line) for line in lines], FITTED + DECIDED)
    packaged, _, _ = embedding(Settings(data_dir=folder))
    embedder = RememberingEmbedder(packaged)
    texts = [row["prompt"] for row in rows]
    vectors = await embedder.embed([Passage(text, "question") for text in texts[:FITTED]])
    examples = [
        RoutingExample(
            Asked(text, one.vector, row["task"]),
            {"local": row["mixtral-8x7b"], "premium": row["gpt-4-1106"]},
        )
        for text, one, row in zip(texts[:FITTED], vectors, rows, strict=False)
    ]
    record = bundled_chances()
    policy = ExpectedCost(
        ChanceEstimator(
            Calibrator.from_record(record["holds_answer"]),
            traits_of(record),
            embedder,
            fit_router(examples, 0, embedder.fingerprint),
        ),
        TierCosts({"local": TierCost(0.0002, 0.8), "premium": TierCost(0.003, 2.0)}),
        StatedPrice(Stakes(0.05, 0.0005, 0.35), {}),
        PlainRule(0.7),
    )
    times = [await _decided(policy, embedder, row) for row in rows[FITTED:]]
    return {
        "questions": len(times),
        "median_ms": round(statistics.median(times), 3),
        "p99_ms": round(statistics.quantiles(times, n=100)[98], 3),
    }


async def _decided(policy: ExpectedCost, embedder: RememberingEmbedder, row: Any) -> float:
    question = Question(row["prompt"], row["task"])
    await embedder.embed([Passage(question.text, "question")])  # as the search has
    quote = Generation("q", (), 0.4, False, "extractive", "quote")
    local = Generation("l", (), 0.5, False, "local", "m")
    began = time.perf_counter()
    await policy.choose(Case(question, (), Context((), "", 0), [quote], ["local", "premium"]))
    await policy.choose(Case(question, (), Context((), "", 0), [quote, local], ["premium"]))
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_result("deciding_speed", asyncio.run(measure(arguments.data, Path(folder))))


if __name__ == "__main__":
    main()
