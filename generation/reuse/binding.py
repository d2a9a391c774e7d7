"""What an answer is bound to besides the words of its question, as hashes that are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from rag.types import Answer, Hit, Question, Scalar


def binding_of(question: Question, max_context_tokens: int, made_by: str) -> str:
    """Equal for questions that may share an answer if they ask the same.

    `made_by` names all that answers are made by: models, prompt and settings.
    """
    filters = _in_order(question.filters)
    parts = [question.tenant, question.collection, filters, max_context_tokens, made_by]
    return hash_of(parts)


def scope_of(question: Question) -> str:
    """Equal for questions that may share an answer that a person approved, if they ask the same."""
    return hash_of([question.tenant, question.collection, _in_order(question.filters)])


def filters_of(question: Question) -> str:
    """The filters of a question as JSON, equal for equal ones in whatever order."""
    return json.dumps(_in_order(question.filters), sort_keys=True)


def evidence_of(hits: Sequence[Hit]) -> str:
    """Equal for hits that say the same of the same documents, in whatever order.

    The order moves with every word that comes into a collection; what stands there does not.
    """
    return hash_of(
        sorted(
            [hit.chunk.chunk_id, hit.chunk.revision, hit.chunk.version, hit.chunk.source]
            for hit in hits
        )
    )


def saying_of(answer: Answer) -> str:
    """Equal for answers that say the same in the same words, from the same places."""
    places = [[one.document_id, one.start, one.end] for one in answer.citations]
    return hash_of([answer.text, places])


def values_of(filters: str) -> dict[str, tuple[Scalar, ...]]:
    """The filters of a question from what `filters_of` made of them."""
    return {name: tuple(values) for name, values in json.loads(filters).items()}


def _in_order(filters: Mapping[str, Sequence[Scalar]]) -> dict[str, list[Scalar]]:
    return {name: sorted(values, key=repr) for name, values in filters.items()}


def hash_of(parts: object) -> str:
    """A hash of what JSON can hold; text may have lone surrogates."""
    canonical = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
