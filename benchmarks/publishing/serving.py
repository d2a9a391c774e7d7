"""The tables of the service under load, of the dashboard, of masking and of conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.publishing.markdown import Result, Row, table, with_interval

WHO = {"quoting": "quotes", "model": "a model of 300 ms"}
SYSTEMS = ("as it is", "with the last one", "rules", "whole")


def load(result: Result) -> str:
    """What the service takes, and what becomes of the rest."""
    rows = []
    for name, who in WHO.items():
        one = result[name]
        rows += [
            [who, "alone", *_times(one["alone"])],
            [who, "capacity", *_times(one["capacity"])],
            [who, "70% of it", *_times(one["steady"])],
            [who, "four times it, let in", *_times(one["overload"])],
        ]
    head = ["Answers by", "Load", "Answers a second", "p50, ms", "p99, ms", "Errors"]
    head.append("Of the processors the host took")
    return f"{table(head, rows)}\n\n{_beside(result)}\n\n{_rounds(result)}\n\n{_disturbed(result)}"


def _disturbed(result: Result) -> str:
    """What was measured again."""
    said = []
    for name, who in WHO.items():
        one = result[name]
        for what, measured in (("the capacity", "capacity"), ("the minutes at 70%", "steady")):
            said += [
                f"{what} with {who} (the host took {each['stolen']:.0%}, {each['errors']} of "
                f"{each['requests']:,} not answered, p99 {each['p99_ms']:,.0f} ms)"
                for each in one[measured]["disturbed"]
            ]
        said += [
            f"a round of four times the capacity with {who} (the host took {each['stolen']:.0%}, "
            f"refusals p50 {each['overload']['refused']['p50_ms']:.1f} ms, let in "
            f"{each['overload']['p50_ms_by_alone']:.2f} times as long as alone)"
            for round_ in one["rounds"]
            for each in round_["disturbed"]
        ]
    return f"Measured again: {'; '.join(said) or 'nothing'}."


def _rounds(result: Result) -> str:
    """What became of the crowd each time, the least disturbed round first."""
    rows = []
    for name, who in WHO.items():
        for each in sorted(result[name]["rounds"], key=lambda one: one["overload"]["stolen"]):
            over = each["overload"]
            rows.append(
                [
                    who,
                    f"{over['stolen']:.1%}",
                    f"{over['refused']['p50_ms']:.1f}",
                    f"{over['refused']['p99_ms']:.1f}",
                    f"{over['p50_ms_by_alone']:.2f}",
                    f"{over['p99_ms_by_alone']:.2f}",
                ]
            )
    head = ["Answers by, at four times the capacity", "Of the processors the host took"]
    head += ["Refusals, p50, ms", "p99, ms", "Let in, p50 by that alone", "p99 by that alone"]
    return table(head, rows)


def _times(one: Result) -> list[str]:
    times = [f"{one['answers_per_s']:,.0f}", f"{one['p50_ms']:,.1f}", f"{one['p99_ms']:,.1f}"]
    return [*times, f"{one['errors']}", f"{one['stolen']:.0%}"]


def _beside(result: Result) -> str:
    said = []
    for name, who in WHO.items():
        one = result[name]
        refused = one["overload"]["refused"]
        steadily = [one["steady"], *one["steady"]["disturbed"]]  # by one process, without a break
        memory = [each["memory"] for each in steadily]
        said.append(
            f"With {who}, a refusal takes {refused['p50_ms']:.1f} ms (p99 {refused['p99_ms']:.0f}) "
            f"at four times the capacity, and who is let in waits "
            f"{one['overload']['p50_ms_by_alone']:.1f} times as long as alone (p99 "
            f"{one['overload']['p99_ms_by_alone']:.1f} times), by medians of {len(one['rounds'])} "
            f"rounds; before it is noticed, some wait "
            f"{one['overload']['longest_while_settling_ms'] / 1000:.1f} s. "
            f"In {result['steady_minutes'] * len(memory):g} minutes at 70% the memory went from "
            f"{min(each['first_mb'] for each in memory):,} to "
            f"{max(each['last_mb'] for each in memory):,} MB."
        )
    first = result["quoting"]["first_byte"]
    said.append(
        f"The first byte of a streamed quote comes after {first['p50_ms']:.1f} ms "
        f"(p99 {first['p99_ms']:.1f}, {first['streams']} streams)."
    )
    return "\n".join(said)


def dashboard(result: Result) -> str:
    """How long each part of the page's numbers takes."""
    states = [name for name in ("sqlite_ms", "postgresql_ms") if name in result]
    names = {"sqlite_ms": "SQLite, ms", "postgresql_ms": "PostgreSQL, ms"}
    return table(
        ["Part", *(names[state] for state in states)],
        [
            [part, *(f"{result[state][part]:,.1f}" for state in states)]
            for part in result[states[0]]
        ],
    )


