"""`rag experiments`: how the arms of the experiment stand, and which of them were stopped."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from api.cli.options import JsonOption, print_json

if TYPE_CHECKING:
    from generation.experiments.assignment import Experiment
    from generation.experiments.findings import ArmResult


def experiments(*, json: JsonOption = False) -> None:
    """Show cost and quality of each arm of the experiment, and what is proven."""
    from api.assembly.experimenting import looked_at
    from api.settings import load_settings

    experiment, results = looked_at(load_settings())
    if json:
        print_json(_as_json(experiment, results))
    else:
        from api.cli.tables.experiments import print_experiment

        print_experiment(experiment, results)


def _as_json(experiment: Experiment, results: list[ArmResult]) -> dict[str, Any]:
    return {
        "experiment": experiment.name,
        "error": experiment.error,
        "arms": [
            {
                "arm": arm.name,
                "share": arm.share,
                "state": result.state,
                "says": result.says,
                "answers": result.record.answers,
                "tiers": dict(result.record.tiers),
                "statuses": dict(result.record.statuses),
                "usd_per_answer": result.record.cost.mean if result.record.cost.count else None,
                "answers_of_unknown_cost": result.record.answers - result.record.priced,
                "ms_per_answer": result.record.ms,
                "verdicts": len(result.record.verdicts),
                "right": sum(result.record.verdicts),
                "uses": {
                    use: result.record.uses.count(use) for use in ("used", "edited", "ignored")
                },
                "encs_usd": None if result.encs is None else asdict(result.encs),
                "findings": None if result.findings is None else asdict(result.findings),
            }
            for arm, result in zip(experiment.arms, results, strict=True)
        ],
    }
