"""Glob patterns, taken part by part.

`*`, `?` and `[…]` stay within one name and match no leading dot; `**` as a whole part is any number
of folders, none included, hidden ones left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

ANY_FOLDERS = "**"


def has_magic(pattern: str) -> bool:
    """Whether a path, or a part of one, can be a pattern at all."""
    return any(sign in pattern for sign in "*?[")


def pattern_parts(pattern: str) -> list[str]:
    """The parts of an absolute pattern; the first is empty, for the root."""
    parts: list[str] = []
    for part in os.path.normpath(pattern).split(os.sep):
        if not (part == ANY_FOLDERS and parts and parts[-1] == ANY_FOLDERS):
            parts.append(part)
    return parts


def fixed_folder(pattern: str) -> str:
    """The folder above the first part that is a pattern."""
    parts = pattern_parts(pattern)
    fixed = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts))
    return os.sep.join(parts[:fixed]) or os.sep


def matches_name(part: str, name: str) -> bool:
    """Whether one name matches one part other than `**`."""
    if name.startswith(".") and not part.startswith("."):
        return False
    return fnmatchcase(name, part) if has_magic(part) else name == part


def holds_hidden(names: Sequence[str]) -> bool:
    """Whether one of the names on a way is hidden."""
    return any(name.startswith(".") for name in names)


def covers(pattern: str, path: str) -> bool:
    """Whether the absolute `path` matches, or a folder above it in which it is not hidden."""
    return _covers(pattern_parts(pattern), path.split(os.sep))


def _covers(parts: Sequence[str], names: Sequence[str]) -> bool:
    if not parts:  # the folder matches, and so all in it that is not hidden
        return not holds_hidden(names)
    if parts[0] != ANY_FOLDERS:
        return bool(names) and matches_name(parts[0], names[0]) and _covers(parts[1:], names[1:])
    # However many names the folders take, none of them is hidden.
    for taken in range(len(names)):
        if taken and names[taken - 1].startswith("."):
            return False
        if _covers(parts[1:], names[taken:]):
            return True
    return False
