"""Tables of speed, memory and documents: embedding, store, ingestion, service, peers."""

from __future__ import annotations

from benchmarks.publishing.markdown import Result, share, table


def peers(result: Result) -> str:
    """Ingestion, query and quality of all systems in one run."""
    systems = table(
        ["System", "Ingestion, s", "One hybrid query, ms", "nDCG@10"],
        [
            [
                name,
                f"{figures['ingest_s']['median']:.1f}",
                f"{figures['query_ms']['median']:.1f}",
                share(figures["ndcg_at_10"]),
            ]
            for name, figures in result["systems"].items()
        ],
    )
    ratios = result["ours_against_the_fastest_peer"]
    return (
        f"{systems}\n\nIn this run Thrifty RAG took {ratios['ingest_s']:.2f} times as long as the "
        f"fastest peer to ingest, and {ratios['query_ms']:.2f} times as long to answer a query "
        f"(medians of {result['repeats']} runs on {result['cores']} cores)."
    )


def http(result: Result) -> str:
    """Answers a second, run by run."""
    rows = [
        [run["requests"], run["answers_per_s"], run["p50_ms"], run["p99_ms"], run["errors"]]
        for run in result["runs"]
    ]
    return table(["Requests", "Answers a second", "p50, ms", "p99, ms", "Errors"], rows)


def embedding(result: Result) -> str:
    """Speed by way, and the nDCG@10 of the whole project on each graph."""
    speed = table(
        ["Way", "Documents a second", "Tokens a second", "Tokens a second of processor time"],
        [
            [
                name,
                one["documents_per_s"],
                f"{one['tokens_per_s']:,}",
                f"{one['tokens_per_cpu_s']:,}",
            ]
            for name, one in result["speed"].items()
        ],
    )
    by_graph = result["ndcg_at_10"]
    ways = ("dense", "default")
    sets = list(next(iter(by_graph.values())))
    lost = result["lost_on_the_mean"]
    quality = table(
        ["nDCG@10", *(f"{graph}, {way}" for way in ways for graph in by_graph)],
        [
            [one, *(share(by_graph[graph][one][way]) for way in ways for graph in by_graph)]
            for one in sets
        ],
    )
    return (
        f"{speed}\n\n{quality}\n\nMeasured on {result['documents']} documents in "
        f"{result['passages']} passages of {result['tokens']:,} tokens (medians of "
        f"{result['repeats']} runs). On the mean of the sets 8 bits change nDCG@10 by "
        f"{-lost['dense']:+.4f} for the dense search alone, and by {-lost['default']:+.4f} for the "
        "default."
    )


def vectors(result: Result) -> str:
    """What is found with small vectors, and the memory and time that they take."""
    depth = result["candidates"]
    quality = table(
        [
            "Question set",
            "Chunks",
            "Small vectors",
            "recall@10",
            f"recall@{depth}",
            "nDCG@10, dense",
            "nDCG@10, both searches",
        ],
        [
            [
                name,
                f"{figures['chunks']:,}",
                value,
                share(one["recall_at_10"]),
                share(one[f"recall_at_{depth}"]),
                share(one["ndcg_at_10_dense"]),
                share(one["ndcg_at_10_hybrid"]),
            ]
            for name, figures in result["quality"].items()
            for value, one in figures["by"].items()
        ],
    )
    made = result["generated"]
    size = table(
        [
            f"{made['chunks']:,} generated chunks",
            "Small vectors, MB",
            "Whole vectors read, MB",
            "Disk, MB",
            "One search, ms",
        ],
        [
            [value, one["small_mb"], one["whole_mb_read"], one["disk_mb"], _ms(one["search_ms"])]
            for value, one in made["by"].items()
        ],
    )
    return (
        f"{quality}\n\n{size}\n\nAll vectors whole take {made['whole_mb']} MB. "
        f"The default is `{result['default']}`."
    )


