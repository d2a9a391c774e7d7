"""Tables of language models and money, and their rows at the top of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.publishing.markdown import Result, Row, table

OVERHEAD_MS = 5
OF_THE_BARE_SERVER, OF_WHAT_IS_ALLOWED = 0.8, 0.9
LEFT_S = 1


def budgets(result: Result) -> str:
    """What was found after the load, and what the ledger costs a call."""
    places = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    told = {places[name]: one for name, one in result.items() if name in places}
    rows = {
        "Calls put at once": lambda one: f"{one['requests']:,}",
        "Processes killed in the middle": lambda one: one["kills"],
        "Lines in the ledger": lambda one: f"{one['ledger_lines']:,}",
        "Refused": lambda one: f"{one['refused']:,}",
        "Refused although they would have fitted": lambda one: one["false_refusals"],
        "Walls passed": lambda one: one["walls_passed"],
        "Moments at which a wall was passed": lambda one: one["moments_past_a_wall"],
        "Bills that the ledger does not cover": lambda one: one["bills_not_covered"],
        "Reservations left": lambda one: one["still_reserved"],
        "Counted of the wall of the day": lambda one: (
            f"${one['counted_usd']} of ${one['day_wall_usd']}"
        ),
        "Reserving and settling one call, ms": lambda one: one["overhead"]["call_alone_ms"],
        "Recording one answer, ms": lambda one: one["overhead"]["answer_alone_ms"],
    }
    return table(
        ["What", *told],
        [[what, *(read(one) for one in told.values())] for what, read in rows.items()],
    )


def engine_overhead(result: Result) -> str:
    """Where the time of an answer goes."""
    names = {
        "whole_ms": "The whole answer",
        "search_and_compression_ms": "Search and compression",
        "bare_call_ms": "The same prompt by a bare client",
        "engine_ms": "What is left: the engine",
    }
    paced, at_once = result["paced"], result["at_once"]
    rows = [
        [
            what,
            *(f"{one[key][name]}" for one in (paced, at_once) for key in ("median", "p95")),
        ]
        for name, what in names.items()
    ]
    head = ["Part, ms", "A model's pace, median", "95%", "At once, median", "95%"]
    return table(head, rows)


def model_serving(result: Result) -> str:
    """What the stack of models does on the real vLLM."""
    throughput, prefixes = result["throughput"], result["prefixes"]
    left, kill = result["cancellation"], result["kill"]
    outcomes = ", ".join(f"{count:,} {name}" for name, count in kill["outcomes"].items())
    rows = [
        [
            f"Tokens a second, {throughput['clients']} clients",
            f"{throughput['stack']['tokens_per_s']:,}; the bare server "
            f"{throughput['bare']['tokens_per_s']:,}",
        ],
        [
            f"Prompt tokens from the prefix cache, {prefixes['questions']} questions",
            f"{prefixes['cached_share']:.1%}; the layout allows {prefixes['allowed_share']:.1%}",
        ],
        [
            f"From leaving to an idle server, {left['times']} times",
            f"{left['median_s']} s (at most {left['most_s']} s)",
        ],
        [
            f"Server killed under {kill['clients']} clients, away for {kill['down_s']} s",
            f"{kill['asked']:,} asked: {outcomes}; {kill['lost']} lost, "
            f"{kill['reservations_left']} reservations left",
        ],
        ["First answer after it was back", f"{kill['answered_after_s']} s"],
    ]
    return table(["What", "Measured"], rows)


def _budgets(result: Result) -> Iterator[Row]:
    for name in ("sqlite", "postgresql"):
        load = result[name]
        wrong = [load[one] for one in ("walls_passed", "false_refusals", "still_reserved")]
        yield Row(
            f"{load['requests']:,} calls at once before walls, {load['kills']} kills, {name}",
            f"{wrong[0]} walls passed, {wrong[1]} false refusals, {wrong[2]} left reserved",
            "",
            "none of each",
            not any(wrong),
        )


def _engine_overhead(result: Result) -> Iterator[Row]:
    median = result["paced"]["median"]["engine_ms"]
    yield Row(
        "An answer of a model without the model's own time, search and compression",
        f"{median} ms",
        f"{result['at_once']['median']['engine_ms']} ms were the model to answer at once",
        f"at most {OVERHEAD_MS} ms",
        median <= OVERHEAD_MS,
    )


def _model_serving(result: Result) -> Iterator[Row]:
    throughput, prefixes = result["throughput"], result["prefixes"]
    yield Row(
        f"Tokens a second on the real vLLM, {throughput['clients']} clients",
        f"{throughput['stack']['tokens_per_s']:,}",
        f"the bare server {throughput['bare']['tokens_per_s']:,}",
        f"at least {OF_THE_BARE_SERVER:.0%} of it",
        throughput["of_the_bare_server"] >= OF_THE_BARE_SERVER,
    )
    yield Row(
        "Prompt tokens that the prefix cache served",
        f"{prefixes['cached_share']:.1%}",
        f"what the layout allows: {prefixes['allowed_share']:.1%}",
        f"at least {OF_WHAT_IS_ALLOWED:.0%} of it",
        prefixes["of_what_is_allowed"] >= OF_WHAT_IS_ALLOWED,
    )
    yield Row(
        "From a caller's leaving to an idle server",
        f"{result['cancellation']['median_s']} s (at most {result['cancellation']['most_s']} s)",
        "",
        f"within {LEFT_S} s",
        result["cancellation"]["most_s"] <= LEFT_S,
    )
    kill = result["kill"]
    yield Row(
        "A server killed under load: calls without an answer or an error",
        f"{kill['lost']} of {kill['asked']:,}",
        "",
        "none",
        kill["lost"] == 0 and kill["answered_after_s"] is not None,
    )


ROWS: dict[str, Callable[[Result], Iterator[Row]]] = {
    "budgets": _budgets,
    "engine_overhead": _engine_overhead,
    "model_serving": _model_serving,
}
