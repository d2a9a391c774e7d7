"""Equations of Word as text: `sin θ = mλ/a`, in the order in which they are read aloud.

The elements are those of Office Math Markup (ECMA-376, part 1, section 22.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MAX_DEPTH = 60
_ATOM = re.compile(r"[\w.,∞°∘′]*|\([^()]*\)")


def equation_text(element: _Element, depth: int = 0) -> str:
    """An equation, or a part of one, on one line; what lies too deep is left out."""
    if depth > _MAX_DEPTH or not isinstance(element.tag, str):
        return ""
    name = element.tag.removeprefix(MATH)
    if name == "t":
        return element.text or ""
    if name.endswith("Pr"):  # properties; those that are shown are read where they belong
        return ""
    if name in _REPEATED:
        return _REPEATED[name](element, depth)
    told = [(child.tag, equation_text(child, depth + 1)) for child in element]
    if name in _TOLD:
        parts = {tag.removeprefix(MATH): text for tag, text in told if isinstance(tag, str)}
        return _TOLD[name](parts, element)
    return "".join(text for _, text in told)


def _atom(text: str) -> str:
    """`text` in brackets, unless it is one thing."""
    text = text.strip()
    return text if _ATOM.fullmatch(text) else f"({text})"


def _fraction(parts: Mapping[str, str], _element: _Element) -> str:
    return f"{_atom(parts.get('num', ''))}/{_atom(parts.get('den', ''))}"


def _power(parts: Mapping[str, str], _element: _Element) -> str:
    return f"{parts.get('e', '')}^{_atom(parts.get('sup', ''))}"


def _index(parts: Mapping[str, str], _element: _Element) -> str:
    return f"{parts.get('e', '')}_{_atom(parts.get('sub', ''))}"


def _index_and_power(parts: Mapping[str, str], element: _Element) -> str:
    return f"{_index(parts, element)}^{_atom(parts.get('sup', ''))}"


def _root(parts: Mapping[str, str], _element: _Element) -> str:
    degree = parts.get("deg", "").strip()
    return f"root_{_atom(degree)}({parts.get('e', '')})" if degree else f"√({parts.get('e', '')})"


def _sum(parts: Mapping[str, str], element: _Element) -> str:
    sign = element.find(f"{MATH}naryPr/{MATH}chr")
    told = "∫" if sign is None else sign.get(f"{MATH}val", "∫")
    low, high = parts.get("sub", "").strip(), parts.get("sup", "").strip()
    told += f"_{_atom(low)}" if low else ""
    told += f"^{_atom(high)}" if high else ""
    return f"{told} {parts.get('e', '')}"


def _brackets(element: _Element, depth: int) -> str:
    opening = element.find(f"{MATH}dPr/{MATH}begChr")
    closing = element.find(f"{MATH}dPr/{MATH}endChr")
    inner = ", ".join(equation_text(e, depth + 1) for e in element.findall(f"{MATH}e"))
    left = "(" if opening is None else opening.get(f"{MATH}val", "")
    right = ")" if closing is None else closing.get(f"{MATH}val", "")
    return f"{left}{inner}{right}"


def _function(parts: Mapping[str, str], _element: _Element) -> str:
    return f"{parts.get('fName', '').strip()} {parts.get('e', '')}"


def _limit(parts: Mapping[str, str], _element: _Element) -> str:
    return f"{parts.get('e', '')}_{_atom(parts.get('lim', ''))}"


def _matrix(element: _Element, depth: int) -> str:
    rows = [
        ", ".join(equation_text(e, depth + 2) for e in row.findall(f"{MATH}e"))
        for row in element.findall(f"{MATH}mr")
    ]
    return f"[{'; '.join(rows)}]"


_TOLD: Mapping[str, Callable[[Mapping[str, str], _Element], str]] = {
    "f": _fraction, "sSup": _power, "sSub": _index, "sSubSup": _index_and_power, "rad": _root,
    "nary": _sum, "func": _function, "limLow": _limit, "limUpp": _limit,
}  # fmt: skip
# Those whose parts of one name are several; each part is told once only, however deep it lies.
_REPEATED: Mapping[str, Callable[[_Element, int], str]] = {"d": _brackets, "m": _matrix}