def growth(result: Result) -> str:
    """Time, memory and disk by the number of chunks."""
    steps = table(
        [
            "Chunks",
            "Of them real",
            "Question to hits, ms (9 of 10 within)",
            "Search alone, ms",
            "Storing, s",
            "Memory, MB",
            "Mapped files, MB",
            "Disk, MB",
        ],
        [
            [
                f"{step['chunks']:,}",
                f"{step['real_chunks']:,}",
                f"{_ms(step['retrieve_ms'])} ({step['retrieve_ms']['p90']:.1f})",
                _ms(step["search_ms"]),
                f"{step['upsert_s']:.1f}",
                f"{step['memory_mb']['asked']['own']:.0f}",
                f"{step['memory_mb']['asked']['of_files']:.0f}",
                f"{step['disk_mb']:.0f}",
            ]
            for step in result["steps"]
        ],
    )
    beside = result["beside_a_second_collection"]
    most = result["steps"][-1]["chunks"]
    return (
        f"{steps}\n\nFrom {result['steps'][0]['chunks']:,} to {most:,} chunks the time of a "
        f"question grows {result['query_time_grows']:.2f} times (by the quietest of the runs). "
        f"Beside a second collection of {beside['chunks']['second']:,} chunks, a question to the "
        f"first takes {_ms(beside['times']['first']['retrieve_ms'])} ms, and one to the second "
        f"{_ms(beside['times']['second']['retrieve_ms'])} ms."
    )


def _ms(times: Result) -> str:
    return f"{times['median']:.1f}"


def ingestion(result: Result) -> str:
    """What ingestion promises, on ten thousand documents."""
    done, again, forgot = result["ingestion"], result["unchanged"], result["forgetting"]
    long = result["one_paragraph"]
    memory = [sample["mb"] for sample in done["memory"]]
    middle = len(memory) // 2
    rows: list[list[object]] = [
        [
            f"{again['files']:,} unchanged files again, the whole command",
            f"{again['median_s']:.2f} s, {again['chunks_embedded']} chunks embedded",
        ],
        [
            f"One new paragraph in a document of {long['chunks']:,} chunks",
            f"{long['chunks_embedded_after_the_change']} chunks embedded",
        ],
        [
            f"One document of {forgot['documents']:,} forgotten, the slowest of "
            f"{len(forgot['seconds'])}",
            f"{forgot['slowest_s']:.3f} s",
        ],
        [
            f"{result['documents']:,} documents ingested, {done['chunks']:,} chunks",
            f"{done['seconds']:.0f} s",
        ],
        [
            "Memory meanwhile, reader processes included: half way, and at most",
            f"{memory[middle]:,} MB, {done['most_mb']:,} MB",
        ],
        ["Time that the embedder was at work, of all after its start",
         f"{done['embedder_busy_share']:.0%}"],
        ["Time that was quoted, against the time that it took", f"{done['quote_over_actual']:.2f}"],
    ]  # fmt: skip
    return table(["What", "Measured"], rows)


def near_duplicates(result: Result) -> str:
    """What is saved where pages come in many versions, and which version is found."""
    rows: list[list[object]] = [
        ["Documents stored", f"{result['documents']:,} of {result['pages']:,}"],
        [
            "Chunks saved",
            f"{result['chunks_saved_share']:.1%} of {result['chunks_of_all_pages']:,}",
        ],
        ["Embeddings saved", f"{result['embeddings_saved_share']:.1%}"],
    ]
    asked = table(
        [f"{result['questions']} questions about what differs", "Newest first", "Hybrid alone"],
        [
            [name.replace("_", " "), figure, result["hybrid_alone"].get(name, 0)]
            for name, figure in result["newest_first"].items()
        ],
    )
    return f"{table(['What', 'Measured'], rows)}\n\n{asked}"


def readers(result: Result) -> str:
    """The text of each office file, against what is expected and against other libraries."""
    libraries = ("markitdown", "trafilatura")
    rows = [
        [
            one["file"],
            one["words"],
            one["ms"],
            _words(one.get("against_expected")),
            *(cell for name in libraries for cell in _library(one.get(name))),
        ]
        for one in result["files"]
    ]
    ours = ["File", "Words", "ms", "Against what is expected"]
    theirs = [
        head for name in libraries for head in (f"{name}: words", "ms", f"Ours against {name}")
    ]
    return table([*ours, *theirs], rows)


def _library(told: Result | None) -> list[object]:
    return [told["words"], told["ms"], _words(told["ours_in_theirs"])] if told else ["", "", ""]


def _words(found: Result | None) -> str:
    return f"{share(found['recall'])} / {share(found['precision'])}" if found else ""
