"""What kind of answer a question asks for, and whether a text holds one.

"When was it released?" wants a date: a passage without one is beside the point, however much it
speaks of releases. Told by the question's wording, in English (Li and Roth, 2002, call it the
expected answer type); any other question wants no kind, and nothing is held against any text.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Literal

from rag.terms import content_terms

AnswerKind = Literal["number", "date", "name"]

_MEASURED = (
    "many|much|long|old|far|tall|big|often|high|large|deep|fast|wide|heavy|hot|cold|soon|late"
)
# "What happens when it is full?" asks for no date.
_AUXILIARIES = (
    "is|are|was|were|do|does|did|has|have|had|will|would|can|could|should|shall|must|may|might"
)
_WANTED: tuple[tuple[AnswerKind, re.Pattern[str]], ...] = (
    (
        "number",
        re.compile(
            rf"\bhow (?:{_MEASURED})\b|\bwhat (?:number|percent\w*|age|size|price|cost|rate|speed|"
            r"population|temperature|score|limit)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "date",
        re.compile(
            rf"\bwhen (?:{_AUXILIARIES})\b|^\W*when\b(?!.*,)|"
            r"\b(?:what|which) (?:year|date|day|month|time|century|decade|season)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "name",
        re.compile(
            r"\bwho(?:m|se)?\b|\bwhere\b|\b(?:what|which) (?:city|country|state|county|town|place|"
            r"river|island|continent|region)\b",
            re.IGNORECASE,
        ),
    ),
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    r"fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundred|thousand|million|billion|dozen|half|twice|once|third|quarter)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b(?:1\d{3}|20\d{2})s?\b|\b(?:January|February|March|April|June|July|August|September|"
    r"October|November|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|century|"
    r"spring|summer|autumn|winter)\b|\bMay \d|\d{1,2}:\d\d|\b\d+(?:st|nd|rd|th)\b|"
    r"\b(?:days?|weeks?|months?|years?|hours?|minutes?) (?:after|before|later|ago)\b"
)
_CAPITAL = "[A-ZÀ-ÖØ-Þ]"
# A capital begins every sentence: there only two capitalised words in a row are a name.
_NAME = re.compile(
    rf"(?<![.!?] )(?<!^)\b{_CAPITAL}[\w'’.-]*(?: {_CAPITAL}[\w'’.-]*)*"
    rf"|^{_CAPITAL}[\w'’-]+(?: {_CAPITAL}[\w'’.-]+)+"
)


def wanted_kind(question: str) -> AnswerKind | None:
    """The kind of answer that the question asks for; None where its wording does not tell."""
    return next((kind for kind, pattern in _WANTED if pattern.search(question)), None)


def holds_kind(kind: AnswerKind, text: str, question_terms: Set[str]) -> bool:
    """Whether `text` has a number, a date, or a name that the question does not give itself."""
    if kind == "number":
        return _NUMBER.search(text) is not None
    if kind == "date":
        return _DATE.search(text) is not None
    return any(not content_terms(name.group()) <= question_terms for name in _NAME.finditer(text))
