"""What the service counts, in the format of Prometheus, on a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rag.types import Answer

STAGE_BUCKETS_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0
)  # fmt: skip


class Metrics:
    """The counters of one service.

    `documents_by_collection`, `jobs_by_state` and `drift_by_signal` are asked each time the metrics
    are read.
    """

    def __init__(
        self,
        documents_by_collection: Callable[[], Mapping[str, int]],
        jobs_by_state: Callable[[], Mapping[str, int]],
        drift_by_signal: Callable[[], Mapping[str, float]],
    ) -> None:
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
        self._cost = Counter("rag_cost_usd", "Dollars that answers cost.", registry=self._registry)
        self._saved = Counter(
            "rag_saved_usd",
            "Dollars saved against the baseline; an answer dearer than it adds nothing.",
            registry=self._registry,
        )
        self._registry.register(
            _Gauge("rag_documents", "Documents.", "collection", documents_by_collection)
        )
        self._registry.register(_Gauge("rag_jobs", "Ingestion jobs.", "state", jobs_by_state))
        self._registry.register(
            _Gauge(
                "rag_signal_drift",
                "How far what confidence is made from has moved (population stability index).",
                "signal",
                drift_by_signal,
            )
        )

    def count_request(self, route: str, method: str, status: int) -> None:
        """Count a request; `route` is the pattern of its path."""
        self._requests.labels(route, method, str(status)).inc()

    def count_answer(self, answer: Answer) -> None:
        """Count an answer, with the time of its stages and its dollars where known."""
        self._answers.labels(answer.tier, answer.status).inc()
        for line in answer.cost.lines:
            self._stages.labels(line.stage).observe(line.ms / 1000)
        if answer.cost.total_usd is not None:
            self._cost.inc(float(answer.cost.total_usd))
        if answer.cost.saved_usd is not None:
            self._saved.inc(max(0.0, float(answer.cost.saved_usd)))

    def render(self) -> bytes:
        """All of it, in the text format 0.0.4. Asks the store of documents: not for the loop."""
        return generate_latest(self._registry)


class _Gauge(Collector):
    """Asks for its values when it is read."""

    def __init__(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name, self._help, self._label, self._read = name, help_text, label, read

    def describe(self) -> Iterable[Metric]:
        """The family without values: registering must not ask for them."""
        yield GaugeMetricFamily(self._name, self._help, labels=[self._label])

    def collect(self) -> Iterable[Metric]:
        """The family with the values of now."""
        family = GaugeMetricFamily(self._name, self._help, labels=[self._label])
        for value, count in sorted(self._read().items()):
            family.add_metric([value], count)
        yield family
