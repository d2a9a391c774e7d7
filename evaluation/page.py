"""The report as one HTML page that needs nothing else: no script, no font, no file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from evaluation.figures import COMPARED, compared, interval, told
from evaluation.report import Comparison, Report, Row

MOST_WORST = 50
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --muted: #66727f; --line: #dde3e8;
  --page: #fbfcfc; --card: #ffffff; --accent: #1f6f8b; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe6ea; --muted: #94a1ab; --line: #323c44;
  --page: #14191d; --card: #1b2227; --accent: #62b6cb; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.25rem 4rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; }
p { margin: .25rem 0; } .muted, figcaption, th { color: var(--muted); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { font-weight: 500; text-align: left; } td:first-child { min-width: 10rem; }
td, th { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.plots { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
figure { margin: 0; padding: 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }
figcaption { font-size: .92rem; margin-bottom: .5rem; }
svg { display: block; width: 100%; height: auto; } svg text { font-family: inherit !important; }
details { margin-top: .75rem; } summary { cursor: pointer; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
"""
_NUMBER = ' class="number"'


def make_page(report: Report, plots: Mapping[str, str]) -> str:
    """The page. `plots` are SVG elements by title; everything else is escaped."""
    about = report.about
    parts = [
        f"<h1>{escape(about.question_file)}</h1>",
        f'<p class="muted">{len(report.rows):,} questions to the collection '
        f"{escape(about.collection)} of {about.documents:,} documents · "
        f"{escape(about.finished_at)} · Thrifty RAG {escape(about.version)}</p>",
        _measures(report),
        "" if report.comparison is None else _comparison(report.comparison),
        "<h2>Plots</h2>",
        f'<div class="plots">{"".join(figure(title, svg) for title, svg in plots.items())}</div>',
        _worst(report.worst(MOST_WORST), sum(row.fault is not None for row in report.rows)),
        "<h2>Settings</h2>",
        f"<details><summary>Everything that can change an answer</summary>"
        f"<pre>{escape(json.dumps(about.settings, indent=2))}</pre></details>",
    ]
    return whole_page(f"Evaluation of {about.question_file}", parts)


def whole_page(title: str, parts: Iterable[str]) -> str:
    """A page of these pieces of HTML; the title is escaped."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def figure(title: str, svg: str) -> str:
    """A plot, an SVG element, under its title, which is escaped."""
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"


def table(names: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> str:
    """Rows of texts, which are escaped, under the names; `numbers` are the columns to the right."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{_NUMBER if at in numbers else ''}>{escape(text)}</{tag}>"
            for at, text in enumerate(texts)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells("th", names)}</tr>{body}</table></div>'


def _measures(report: Report) -> str:
    rows = [
        [one.name, told(one.value, one.unit), interval(one), f"{one.n:,}", one.meaning]
        for one in report.measurements
    ]
    measured = table(["measure", "value", "95% interval", "questions", "meaning"], rows, (1, 2, 3))
    lacking = "; ".join(f"{name} (needs {needs})" for name, needs in report.unmeasured.items())
    note = f'<p class="muted">Not measured: {escape(lacking)}.</p>' if lacking else ""
    return f"<h2>Measures</h2>{measured}{note}"


def _comparison(comparison: Comparison) -> str:
    rows = [compared(one) for one in comparison.differences]
    changed = "; ".join(
        f"{name}: {old!r} → {new!r}" for name, (old, new) in comparison.changed_settings.items()
    )
    return (
        f"<h2>Against {escape(comparison.against)}</h2>"
        f"<p>{comparison.in_both:,} questions are in both. "
        f"Settings that differ: {escape(changed or 'none')}.</p>"
        f"{table(COMPARED, rows, range(1, len(COMPARED)))}"
    )


def _worst(rows: Sequence[Row], wrong: int) -> str:
    if not rows:
        return "<h2>Worst questions</h2><p>Nothing is known to be wrong.</p>"
    cells = [[row.question, row.fault or "", told(row.confidence, "share")] for row in rows]
    return (
        f'<h2>Worst questions</h2><p class="muted">{len(rows):,} of {wrong:,} with a fault.</p>'
        f"{table(['question', 'what went wrong', 'confidence'], cells, (2,))}"
    )
