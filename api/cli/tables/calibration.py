"""What `rag calibrate` prints."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from api.fitting.calibrating import Calibration, TierFit
from generation.confidence.risk import RiskLimit
from generation.deciding.routing import Router


def print_calibration(fitted: Calibration) -> None:
    """The tiers, how well their confidence held before and after, and the routing."""
    console = Console()
    table = Table(box=None, pad_edge=False)
    for name in ("tier", "collection", "outcomes", "right", "ECE before", "after"):
        table.add_column(name, justify="left" if name in ("tier", "collection") else "right")
    for one in fitted.tiers:
        table.add_row(*_row(one))
    console.print(table)
    for one in fitted.tiers:
        if one.limit is not None:
            console.print(_limit(_name(one), one.limit), soft_wrap=True)
        if one.refused:
            told = f"{_name(one)} keeps its present confidence: {one.refused}"
            console.print(told, soft_wrap=True)
    if fitted.router is None:
        console.print(f"the routing stays as it is: {fitted.router_refused}", soft_wrap=True)
    else:
        console.print(_routing(fitted.router), soft_wrap=True)


def _name(one: TierFit) -> str:
    return f"{one.tier} in {one.collection}" if one.collection else one.tier


def _row(one: TierFit) -> tuple[str, ...]:
    before, after = one.ece()
    return (
        one.tier,
        one.collection or "all",
        f"{one.outcomes:,}",
        f"{one.right / one.outcomes:.0%}",
        "unknown" if before is None else f"{before:.3f}",
        "not fitted" if after is None else f"{after:.3f}",
    )


def _limit(name: str, limit: RiskLimit) -> str:
    if limit.threshold is None:
        best = "no limit" if limit.reachable is None else f"{limit.reachable:.0%}"
        return f"{name}: no confidence keeps errors below {limit.max_error:.0%}; {best} can be kept"
    return (
        f"{name}: of answers with a confidence of at least {limit.threshold:.2f}, "
        f"{limit.answered:.0%} of all, at most {limit.max_error:.0%} are wrong (surely to 99%)"
    )


def _routing(router: Router) -> str:
    told = [
        f"{name} from {tier.rows:,} outcomes (log loss {tier.log_loss:.3f}, "
        f"{tier.base_log_loss:.3f} without it)"
        for name, tier in sorted(router.tiers.items())
    ]
    return f"the routing is fitted: {'; '.join(told)}"
