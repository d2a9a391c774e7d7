"""A mail as text: its subject as heading, who wrote to whom and when, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from indexing.readers.content import Content, clean_text
from indexing.readers.titles import one_line

_MAX_LINE_CHARS = 2000  # of addresses: some mails go to thousands


def letter(
    subject: str, lines: Mapping[str, str], body: str, attachments: Sequence[str], dated: str
) -> Content:
    """The mail; `lines` are what stands above the text, by name; blank ones are left out.

    `dated` is when it was sent, in ISO 8601, or empty.
    """
    title = one_line(clean_text(subject))
    told = {**lines, "Attachments": ", ".join(attachments)}
    head = "\n".join(
        f"{name}: {' '.join(value.split())[:_MAX_LINE_CHARS]}"
        for name, value in told.items()
        if value.strip()
    )
    parts: Iterable[str] = (f"# {title}" if title else "", head, body)
    return Content(clean_text("\n\n".join(filter(str.strip, parts))), title, dated=dated)
