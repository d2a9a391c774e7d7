"""What of a model's answer stands in the excerpts: markers, quotes, links, language, confidence.

Nothing is passed off as cited that is not. A marker stays only where the excerpt it points at
supports the words before it (see `support`), and becomes the citation of exactly the sentences that
do. What is left out of the answer, or found in it, lowers the confidence.

The confidence is an estimate, not a calibrated probability: the share of the answer that the
excerpts support, times a low quantile of the probabilities of its tokens, which tells errors where
the mean does not (2404.10136), with an upper bound for each thing that is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from generation.writing.citing import Quote, citations_of
from generation.writing.claims import Claim, claims_of
from generation.writing.excerpts import Excerpt, given_text
from generation.writing.fencing import without_invisible
from generation.writing.languages import contradict, language_of
from generation.writing.links import without_foreign_links
from generation.writing.prompt import NO_ANSWER
from generation.writing.quoted import has_invented_quote
from generation.writing.support import Judge, Support
from generation.writing.wording import wording_of
from rag.calls import Finish
from rag.types import Citation

Finding = Literal[
    "no answer",
    "empty",
    "refused",
    "cut off",
    "other language",
    "uncited",
    "unsupported marker",
    "loose support",
    "invented quote",
    "foreign link",
]
"""What can be said of an answer. The first three leave nothing of it."""

AT_MOST: dict[Finding, float] = {
    "uncited": 0.2,
    "foreign link": 0.3,
    "other language": 0.3,
    "cut off": 0.4,
    "invented quote": 0.4,
    "loose support": 0.5,
}
"""The highest confidence of an answer of which this was found."""

_UNMARKED = 0.7  # what a supported sentence without a marker counts, beside one with
_WITHOUT_PROBABILITIES = 0.8  # what the quantile is taken for where the model tells none
_QUANTILE = 0.1
_LEAST_LOGPROB = -30.0  # below that, a probability is nothing
_THOUGHT = re.compile(r"^\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_NO_ANSWER = re.compile(r"\W*no[ _-]answer(?:\s*\[\d+\]|\W)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer as it may be given. `confidence`: 0 to 1, an estimate; 0 when nothing is left.

    `signals` are what it can be estimated from, by name: the supported share, the low quantile and
    the mean of the log-probabilities where the model tells any, the words, the citations, and 1 for
    each thing that was found.
    """

    text: str
    citations: tuple[Citation, ...]
    confidence: float
    findings: tuple[Finding, ...]
    signals: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no answer: none was written, or none to the question."""
        return not self.text


def without_thoughts(text: str) -> str:
    """What is written behind the thoughts that some models put before their answer."""
    return _THOUGHT.sub("", text)


def read_ahead(question: str, excerpts: Sequence[Excerpt]) -> None:
    """Reads what an answer will be checked against, most likely in the language that it will have.

    What is read is remembered, so that `check` is quicker: for the time while a model writes.
    """
    language = language_of(question) or language_of(given_text(excerpts))
    Judge(excerpts, language).read()


def check(
    question: str,
    answer: str,
    excerpts: Sequence[Excerpt],
    finish: Finish = "stop",
    logprobs: Sequence[float] = (),
) -> Checked:
    """The answer to a question, checked against the excerpts that the model was given."""
    answer = without_invisible(without_thoughts(answer)).strip()
    nothing = _nothing_said(answer, finish)
    if nothing is not None:
        return Checked("", (), 0.0, (nothing,))
    findings: list[Finding] = ["cut off"] if finish == "length" else []
    language = language_of(answer)
    if contradict(language_of(question), language):
        findings.append("other language")
    given = f"{given_text(excerpts)}\n{question}"
    answer, had_links = without_foreign_links(answer, given)
    if had_links:
        findings.append("foreign link")
    if has_invented_quote(answer, given):
        findings.append("invented quote")
    judged = _Judged(excerpts, language)
    for claim in claims_of(answer):
        judged.add(claim)
    findings.extend(judged.findings)
    if not judged.text.strip():
        return Checked("", (), 0.0, ("empty",))
    bound = min((AT_MOST.get(finding, 1.0) for finding in findings), default=1.0)
    confidence = min(judged.supported_share * _sureness(logprobs), bound)
    text = judged.text.strip()
    signals: dict[str, float] = {
        "supported": judged.supported_share,
        "words": math.log1p(len(text.split())),
        "citations": float(len(judged.citations)),
    }
    signals |= {str(finding): float(finding in findings) for finding in AT_MOST}
    if logprobs:
        signals["low_logprob"] = _low_quantile(logprobs)
        signals["mean_logprob"] = max(sum(logprobs) / len(logprobs), _LEAST_LOGPROB)
    return Checked(text, judged.citations, confidence, tuple(findings), signals)


def _nothing_said(answer: str, finish: Finish) -> Finding | None:
    if finish == "refused":
        return "refused"
    if not any(map(str.isalnum, answer)):
        return "empty"
    return "no answer" if NO_ANSWER in answer or _NO_ANSWER.fullmatch(answer) else None


def _sureness(logprobs: Sequence[float]) -> float:
    """The probability of a token that nine tenths of the others reach."""
    if not logprobs:
        return _WITHOUT_PROBABILITIES
    return min(math.exp(_low_quantile(logprobs)), 1.0)


def _low_quantile(logprobs: Sequence[float]) -> float:
    ranked = sorted(logprobs)
    return max(ranked[int(_QUANTILE * (len(ranked) - 1))], _LEAST_LOGPROB)


class _Judged:
    """The answer as far as it was read: its text with new markers, and what supports it."""

    def __init__(self, excerpts: Sequence[Excerpt], language: str | None) -> None:
        self.text = ""
        self._judge = Judge(excerpts, language)
        self._given = [excerpt.number for excerpt in excerpts]
        self._language = language
        self._quotes: list[Quote] = []
        self._last_sentence = ""
        self._whole = self._supported = 0.0
        self._was_dropped = self._is_loose = False

    def add(self, claim: Claim) -> None:
        """The next claim."""
        says = claim.text if self._weight(claim.text) > 1 else claim.sentence
        if not self._weight(says):
            says = self._last_sentence
        self._last_sentence = says
        supports = self._supports(says, claim.numbers)
        self.text += claim.text
        weight = self._weight(claim.text)
        self._whole += weight
        if supports:
            self._supported += weight
            self._cite(claim, supports)
        elif claim.numbers:
            self._was_dropped = True
        elif weight and self._judge.support(claim.text, self._given):
            self._supported += _UNMARKED * weight

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Those of the markers that stayed, in the order in which they appear."""
        return citations_of(self._quotes)

    @property
    def supported_share(self) -> float:
        """How much of what is said the excerpts support, 0 to 1."""
        return self._supported / self._whole if self._whole else 0.0

    @property
    def findings(self) -> list[Finding]:
        """What was found about the markers."""
        found: list[Finding] = []
        if self._was_dropped:
            found.append("unsupported marker")
        if self._is_loose:
            found.append("loose support")
        if not self._quotes:
            found.append("uncited")
        return found

    def _supports(self, says: str, numbers: Sequence[int]) -> list[Support]:
        """By the marked excerpts one by one; when none suffices by itself, by all together."""
        given = [number for number in numbers if number in self._given]
        alone = [self._judge.support(says, [number]) for number in given]
        if not any(alone) and len(given) > 1:
            alone = [self._judge.support(says, given)]
        return [support for support in alone if support is not None]

    def _cite(self, claim: Claim, supports: Sequence[Support]) -> None:
        markers: list[int] = []
        for support in supports:
            self._is_loose = self._is_loose or support.is_loose
            for quote in support.quotes:
                if quote not in self._quotes:
                    self._quotes.append(quote)
                markers.append(self._quotes.index(quote) + 1)
        space = " " if claim.markers[:1].isspace() else ""
        self.text += space + "".join(f"[{marker}]" for marker in dict.fromkeys(markers))

    def _weight(self, text: str) -> int:
        says = wording_of(text, self._language)
        return len(says.terms) + len(says.numbers) + len(says.spelled)
