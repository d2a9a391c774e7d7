"""The Grafana dashboard: it asks for metrics that the service has, by labels that they have."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from api_fakes import TEXTS, MakeApplication, MakeClient, ingest
from prometheus_client.parser import text_string_to_metric_families

from generation.money.budgets import Walls

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/thrifty-rag.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
_METRIC = re.compile(r"\brag_\w+")
_LABELS = re.compile(r"\bby \(([^)]*)\)|\{(\w+)=|\{\{(\w+)\}\}")

Exported = dict[str, set[str]]
"""By metric, its labels."""


@pytest.fixture
async def exported(make_application: MakeApplication, make_client: MakeClient) -> Exported:
    """What a service with budgets tells after it has answered."""
    application = make_application(walls=Walls(day_usd=Decimal(1), month_usd=Decimal(9)))
    await ingest(application, **TEXTS)
    client = await make_client(application)
    await client.post("/v1/answers", json={"question": "refunds"})
    await client.post("/v1/documents", json={"documents": [{"id": "x", "text": "Words."}]})
    text = (await client.get("/metrics")).text
    found: Exported = {}
    for family in text_string_to_metric_families(text):
        found.setdefault(family.name, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def test_every_metric_of_the_dashboard_is_exported(exported: Exported) -> None:
    for title, target in TARGETS:
        names = _METRIC.findall(target["expr"])
        assert names, title
        assert set(names) <= set(exported), title


async def test_every_label_of_the_dashboard_is_one_of_its_metrics(exported: Exported) -> None:
    for title, target in TARGETS:
        names = _METRIC.findall(target["expr"])
        if not all(exported[name] for name in names):
            continue  # nothing has drifted here
        told = " ".join(
            " ".join(groups)
            for groups in _LABELS.findall(target["expr"] + target.get("legendFormat", ""))
        )
        known = set.union(*(exported[name] for name in names))
        assert set(re.findall(r"\w+", told)) <= known, title


async def test_every_metric_is_documented_and_shown(exported: Exported) -> None:
    page = (ROOT / "docs/operating.md").read_text("utf-8")
    shown = " ".join(target["expr"] for _, target in TARGETS)
    families = {
        re.sub(r"_(bucket|sum|count|created)$", "", name)
        for name in exported
        if name.startswith("rag_") and not name.endswith("_created")
    }
    families -= {name for name in families if f"{name}_total" in families}
    assert len(families) >= 12
    for name in families:
        assert f"`{name}`" in page
        assert re.search(rf"\b{name}(_bucket|_sum|_count)?\b", shown), name


async def test_budgets_are_those_of_the_service_alone(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    walls = Walls(
        day_usd=Decimal("1.5"), tenant_day_usd=Decimal(1), tenants={"acme": (Decimal(1), None)}
    )
    client = await make_client(make_application(walls=walls))
    text = (await client.get("/metrics")).text
    assert 'rag_budget_limit_usd{period="day"} 1.5' in text
    assert 'rag_budget_taken_usd{period="day"} 0.0' in text
    assert 'period="month"' not in text
    assert "acme" not in text


def test_the_dashboard_can_be_loaded() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["description"].endswith(".")
    for title, target in TARGETS:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title
        for opened, closed in ("()", "[]", "{}"):
            assert target["expr"].count(opened) == target["expr"].count(closed), title
