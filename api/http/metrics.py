"""What the service counts, in the format of Prometheus, on a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rag.types import Answer, Status, Tier

STAGE_BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0
)  # fmt: skip
CONFIDENCE_BUCKETS = tuple(step / 10 for step in range(1, 11))

Values = Mapping[tuple[str, ...], float]
"""Of a gauge: its value by those of its labels, in their order."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What is asked for each time the metrics are read. `read` gives one value for each label."""

    name: str
    help_text: str
    labels: Sequence[str]
    read: Callable[[], Values]


class Metrics:
    """The counters of one service, and the gauges that it is given."""

    def __init__(self, gauges: Sequence[Gauge] = ()) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rag_requests",
            "Requests by route, method and status.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._stages = Histogram(
            "rag_stage_seconds",
            "Seconds that each stage of an answer took.",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self._answers = Counter(
            "rag_answers",
            "Answers by who wrote them and how they ended.",
            ["tier", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "rag_answer_seconds",
            "Seconds that answers took, by who wrote them.",
            ["tier"],
            buckets=STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self._confidence = Histogram(
            "rag_answer_confidence",
            "Confidence of answers, abstentions included, by who wrote them.",
            ["tier"],
            buckets=CONFIDENCE_BUCKETS,
            registry=self._registry,
        )
        self._cost = Counter(
            "rag_cost_usd",
            "Dollars that answers cost, by who wrote them.",
            ["tier"],
            registry=self._registry,
        )
        self._saved = Counter(
            "rag_saved_usd",
            "Dollars saved against the baseline, by who wrote the answer; one dearer than it adds "
            "nothing.",
            ["tier"],
            registry=self._registry,
        )
        for gauge in gauges:
            self._registry.register(_GaugeCollector(gauge))
        for tier in get_args(Tier):  # from 0 on: Prometheus does not count a first value as a rise
            self._cost.labels(tier)
            self._saved.labels(tier)
            for status in get_args(Status):
                self._answers.labels(tier, status)

    def count_request(self, route: str, method: str, status: int) -> None:
        """Count a request; `route` is the pattern of its path."""
        self._requests.labels(route, method, str(status)).inc()

    def count_answer(self, answer: Answer) -> None:
        """Count an answer, with the time of its stages and its dollars where known."""
        self._answers.labels(answer.tier, answer.status).inc()
        for line in answer.cost.lines:
            self._stages.labels(line.stage).observe(line.ms / 1000)
        self._seconds.labels(answer.tier).observe(sum(line.ms for line in answer.cost.lines) / 1000)
        self._confidence.labels(answer.tier).observe(answer.confidence)
        if answer.cost.total_usd is not None:
            self._cost.labels(answer.tier).inc(float(answer.cost.total_usd))
        if answer.cost.saved_usd is not None:
            self._saved.labels(answer.tier).inc(max(0.0, float(answer.cost.saved_usd)))

    def render(self) -> bytes:
        """All of it, in the text format 0.0.4. Asks the store of documents: not for the loop."""
        return generate_latest(self._registry)


class _GaugeCollector(Collector):
    """Asks for the values of a gauge when it is read."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def describe(self) -> Iterable[Metric]:
        """The family without values: registering must not ask for them."""
        yield self._family()

    def collect(self) -> Iterable[Metric]:
        """The family with the values of now."""
        family = self._family()
        for labels, value in sorted(self._gauge.read().items()):
            family.add_metric(labels, value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._gauge.name, self._gauge.help_text, labels=self._gauge.labels)
