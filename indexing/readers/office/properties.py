"""The properties of an office file, which its author or a program filled in."""

from __future__ import annotations

import html
import re
import zipfile
from dataclasses import dataclass

from indexing.readers.content import clean_text, iso_date
from indexing.readers.packages import unpack

_PROPERTIES = "docProps/core.xml"
_TITLE = re.compile(rb"<dc:title[^>]*>([^<]*)</dc:title>")
_MODIFIED = re.compile(rb"<dcterms:modified[^>]*>([^<]*)</dcterms:modified>")


@dataclass(frozen=True, slots=True)
class Properties:
    """The title, and when the file was last edited in ISO 8601; empty where it does not say."""

    title: str
    modified: str


def read_properties(package: zipfile.ZipFile, source: str) -> Properties:
    """The properties of an office file that is open."""
    if _PROPERTIES not in package.namelist():
        return Properties("", "")
    told = unpack(package, _PROPERTIES, source)
    title, modified = (_text(field.search(told)) for field in (_TITLE, _MODIFIED))
    return Properties(title, iso_date(modified))


def _text(found: re.Match[bytes] | None) -> str:
    return clean_text(html.unescape(found[1].decode("utf-8", "replace"))) if found else ""
