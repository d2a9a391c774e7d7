"""What callers may send, checked. A field that no model has is refused by name.

Ranges that the pipeline keeps are stated with the pipeline's own constants.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)

from api.setting_groups.group import ANY_COLLECTION_PATTERN
from indexing.loading.names import canonical_url
from indexing.readers.content import clean_text
from indexing.readers.jsonl import MAX_ID_CHARS
from rag.errors import FilterError, InputError
from rag.pipeline import MAX_CONTEXT_TOKENS, MAX_HITS
from rag.types import Question, Scalar, Tier

TENANT_HEADER, KEY_HEADER = "X-Rag-Tenant", "X-Rag-Key"
"""Who asks, as names: that of a tenant, and that of a key, which is no secret."""

MAX_FILTERS = 32
MAX_FILTER_VALUES = 1_000
MAX_SHOWN_CHARS = 60
MAX_URLS = 1_000
MAX_URL_CHARS = 2_000
MAX_INTEGER = 2**63 - 1  # what stores can hold
MAX_ANSWER_CHARS = 20_000
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # marks by which one text looks like another


def check_collection(name: str) -> str:
    """The name itself. Raises ValueError when a collection cannot be called so."""
    if not re.fullmatch(ANY_COLLECTION_PATTERN, name):
        raise ValueError("use 1 to 100 letters, digits, dots, dashes and underscores")
    return name


def _check_filters(value: object) -> dict[str, tuple[Scalar, ...]]:
    """Every field with the values that are allowed. Raises FilterError."""
    if not isinstance(value, Mapping) or len(value) > MAX_FILTERS:
        raise FilterError(
            f"filters must be an object of at most {MAX_FILTERS} fields: "
            'give {"field": value} or {"field": [values]}'
        )
    filters: dict[str, tuple[Scalar, ...]] = {}
    for name, wanted in value.items():
        values = tuple(wanted) if isinstance(wanted, list | tuple) else (wanted,)
        shown = ascii(str(name)[:MAX_SHOWN_CHARS])
        if not 1 <= len(values) <= MAX_FILTER_VALUES:
            raise FilterError(
                f"filter {shown} has {len(values):,} values: give 1 to {MAX_FILTER_VALUES:,}"
            )
        if not all(_is_comparable(one) for one in values):
            raise FilterError(
                f"filter {shown} holds a value that cannot be compared: "
                "give text, a number, true or false, or a list of them"
            )
        filters[str(name)] = values
    return filters


def check_characters(text: str) -> str:
    """The text itself. Raises ValueError for half a character, which no encoding holds."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("it holds half a character (a lone surrogate): send whole ones")
    return text


def check_answer(text: str) -> str:
    """An answer as a person wrote it, cleaned. Raises ValueError where nothing is left of it."""
    cleaned = clean_text(text).strip()
    if not cleaned:
        raise ValueError("it is empty: write something, or leave it out")
    return cleaned


def _check_value(value: object) -> object:
    if not _is_comparable(value):
        raise ValueError("give text, a number of 64 bits, true or false")
    return value


def _is_comparable(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return check_characters(value) == value
    return isinstance(value, int) and abs(value) <= MAX_INTEGER


AnswerText = Annotated[str, Field(max_length=MAX_ANSWER_CHARS), AfterValidator(check_answer)]
Value = Annotated[
    Any,
    AfterValidator(_check_value),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
AnswerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
Collection = Annotated[
    str,
    AfterValidator(check_collection),
    Field(
        description="Unset: the default collection.",
        json_schema_extra={"pattern": ANY_COLLECTION_PATTERN},
    ),
]
Words = Annotated[
    str,
    AfterValidator(check_characters),
    Field(
        description="What is asked, in plain words.",
        examples=["When do refunds come?"],
        json_schema_extra={"pattern": r"\S"},
    ),
]
Dollars = Annotated[
    Decimal,
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"},
            ]
        }
    ),
]
Filters = Annotated[
    dict[str, tuple[Any, ...]],
    BeforeValidator(_check_filters),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_FILTERS,
            "description": "Field of the chunk (document_id, source, title) or of the document's "
            "metadata: the value that it must have, or a list of which one suffices.",
            "additionalProperties": {
                "anyOf": [
                    {"type": ["string", "number", "boolean"]},
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_FILTER_VALUES,
                        "items": {"type": ["string", "number", "boolean"]},
                    },
                ]
            },
        }
    ),
]
ContextTokens = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=MAX_CONTEXT_TOKENS,
        description="Tokens of context at most; unset: the setting context.max_tokens.",
    ),
]


