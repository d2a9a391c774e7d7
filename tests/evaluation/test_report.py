"""Reports: what they hold, that they are read again, how two compare, and the page."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from evaluation_fakes import make_record

from evaluation.figures import difference, interval, p_value, told
from evaluation.page import make_page
from evaluation.plots import draw_plots
from evaluation.questions import EvaluationQuestion, Place
from evaluation.report import (
    About,
    Report,
    compare_reports,
    make_report,
    read_report,
    report_as_json,
)
from evaluation.statistics import Difference, Measurement
from rag.errors import InputError

ABOUT = About(
    "set.jsonl", "help", 13, "f1", "0.1.0", "2026-01-01T00:00:00+00:00", 0, {"a": {"b": 1}}
)
HOSTILE = '<script>alert("x")</script> & <b>'


def a_report(right: int = 6, wrong: int = 2, name: str = "q", **about: object) -> Report:
    """Questions that are answered right, then wrong, then one without an answer."""
    questions = [
        EvaluationQuestion(f"{name}{n}", f"{n}?", ("14 days" if n < right else "9",), ("d",))
        for n in range(right + wrong)
    ]
    records = [
        make_record(question.question_id, confidence=0.9 - 0.05 * n, context_tokens=100 + n)
        for n, question in enumerate(questions)
    ]
    questions.append(EvaluationQuestion("none", HOSTILE, answerable=False))
    records.append(make_record("none", confidence=0.4))
    return make_report(replace(ABOUT, **about), questions, records)


def test_a_report_tells_figures_and_what_could_not_be_measured() -> None:
    report = a_report()
    by_name = {one.name: one for one in report.measurements}
    assert by_name["nDCG@10"].value == 1
    assert (by_name["right when answered"].value, by_name["right when answered"].n) == (6 / 9, 9)
    assert by_name["context tokens"].n == 9
    assert report.unmeasured == {"span recall": "gold spans"}
    assert [row.question_id for row in report.worst(2)] == ["none", "q6"]
    assert report.rows[0].observed["abstention AUROC"] == (0.9, 1.0)
    assert report.rows[0].fault is None


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = a_report()
    (tmp_path / "report.json").write_text(report_as_json(report), encoding="utf-8")
    assert read_report(tmp_path) == read_report(tmp_path / "report.json") == report


def test_what_is_no_report_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report.json cannot be read \(No such file"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text('{"format": 1}')
    with pytest.raises(InputError, match="is no report of this version"):
        read_report(tmp_path)


def test_runs_are_compared_over_the_questions_that_are_in_both() -> None:
    earlier = a_report(right=4, wrong=6, settings={"a": {"b": 1}, "c": 2})
    comparison = compare_reports(a_report(settings={"a": {"b": 3}, "c": 2}), earlier, "old")
    assert comparison.in_both == 9
    assert comparison.changed_settings == {"a.b": (1, 3)}
    by_name = {one.name: one for one in comparison.differences}
    right = by_name["right when answered"]
    assert (right.value, right.other, right.n) == (6 / 9, 4 / 9, 9)
    assert right.low <= right.difference <= right.high
    assert by_name["nDCG@10"].p == 1
    assert "span recall" not in by_name


def test_runs_without_a_question_in_common_are_not_compared() -> None:
    with pytest.raises(InputError, match="old has none of the 9 questions: compare with a report"):
        compare_reports(a_report(), replace(a_report(), rows=a_report(name="p").rows[:-1]), "old")


class _Page(HTMLParser):
    """The elements of a page, its texts, and what it refers to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: list[str] = []
        self.references: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        names = ("src", "href", "xlink:href", "action", "data")
        self.references += [value or "" for name, value in attrs if name in names]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_stands_alone_and_escapes_everything() -> None:
    report = replace(
        a_report(question_file=HOSTILE, settings={"x": HOSTILE}),
        comparison=compare_reports(a_report(), a_report(right=5, wrong=3), HOSTILE),
    )
    plots = draw_plots(report)
    assert list(plots) == [
        "Quality", "Confidence and what is right", "Refusing more", "Context", "Time", "Cost",
    ]  # fmt: skip
    page = make_page(report, plots)
    parsed = _Page(page)
    assert "script" not in parsed.elements
    assert "link" not in parsed.elements
    assert "b" not in parsed.elements
    assert parsed.texts.count(HOSTILE) >= 2
    assert all(reference.startswith("#") for reference in parsed.references)
    assert not re.findall(r"@import|url\((?!#)", page)
    assert parsed.elements.count("svg") == len(plots)
    assert "prefers-color-scheme: dark" in page
    for svg in plots.values():
        assert not re.findall(r"#0[1-4]0[1-4]0[1-4]", svg), "every colour is the page's"


def test_plots_are_drawn_of_as_little_as_one_question() -> None:
    question = EvaluationQuestion("q", "q?")
    record = make_record(context_tokens=0, usd=None, ms={}, citations=(Place("d", 0, 1),))
    report = make_report(ABOUT, [question], [record])
    plots = draw_plots(report)
    assert list(plots) == ["Context"]
    assert "Nothing is known to be wrong." in make_page(report, plots)


def test_figures_are_written_in_their_units() -> None:
    assert told(0.12345, "share") == "0.123"
    assert told(-1234.56, "ms") == "−1,234.6"
    assert told(-0.00001, "ms") == "0.0"
    assert told(-0.0000123, "usd") == "−$0.000012"
    assert told(None, "usd") == "unknown"
    assert interval(Measurement("m", "", "share", 1.0, None, None, 1)) == ""
    one = Difference("m", "tokens", "lower", 90.0, 100.0, -10.0, -12.0, 0.0, 0.0002, 9)
    assert (difference(one), interval(one), p_value(one)) == ("−10.0", "−12.0 to 0.0", "< 0.001")
    unknown = Difference("m", "ms", "lower", None, None, None, None, None, None, 1)
    assert (difference(unknown), interval(unknown), p_value(unknown)) == ("unknown", "", "")
