"""The page of results says what the results say, and leaves none of them out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import publish
from benchmarks.publishing import origins, quality, summary
from benchmarks.publishing.plots import draw_plots

PAGE = publish.PAGE.read_text("utf-8")


@pytest.fixture
def results() -> dict[str, Any]:
    """All results, to be changed at will."""
    return publish.read_results()


def test_publishing_leaves_the_page_as_it_is(results: dict[str, Any]) -> None:
    assert publish.renewed(PAGE, results) == PAGE, "run: python -m benchmarks.publish"


def test_another_figure_makes_another_page(results: dict[str, Any]) -> None:
    results["citations"]["wrong"] += 7
    renewed = publish.renewed(PAGE, results)
    assert renewed != PAGE
    assert f"| {results['citations']['citations']} | 7 |" in renewed


def test_every_result_has_a_table_and_a_place_on_the_page() -> None:
    names = {path.stem for path in publish.RESULTS.glob("*.json")} | {"quotes"}
    assert names <= set(publish.TABLES)
    for name in publish.TABLES:
        for at in ("begin", "end"):
            assert PAGE.count(f"<!-- bench:{name}:{at} -->") == 1, name


def test_a_table_without_a_result_stays_as_it_is(results: dict[str, Any]) -> None:
    page = "\n".join(
        f"<!-- bench:{name}:begin -->\nkept {name}\n<!-- bench:{name}:end -->"
        for name in ("summary", "origins", *publish.TABLES)
    )
    del results["http"]
    renewed = publish.renewed(page, results)
    assert "kept http" in renewed
    assert "kept peers" not in renewed


def test_the_page_shows_the_plots_that_can_be_drawn(results: dict[str, Any]) -> None:
    shown = set(re.findall(r"\]\(images/(.*?)\)", PAGE))
    drawn = draw_plots(results)
    assert drawn
    assert set(drawn) <= shown
    assert set(drawn) <= {path.name for path in publish.IMAGES.iterdir()}


def test_a_plot_is_the_same_when_it_is_drawn_again(results: dict[str, Any]) -> None:
    first, second = draw_plots(results), draw_plots(results)
    assert first == second
    for svg in first.values():
        assert "<metadata" not in svg
        assert "fill: #ffffff" not in svg, "a white ground would hide a dark page"


def test_a_plot_follows_its_figures(results: dict[str, Any]) -> None:
    name = "results-compression.svg"
    before = draw_plots(results)[name]
    results["compression"]["retained"]["ours"]["0.02"][0] = 0.111
    assert draw_plots(results)[name] != before


def rows(text: str) -> Iterator[list[str]]:
    """The cells of a table in Markdown, without its head."""
    for line in text.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_summary_says_what_is_not_reached(results: dict[str, Any]) -> None:
    told = {"citations": results["citations"], "http": results["http"]}
    assert [row[-1] for row in rows(summary.summary(told))] == ["yes", "yes"]
    told["citations"]["wrong"] = 1
    told["http"]["runs"][1]["answers_per_s"] = 99
    assert [row[-1] for row in rows(summary.summary(told))] == ["**no**", "**no**"]


def test_a_goal_for_both_halves_is_reached_only_by_both() -> None:
    def told(every: float, held_out: float) -> dict[str, Any]:
        figures = {
            "auroc": {"confidence": every, "top cosine": 0.7},
            "auroc_held_out": {"confidence": held_out, "top cosine": 0.7},
        }
        return {"abstention": {"sets": {"clapnq": figures, "anthropic_docs_rag": figures}}}

    assert [row[-1] for row in rows(summary.summary(told(0.98, 0.97)))] == ["yes", "yes"]
    assert [row[-1] for row in rows(summary.summary(told(0.98, 0.96)))] == ["**no**", "yes"]
    assert [row[-1] for row in rows(summary.summary(told(0.79, 0.98)))] == ["**no**", "**no**"]


def test_ours_is_compared_with_the_best_of_the_others() -> None:
    ways = {"dense": 0.6, "convex 0.5": 0.71, "Thrifty RAG": 0.72}
    against = {"baseline": "convex 0.5", "difference": 0.01, "low": -0.01, "high": 0.03, "p": 0.2}
    told = {
        "ndcg_at_10": {"scifact": ways, "mean": ways},
        "against_the_best": {"scifact": against, "mean": against},
    }
    [one, mean] = rows(summary.summary({"retrieval": told}))
    assert one[1:] == ["0.720", "convex 0.5 0.710", "no less", "yes"]
    assert mean[3:] == ["at least 0.02 more", "**no**"]
    assert "| scifact | convex 0.5 | +0.010 | -0.010 to +0.030 | 0.200 |" in quality.retrieval(told)


def test_an_unknown_figure_stays_empty() -> None:
    table = quality.quotes(
        {"abstain_below": 0.35, "held_out": {"some set": {"questions": 5.0, "ece": 0.1}}}
    )
    [row] = rows(table.partition("\n\n")[0])
    assert row == ["some set", "5", "", "", "", "", "", "", "0.100"]


def test_a_result_says_where_it_comes_from() -> None:
    told = origins.origin(publish.ROOT)
    assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?", told["commit"])
    assert told["cores"] >= 1
    assert told["processor"]
    assert {"numpy", "onnxruntime", "qdrant-edge-py"} <= set(told["versions"])
    [row] = rows(origins.origins({"some": told | {"took_s": 90}}).partition("\n\n")[0])
    assert row[0] == "`some`"
    assert row[-1] == "1.5"


def test_the_time_of_all_is_told_only_when_all_is_known() -> None:
    known = {"commit": "abc", "python": "3", "cores": 2, "took_s": 600}
    unknown = {"commit": "abc", "python": "3", "cores": 2}
    assert "took 20 minutes" in origins.origins({"one": known, "two": known})
    assert "took" not in origins.origins({"one": known, "two": unknown}).partition("\n\n")[2]


def test_results_name_no_folder_of_this_machine(results: dict[str, Any]) -> None:
    assert str(publish.ROOT) not in json.dumps(results)
