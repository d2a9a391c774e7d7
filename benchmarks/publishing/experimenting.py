"""The tables of experiments, and their rows at the top of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.publishing.markdown import Result, Row, table


def experiments(result: Result) -> str:
    """How often equal arms are said to differ, and how soon a worse one is stopped."""
    equal = table(
        ["Share of arm", "Right", "Arm stopped", "Said to differ", "z-test, every look", "once"],
        [
            [
                f"{one['share']:.0%}",
                f"{one['rate']:.0%}",
                f"{one['stopped']:.1%}",
                f"{one['differ']:.1%}",
                f"{one['z_peeked_at']:.1%}",
                f"{one['z_at_the_end']:.1%}",
            ]
            for one in result["equal_arms"]
        ],
    )
    worse = table(
        ["Share of the arm", "Worse by", "Verdicts until stopped", "80% by", "z-test, fixed"],
        [
            [
                f"{one['share']:.0%}",
                f"{100 * one['worse_by']:.0f} points",
                f"{one['verdicts_until_stopped']['p50']:,.0f} (median)",
                f"{one['verdicts_until_stopped']['p80']:,.0f}",
                f"{one['fixed_sample_verdicts']:,}",
            ]
            for one in result["worse_arm"]
        ],
    )
    return f"{equal}\n\n{worse}\n\n{_costs(result)}"


def _costs(result: Result) -> str:
    said = [
        f"where it is just {one['ratio']:g} times that of the control, "
        f"{one['said_to_be_dearer']:.1%} of the experiments say that it is more and "
        f"{one['said_to_be_cheaper']:.1%} that it is less"
        for one in result["costs"]
    ]
    talks = result["conversations"]
    return (
        f"Of the cost of an arm: {'; '.join(said)}.\n"
        "Where the verdicts of a conversation go together, equal arms are said to differ in "
        f"{talks['differ_by_first']:.1%} of the experiments, since the first verdict of each "
        f"counts; if all of them counted, it would be {talks['differ_by_all']:.1%}."
    )


def _experiments(result: Result) -> Iterator[Row]:
    error = result["settings"]["error"]
    equal = result["equal_arms"]
    most = max(one["differ"] for one in equal)
    yield Row(
        "Experiments whose equal arms are said to differ, looked at after every verdict",
        f"at most {most:.1%}",
        f"z-test {max(one['z_peeked_at'] for one in equal):.1%}",
        f"at most {error:.0%}",
        most <= error,
    )


ROWS: dict[str, Callable[[Result], Iterator[Row]]] = {"experiments": _experiments}