def masking(result: Result) -> str:
    """What is found, what is masked without need, and how long it takes."""
    found = [
        [kind, *(f"{result['recall'][who][part][kind]:.3f}" for who, part in _FINDERS)]
        for kind in result["recall"]["ours"]["held_out"]
    ]
    recall = table(
        ["Kind", "ours, formats looked at", "ours, held out", "presidio as it comes, held out"],
        found,
    )
    every = {who: result["recall"][who] for who in ("ours", "presidio")}
    values = sum(every["ours"]["values"].values())
    times, ordinary = result["ms_per_prompt"], result["ordinary"]["ours"]
    return (
        f"{recall}\n\n"
        f"Of all {values:,} values ours finds {every['ours']['all']:.3f} and presidio as it comes "
        f"{every['presidio']['all']:.3f}.\n"
        f"In {ordinary['texts']} ordinary texts ours masks "
        f"{ordinary['masked_tokens_per_million']:,} of a million tokens, presidio "
        f"{result['ordinary']['presidio']['masked_tokens_per_million']:,}; most are addresses that "
        "stand in documentation as examples.\n"
        f"A prompt of 1,000 tokens takes {times['ordinary']['ours']['median']:.1f} ms, and "
        f"{times['with_20_values']['ours']['median']:.0f} ms with 20 values in it (presidio "
        f"{times['ordinary']['presidio']['median']:.1f} and "
        f"{times['with_20_values']['presidio']['median']:.0f})."
    )


_FINDERS = (("ours", "seen"), ("ours", "held_out"), ("presidio", "held_out"))


def conversations(result: Result) -> str:
    """What is found for follow-ups, and how often a question is put anew that stood alone."""
    follow_ups = table(
        ["Follow-ups", "Questions", *(f"nDCG@10, {system}" for system in SYSTEMS)],
        [
            [kind, one["questions"], *(with_interval(one[system]) for system in SYSTEMS)]
            for kind, one in result["follow_ups"].items()
        ],
    )
    alone = ", ".join(
        f"{one['changed']:.1%} of {one['questions']:,} of {name}"
        for name, one in result["standing_alone"].items()
    )
    return f"{follow_ups}\n\nOf questions that stand alone these were changed: {alone}."


def conversation_tokens(result: Result) -> str:
    """What a model reads in a conversation of six questions."""
    count = result["questions"]
    rows = [
        [who, f"{result[name] / count:,.0f}", f"{result[f'{name}, begun alike'] / count:,.0f}"]
        for name, who in (("ours", "each question alone"), ("grows", "all before it too"))
    ]
    head = ["Prompt", "Tokens for a question", "Of them as in the prompt before"]
    again = result["context, sent before"] / result["context"]
    return f"{table(head, rows)}\n\nOf the context of a question {again:.0%} was in the one before."


def _load(result: Result) -> Iterator[Row]:
    first = result["quoting"]["first_byte"]["p50_ms"]
    yield Row(
        "First byte of a streamed quote, median",
        f"{first:.1f} ms",
        "",
        "at most 30 ms",
        first <= 30,
    )
    for name, who in WHO.items():
        steady, over = result[name]["steady"], result[name]["overload"]
        yield Row(
            f"Not answered in {result['steady_minutes']:g} minutes at 70% of the capacity, {who}",
            f"{steady['errors']} of {steady['requests']:,}",
            "",
            "none",
            steady["errors"] == 0,
        )
        refused = over["refused"]["p50_ms"]
        yield Row(
            f"Refusals at four times the capacity, {who}, median",
            f"{refused:.1f} ms (p99 {over['refused']['p99_ms']:.0f})",
            "",
            "under 20 ms",
            refused < 20,
        )
        times = over["p50_ms_by_alone"]
        yield Row(
            f"Latency of those let in, against alone, {who}",
            f"{times:.1f} times (p99 {over['p99_ms_by_alone']:.1f})",
            "",
            "at most 2 times",
            times <= 2,
        )


def _masking(result: Result) -> Iterator[Row]:
    ours = min(result["recall"]["ours"]["held_out"].values())
    theirs = min(result["recall"]["presidio"]["held_out"].values())
    yield Row(
        "Personal data found, the worst of five kinds, formats held out",
        f"{ours:.3f}",
        f"presidio as it comes {theirs:.3f}",
        "at least 0.95",
        ours >= 0.95,
    )


ROWS: dict[str, Callable[[Result], Iterator[Row]]] = {"load": _load, "masking": _masking}