class Input(BaseModel):
    """Root of what callers send."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Asked(Input):
    question: Words
    collection: Collection | None = None

    def to_question(self, default_collection: str) -> Question:
        """The question as the pipeline takes it."""
        return Question(self.question, self.collection or default_collection)


class AnswerOptions(Input):
    """How a question shall be answered."""

    filters: Filters = Field(default_factory=dict)
    max_context_tokens: ContextTokens | None = None
    conversation_id: str | None = Field(
        default=None,
        max_length=200,
        description="What the question is a part of: what was asked there before is remembered "
        "for a while, and a follow-up is put so that it stands alone; an experiment serves all of "
        "it alike.",
    )
    tier: Tier | None = Field(
        default=None, description="Who must write the answer; unset: the cheapest that can."
    )
    max_cost_usd: Dollars | None = Field(
        default=None, description="Dollars at most for this answer."
    )
    fresh: StrictBool = Field(
        default=False, description="Answer anew: give no kept answer, and keep none."
    )

    def question_of(self, text: str, collection: str) -> Question:
        """What is asked of a collection, to be answered so, as the pipeline takes it."""
        return Question(
            text,
            collection,
            self.filters,
            tier=self.tier,
            max_cost_usd=self.max_cost_usd,
            is_fresh=self.fresh,
            conversation_id=self.conversation_id or "",
        )


class AnswerIn(AnswerOptions, _Asked):
    """A question to answer."""

    stream: StrictBool = Field(
        default=False,
        description="Answer as server-sent events: `delta` with a piece of the text, `restart` "
        "when the pieces so far are void, then `answer` with the whole object, or `error` with a "
        "problem.",
    )

    def to_question(self, default_collection: str) -> Question:
        """The question as the pipeline takes it."""
        return self.question_of(self.question, self.collection or default_collection)


class SearchIn(_Asked):
    """A question to find chunks for."""

    filters: Filters = Field(default_factory=dict)
    k: Annotated[int, Field(strict=True, ge=1, le=MAX_HITS, description="Hits at most.")] = 10

    def to_question(self, default_collection: str) -> Question:
        """The question as the pipeline takes it."""
        return Question(self.question, self.collection or default_collection, self.filters)


class ContextIn(_Asked):
    """A question to gather a context for."""

    max_context_tokens: ContextTokens | None = None


def _check_text(text: str) -> str:
    if not clean_text(text).strip():
        raise ValueError("the text is empty: write something into it, or leave the document out")
    return text


def check_id(given: str) -> str:
    """An id that a caller gives. Raises ValueError."""
    cleaned = _TURNS.sub("", clean_text(given)).strip()
    if not cleaned or "\n" in cleaned or len(cleaned) > MAX_ID_CHARS:
        raise ValueError(f"give one line of 1 to {MAX_ID_CHARS} characters")
    return cleaned


class TextIn(Input):
    """One document that comes as text."""

    id: Annotated[str, AfterValidator(check_id)] | None = Field(
        default=None,
        description="Sending the same id again replaces the document; unset: from its content.",
    )
    title: str = Field(default="", max_length=2_000)
    text: Annotated[str, AfterValidator(_check_text), Field(json_schema_extra={"pattern": r"\S"})]
    metadata: dict[
        Annotated[str, Field(min_length=1, max_length=200)],
        Value,
    ] = Field(default_factory=dict, description="What filters can ask for.")


def _check_url(url: str) -> str:
    try:
        return canonical_url(url)
    except InputError as error:
        raise ValueError(str(error)) from None


class DocumentsIn(Input):
    """Documents to ingest: texts, or URLs and (the command line on this machine only) paths."""

    collection: Collection | None = None
    documents: list[TextIn] | None = Field(
        default=None,
        min_length=1,
        examples=[[{"id": "refunds", "text": "Refunds take 14 days."}]],
    )
    paths: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        min_length=1,
        description="Absolute paths on the service's machine; needs the token that the service "
        "keeps in its data folder.",
    )
    urls: (
        list[Annotated[str, Field(max_length=MAX_URL_CHARS), AfterValidator(_check_url)]] | None
    ) = Field(
        default=None,
        min_length=1,
        max_length=MAX_URLS,
        description="Pages and sitemaps, by http or https.",
    )
    sync: StrictBool = Field(
        default=False, description="For paths and URLs: also remove what is gone under them."
    )
    dry_run: StrictBool = Field(
        default=False, description="For paths and URLs: only say what would be done."
    )

    @model_validator(mode="after")
    def _check_one_kind(self) -> Self:
        if (self.documents is None) == (self.paths is None and self.urls is None):
            raise ValueError("give documents, or urls or paths: not both, not none")
        if self.documents is not None and (self.sync or self.dry_run):
            raise ValueError("sync and dry_run are for urls and paths: leave them out")
        ids = Counter(text.id for text in self.documents or () if text.id is not None)
        repeated = [name for name, count in ids.items() if count > 1]
        if repeated:
            raise ValueError(f"two documents have the id {repeated[0]!r}: give each its own")
        if not all(PurePath(path).is_absolute() for path in self.paths or ()):
            raise ValueError("paths must be absolute")
        return self


def validation_lines(errors: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What pydantic found, as pairs of field and message: value, limit and mend."""
    return [_validation_line(error) for error in errors]


def _validation_line(error: Mapping[str, Any]) -> tuple[str, str]:
    place = [str(part) for part in error["loc"] if part not in ("body", "query", "path")]
    field = "".join(one if one.isprintable() else "?" for one in ".".join(place))[:MAX_SHOWN_CHARS]
    if not field and error["type"] in ("missing", "model_type", "model_attributes_type"):
        return field, "the body is not a JSON object: send one"
    if error["type"] == "extra_forbidden":
        return field, "there is no such field: correct or remove it"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if isinstance(error.get("input"), str | int | float):
        message = f"{_shown(error['input'])} does not fit: {message}"
    return field, message


def _shown(value: str | int | float) -> str:
    shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"a value of {len(shown):,} characters"
