"""Stable names: the id of a document and the version of its content.

Both are SHA-256, so they are the same on every machine and in every run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from rag.types import Document, Scalar


def document_id_for(source: str) -> str:
    """The id of the document found at `source`: `doc_` and 16 hexadecimal digits."""
    return f"doc_{_sha256(source)[:16]}"


def content_version(title: str | None, text: str, metadata: Mapping[str, Scalar]) -> str:
    """A hash of what a document says: 32 hexadecimal digits, whatever the order of `metadata`.

    `title` is None where the content itself names none: a title that only repeats the name of the
    file stays out, so that copies under different names have the same version.
    """
    canonical = json.dumps([title, text, dict(metadata)], ensure_ascii=False, sort_keys=True)
    return _sha256(canonical)[:32]


def revision_of(document: Document, chunker: str) -> str:
    """A hash of all that the chunks of a document are cut from: 32 hexadecimal digits.

    `chunker` is the fingerprint of what cuts it. Metadata and sources are no part of it: they can
    change without a new cut.
    """
    parts = [chunker, document.title, document.text, list(document.page_starts)]
    return _sha256(json.dumps(parts, ensure_ascii=False))[:32]


def _sha256(text: str) -> str:
    # The name of a file may hold bytes that are not UTF-8, which Python keeps as lone surrogates.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
