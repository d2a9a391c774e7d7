"""PowerPoint: every slide a section under its title, in order; tables, charts and notes as text.

A slide is a page. Images are never opened; what is written about them for the blind is kept.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from indexing.readers.content import Content, as_document_errors, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.office.properties import read_properties
from indexing.readers.packages import open_package, refuse_entities
from indexing.readers.tabular.tables import cell_text, is_header, table_text
from indexing.readers.titles import one_line, told_title

_MAX_DEPTH = 20  # of groups of shapes
_MIN_WORDS = 3  # of a description; programs write shorter ones


def read_pptx(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Content]:
    """The slides; the title is the one in the properties, else that of the first slide.

    Raises DocumentError when it is not a presentation or unpacks to too much.
    """
    mend = "open it in a presentation program and save it again as .pptx"
    with (
        as_document_errors(source, "presentation", mend),
        open_package(raw, source, limits) as package,
    ):
        refuse_entities(package, source)
        from pptx import Presentation

        presentation = Presentation(io.BytesIO(raw))
        told = read_properties(package, source)
        slides = [_slide(slide, number) for number, slide in enumerate(presentation.slides, 1)]
    text, starts = "", []
    for _, slide in slides:
        text += "\n\n" if text else ""
        starts.append(len(text))
        text += slide
    first = next((title for title, _ in slides if title), None)
    yield Content(text, told_title(told.title) or first, tuple(starts), dated=told.modified)


def _slide(slide: Any, number: int) -> tuple[str | None, str]:
    """The title of a slide, None without one, and its text."""
    title_shape = slide.shapes.title
    title = one_line(clean_text(title_shape.text)) if title_shape is not None else None
    parts = [f"## {title or f'Slide {number}'}"]
    for shape in _in_reading_order(slide.shapes):
        if title_shape is None or shape.shape_id != title_shape.shape_id:
            parts.extend(_shape(shape, 0))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        parts.append(f"Notes: {notes}" if notes else "")
    return title, clean_text("\n\n".join(filter(str.strip, parts)))


def _in_reading_order(shapes: Any) -> list[Any]:
    return sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0))


def _shape(shape: Any, depth: int) -> Iterator[str]:
    from pptx.enum.shapes import MSO_SHAPE_TYPE

    if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
        for inner in _in_reading_order(shape.shapes) if depth < _MAX_DEPTH else []:
            yield from _shape(inner, depth + 1)
    elif shape.has_text_frame:
        yield _paragraphs(shape.text_frame)
    elif getattr(shape, "has_table", False):
        rows = [[cell_text(clean_text(c.text)) for c in row.cells] for row in shape.table.rows]
        named = shape.table.first_row or bool(rows and is_header(rows[0]))
        yield table_text(rows[0], rows[1:]) if named and len(rows) > 1 else table_text(None, rows)
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart)
    else:
        described = shape._element.xpath(".//p:cNvPr/@descr")
        if described and len(described[0].split()) >= _MIN_WORDS:
            yield cell_text(described[0])


def _paragraphs(frame: Any) -> str:
    """The text of a shape; several paragraphs with levels become a list."""
    paragraphs = [p for p in frame.paragraphs if p.text.strip()]
    told = [clean_text(p.text.replace("\v", "\n")) for p in paragraphs]
    if any(paragraph.level for paragraph in paragraphs):
        indents = ["  " * min(paragraph.level, 8) for paragraph in paragraphs]
        return "\n".join(f"{i}- {cell_text(t)}" for i, t in zip(indents, told, strict=True))
    return "\n".join(told)


def _chart(chart: Any) -> Iterator[str]:
    if chart.has_title and chart.chart_title.has_text_frame:
        yield f"Chart: {clean_text(chart.chart_title.text_frame.text)}"
    for plot in chart.plots:
        categories = [str(category) for category in plot.categories]
        series = list(plot.series)
        values = [list(each.values) for each in series]
        header = ["Category", *(cell_text(each.name or "") for each in series)]
        rows = [
            [name, *(f"{v[n]:.15g}" if n < len(v) and v[n] is not None else "" for v in values)]
            for n, name in enumerate(categories)
        ]
        yield table_text(header, rows)
