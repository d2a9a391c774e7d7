"""The public question sets that quality is measured and fitted on, in one form.

A set is its documents, its questions, and a judge that says whether quotes answer a question.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexing.identity import content_version
from rag.types import Citation, Document, Span

Judge = Callable[[Sequence[Citation]], bool]
Supports = Callable[[str, Span, str], bool]
"""Whether a part of a document, `(document id, span, text)`, holds the answer or is evidence."""

_GOLD_OVERLAP = 0.8
_MIN_COPIED_WORDS = 5


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    """A question, the documents that answer it (none: it cannot be answered), and its judges.

    `answers` are the reference answers as the set gives them.
    """

    question_id: str
    text: str
    gold: frozenset[str]
    is_right: Judge
    supports: Supports
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Documents and questions of one source, under the name of the collection."""

    name: str
    documents: tuple[Document, ...]
    questions: tuple[JudgedQuestion, ...]


def load_nq_open(data: Path) -> QuestionSet:
    """Right: a quote holds one of the short answers."""
    return _load(
        data / "nq_open",
        lambda row, gold: _holds_answer(row["answers"]),
        lambda row, gold: _answers_stand_in(row["answers"]),
    )


def load_clapnq(data: Path) -> QuestionSet:
    """Right: a quote is one of the gold sentences. Half of the questions cannot be answered."""
    return _load(data / "clapnq", lambda row, gold: _is_gold_sentence(row), _is_within_gold)


def load_anthropic_docs(data: Path) -> QuestionSet:
    """Right: the first quote is from a gold section (the set has no spans)."""
    return _load(
        data / "anthropic_docs_rag",
        lambda row, gold: _is_from(gold),
        lambda row, gold: lambda document_id, span, text: document_id in gold,
    )


def load_scifact(data: Path) -> QuestionSet:
    """Right: a quote is from a gold abstract (the test claims have no spans)."""
    return _load(
        data / "scifact",
        lambda row, gold: _is_from(gold),
        lambda row, gold: lambda document_id, span, text: document_id in gold,
    )


def load_chunking_eval(data: Path) -> QuestionSet:
    """Right: a quote overlaps an evidence span. Five long documents."""
    folder = data / "chunking_eval"
    documents = [
        _document("chunking_eval", path.stem, "", path.read_text(encoding="utf-8"))
        for path in sorted((folder / "raw" / "corpora").glob("*.*"))
    ]
    questions = [
        JudgedQuestion(
            row["id"], row["text"], frozenset({row["corpus"]}), _overlaps(row), _is_evidence(row)
        )
        for row in _rows(folder / "queries.jsonl")
    ]
    return QuestionSet("chunking_eval", tuple(documents), tuple(questions))


def _load(
    folder: Path,
    judge: Callable[[Mapping[str, object], frozenset[str]], Judge],
    evidence: Callable[[Mapping[str, object], frozenset[str]], Supports],
) -> QuestionSet:
    documents = [
        _document(folder.name, row["id"], row.get("title") or "", row["text"])
        for row in _rows(folder / "corpus.jsonl")
    ]
    gold: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question_id, document_id, grade = line.split("\t")
        if int(grade) > 0:
            gold.setdefault(question_id, set()).add(document_id)
    questions = []
    for row in _rows(folder / "queries.jsonl"):
        own = frozenset(gold.get(row["id"], ()))
        answers = tuple(row.get("answers") or ())
        questions.append(
            JudgedQuestion(
                row["id"], row["text"], own, judge(row, own), evidence(row, own), answers
            )
        )
    return QuestionSet(folder.name, tuple(documents), tuple(questions))


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _document(collection: str, name: str, title: str, text: str) -> Document:
    version = content_version(title, text, {})
    return Document(collection, name, version, title, text, (name,))


def _holds_answer(answers: Sequence[str]) -> Judge:
    wanted = [found for answer in answers if (found := plain(answer))]
    return lambda quotes: any(answer in plain(q.quote) for q in quotes for answer in wanted)


def _is_gold_sentence(row: Mapping[str, object]) -> Judge:
    gold = [set(plain(s).split()) for group in row.get("gold_sentences") or [] for s in group]

    def is_right(quotes: Sequence[Citation]) -> bool:
        quoted = [set(plain(quote.quote).split()) for quote in quotes]
        return any(len(q & g) >= _GOLD_OVERLAP * len(g) for q in quoted for g in gold if g)

    return is_right


def _is_from(gold: frozenset[str]) -> Judge:
    return lambda quotes: any(quote.document_id in gold for quote in quotes[:1])


def _overlaps(row: Mapping[str, object]) -> Judge:
    spans = [(ref["start_index"], ref["end_index"]) for ref in row["references"]]
    contents = [plain(ref["content"]) for ref in row["references"]]

    def is_right(quotes: Sequence[Citation]) -> bool:
        return any(
            quote.document_id == row["corpus"]
            and (
                any(quote.start < end and start < quote.end for start, end in spans)
                or _is_copy(quote.quote, contents)
            )
            for quote in quotes
        )

    return is_right


def _answers_stand_in(answers: Sequence[str]) -> Supports:
    wanted = [found for answer in answers if (found := plain(answer))]
    return lambda document_id, span, text: any(answer in plain(text) for answer in wanted)


def _is_within_gold(row: Mapping[str, object], gold: frozenset[str]) -> Supports:
    """A part of which nearly all words are those of one gold sentence."""
    sentences = [set(plain(s).split()) for group in row.get("gold_sentences") or [] for s in group]

    def supports(document_id: str, span: Span, text: str) -> bool:
        words = set(plain(text).split())
        return (
            document_id in gold
            and bool(words)
            and any(len(words & sentence) >= _GOLD_OVERLAP * len(words) for sentence in sentences)
        )

    return supports


def _is_evidence(row: Mapping[str, object]) -> Supports:
    """A part of which more than half is in an evidence span, or that holds half of one.

    A copy of the evidence that stands elsewhere in the document is as good.
    """
    spans = [(ref["start_index"], ref["end_index"]) for ref in row["references"]]
    contents = [plain(ref["content"]) for ref in row["references"]]

    def supports(document_id: str, span: Span, text: str) -> bool:
        return document_id == row["corpus"] and (
            any(
                min(span.end, end) - max(span.start, start)
                > min(span.end - span.start, end - start) / 2
                for start, end in spans
            )
            or _is_copy(text, contents)
        )

    return supports


def _is_copy(text: str, contents: Sequence[str]) -> bool:
    """Whether the text stands in one of the contents word for word; five words at least."""
    bare = plain(text)
    return len(bare.split()) >= _MIN_COPIED_WORDS and any(bare in content for content in contents)


def plain(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: SQuAD's normalisation."""
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())
