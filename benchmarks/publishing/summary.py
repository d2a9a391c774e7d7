"""The table at the top of the page: what was measured, against what, and what was wanted.

The goals stand here and nowhere else; whether they are reached is read from the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from benchmarks.publishing import deciding, experimenting, money, serving
from benchmarks.publishing.markdown import Result, Row, listed, share, table

OURS = "Thrifty RAG"
FILLED = f"{OURS}, compressed to fill the budget"
PASSAGES = "passages whole, by cosine"
RETAINED = {"0.1": 0.985, "0.05": 0.93, "0.03": 0.78, "0.02": 0.62}
AUROC = {"clapnq": 0.97, "anthropic_docs_rag": 0.80}
CALIBRATED = ("clapnq", "nq_open")
COMPRESSION_MS = 50
FEWER_TOKENS, RETAINED_LESS = 0.7, 0.01
CALIBRATION_ERROR = 0.05
RANKING = {
    "scifact": ("no less", 0.0),
    "anthropic_docs_rag": ("no less", 0.0),
    "clapnq": ("no less", 0.0),
    "mean": ("at least 0.02 more", 0.02),
}
FASTER_THAN_PEERS, QUERY_OF_PEERS = 3, 0.25
LOST_BY_EMBEDDING = 0.003
LOST_BY_SMALL_VECTORS, TIMES_SMALLER = 0.01, 4
QUERY_GROWS = 2
ANSWERS_PER_S = 100
UNCHANGED_S, FORGOTTEN_S, MOST_MB, BUSY = 2, 1, 1_500, 0.9


def summary(results: Mapping[str, Result]) -> str:
    """The rows of all benchmarks that have a result."""
    marks = {True: "yes", False: "**no**", None: ""}
    rows = [
        row for name, rows_of in _ROWS.items() if name in results for row in rows_of(results[name])
    ]
    return table(
        ["What", "Measured", "Against", "Wanted", "Reached"],
        [[*row[:-1], marks[row.reached]] for row in rows],
    )


def _retrieval(result: Result) -> Iterator[Row]:
    for name, told in result["against_the_best"].items():
        scores, best = result["ndcg_at_10"][name], told["baseline"]
        wanted, least = RANKING.get(name, ("", None))
        yield Row(
            f"nDCG@10, {name}",
            share(scores[OURS]),
            f"{best} {share(scores[best])}",
            wanted,
            None if least is None else told["difference"] >= least,
        )


def _spans(result: Result) -> Iterator[Row]:
    every, ours = (result[part]["ours"][FILLED] for part in ("all", "held_out"))
    yield Row(
        f"Evidence found in a context of {' / '.join(ours)} tokens",
        listed(one["recall"] for one in ours.values()),
        "the best recursive splitter in as many: "
        f"{listed(one['other_recall'] for one in ours.values())}",
        "more at each",
        all(one["difference"] > 0 for one in (*every.values(), *ours.values())),
    )


def _compression(result: Result) -> Iterator[Row]:
    kept = {name: [by[s][0] for s in RETAINED] for name, by in result["retained"].items()}
    tokens = " / ".join(f"{float(one) * 100:.0f}" for one in RETAINED)
    yield Row(
        f"Answer retained, {tokens}% of twenty passages kept",
        listed(kept["ours"]),
        f"{PASSAGES}: {listed(kept[PASSAGES])}",
        listed(RETAINED.values()),
        all(one >= least for one, least in zip(kept["ours"], RETAINED.values(), strict=True)),
    )
    took = result["ms"]
    yield Row(
        "Compressing for a question, median (99th percentile)",
        f"{took['median']:.1f} ms ({took['p99']:.1f} ms)",
        "",
        f"at most {COMPRESSION_MS} ms",
        took["p99"] <= COMPRESSION_MS,
    )


def _context(result: Result) -> Iterator[Row]:
    for name, figures in result["sets"].items():
        ours, whole = figures["ours"], figures["five chunks"]
        fewer = 1 - ours["tokens"] / whole["tokens"]
        kept, kept_whole = ours["retained"][0], whole["retained"][0]
        yield Row(
            f"Tokens sent for an answer, {name}",
            f"{ours['tokens']:,.0f} ({fewer:.0%} fewer), answer retained {share(kept)}",
            f"five chunks whole: {whole['tokens']:,.0f}, {share(kept_whole)}",
            f"{FEWER_TOKENS:.0%} fewer, retained at most {RETAINED_LESS} less",
            fewer >= FEWER_TOKENS and kept_whole - kept <= RETAINED_LESS,
        )


def _abstention(result: Result) -> Iterator[Row]:
    for name, wanted in AUROC.items():
        parts = [result["sets"][name][part] for part in ("auroc", "auroc_held_out")]
        yield Row(
            f"AUROC, answerable or not, {name}: all questions / not fitted on",
            listed(part["confidence"] for part in parts),
            f"top cosine {listed(part['top cosine'] for part in parts)}",
            f"at least {wanted:.2f}",
            all(part["confidence"] >= wanted for part in parts),
        )


def _quotes(result: Result) -> Iterator[Row]:
    for name in CALIBRATED:
        error = result["held_out"][name]["ece"]
        wanted = f"at most {CALIBRATION_ERROR}"
        yield Row(
            f"Calibration error, {name}", share(error), "", wanted, error <= CALIBRATION_ERROR
        )


def _peers(result: Result) -> Iterator[Row]:
    systems = dict(result["systems"])
    ours, ratios = systems.pop(OURS), result["ours_against_the_fastest_peer"]
    times = 1 / ratios["ingest_s"]
    yield Row(
        "Ingesting 1,000 documents",
        f"{ours['ingest_s']['median']:.1f} s ({times:.1f} times as fast as the fastest peer)",
        _peer_medians(systems, "ingest_s", "s"),
        f"{FASTER_THAN_PEERS} times as fast",
        times >= FASTER_THAN_PEERS,
    )
    yield Row(
        "One hybrid query",
        f"{ours['query_ms']['median']:.1f} ms ({ratios['query_ms']:.2f} of the fastest peer's)",
        _peer_medians(systems, "query_ms", "ms"),
        f"at most {QUERY_OF_PEERS} of it",
        ratios["query_ms"] <= QUERY_OF_PEERS,
    )

    best = max(one["ndcg_at_10"] for one in systems.values())
    yield Row(
        "nDCG@10 of the same",
        share(ours["ndcg_at_10"]),
        ", ".join(f"{name} {share(one['ndcg_at_10'])}" for name, one in systems.items()),
        "no less",
        ours["ndcg_at_10"] >= best,
    )


def _peer_medians(systems: Mapping[str, Result], what: str, unit: str) -> str:
    return ", ".join(f"{name} {one[what]['median']:.1f} {unit}" for name, one in systems.items())


def _embedding(result: Result) -> Iterator[Row]:
    exact, small = (by["mean"] for by in result["ndcg_at_10"].values())
    ways = ("default", "dense")
    yield Row(
        "nDCG@10 by 8-bit embedding, mean of three sets: default / dense search alone",
        listed(small[way] for way in ways),
        f"32 bits {listed(exact[way] for way in ways)}",
        f"at most {LOST_BY_EMBEDDING} less",
        all(result["lost_on_the_mean"][way] <= LOST_BY_EMBEDDING for way in ways),
    )


def _vectors(result: Result) -> Iterator[Row]:
    default, made = result["default"], result["generated"]
    least = min(one["by"][default]["recall_at_10"] for one in result["quality"].values())
    small = made["by"][default]["small_mb"]
    times = made["whole_mb"] / small if small else 1
    yield Row(
        f"Small vectors ({default}): recall@10 on the worst set, memory",
        f"{share(least)}, {small} MB ({times:.1f} times less)",
        f"whole vectors {share(1)}, {made['whole_mb']} MB",
        f"at most {LOST_BY_SMALL_VECTORS} lost, {TIMES_SMALLER} times less",
        1 - least <= LOST_BY_SMALL_VECTORS and times >= TIMES_SMALLER,
    )


def _growth(result: Result) -> Iterator[Row]:
    first, last = result["steps"][0], result["steps"][-1]
    grows = result["query_time_grows"]
    yield Row(
        f"Time of a question, {last['chunks']:,} chunks",
        f"{last['retrieve_ms']['least']:.1f} ms ({grows:.2f} times as long)",
        f"{first['chunks']:,} chunks: {first['retrieve_ms']['least']:.1f} ms",
        f"at most {QUERY_GROWS} times as long",
        grows <= QUERY_GROWS,
    )


def _ingestion(result: Result) -> Iterator[Row]:
    again, done = result["unchanged"], result["ingestion"]
    yield Row(
        f"{again['files']:,} unchanged files again",
        f"{again['median_s']:.1f} s, {again['chunks_embedded']} chunks embedded",
        "",
        f"below {UNCHANGED_S} s, none embedded",
        again["median_s"] < UNCHANGED_S and not again["chunks_embedded"],
    )
    slowest = result["forgetting"]["slowest_s"]
    yield Row(
        f"Forgetting one document of {result['forgetting']['documents']:,}",
        f"{slowest:.2f} s",
        "",
        f"below {FORGOTTEN_S} s",
        slowest < FORGOTTEN_S,
    )
    yield Row(
        f"{result['documents']:,} documents ingested: most memory, embedder at work",
        f"{done['most_mb']:,} MB, {done['embedder_busy_share']:.1%} of {done['seconds']:.0f} s",
        "",
        f"below {MOST_MB:,} MB, at least {BUSY:.0%}",
        done["most_mb"] < MOST_MB and done["embedder_busy_share"] >= BUSY,
    )


def _near_duplicates(result: Result) -> Iterator[Row]:
    named, alone = result["newest_first"], result["hybrid_alone"]
    yield Row(
        f"{result['pages']} pages in up to nine versions: embeddings saved",
        f"{result['embeddings_saved_share']:.0%}",
        "",
        "",
        None,
    )
    yield Row(
        f"The version that is named among the first three, {result['questions']} questions",
        f"{named['named_among_three']}",
        f"without versions {alone['named_among_three']}",
        "",
        None,
    )


def _http(result: Result) -> Iterator[Row]:
    rates = sorted(run["answers_per_s"] for run in result["runs"])
    errors = sum(run["errors"] for run in result["runs"])
    yield Row(
        f"Answers a second over HTTP, {result['clients']} clients",
        f"{rates[len(rates) // 2]:.0f}, {errors} errors",
        "",
        f"at least {ANSWERS_PER_S}, no error",
        rates[0] >= ANSWERS_PER_S and not errors,
    )


def _citations(result: Result) -> Iterator[Row]:
    exact = result["citations"] - result["wrong"]
    yield Row(
        "Citations that are exact",
        f"{exact} of {result['citations']}",
        "",
        "all",
        not result["wrong"],
    )


_ROWS: dict[str, Callable[[Result], Iterator[Row]]] = {
    "retrieval": _retrieval,
    "spans": _spans,
    "compression": _compression,
    "context": _context,
    "abstention": _abstention,
    "quotes": _quotes,
    "peers": _peers,
    "embedding": _embedding,
    "vectors": _vectors,
    "growth": _growth,
    "ingestion": _ingestion,
    "near_duplicates": _near_duplicates,
    "http": _http,
    "citations": _citations,
    **money.ROWS,
    **deciding.ROWS,
    **experimenting.ROWS,
    **serving.ROWS,
}
