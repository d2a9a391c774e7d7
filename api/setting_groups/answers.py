"""The settings of answers: retrieval, context, the answer itself, reuse, and the baseline."""

from __future__ import annotations

from pydantic import Field

from api.setting_groups.group import (
    Group,
)
from rag.pipeline import MAX_CONTEXT_TOKENS, MAX_HITS


class RetrievalSettings(Group):
    """How the chunks that may answer are found."""

    candidates: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Chunks that each of dense and sparse search contributes.",
    )
    chunks: int = Field(
        default=10,
        ge=1,
        le=MAX_HITS,
        description="Chunks that are considered for an answer's context.",
    )
    dense_share: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Weight of the dense score when both are fused; the sparse score has the rest.",
    )
    reranker: str | None = Field(
        default=None,
        description="A sentence-transformers cross-encoder to rerank with; unset reranks nothing.",
    )


class ContextSettings(Group):
    """What is sent to the generator."""

    max_tokens: int = Field(
        default=1_000,
        ge=1,
        le=MAX_CONTEXT_TOKENS,
        description="Tokens of context, at most, for a question that does not say how many it "
        "wants.",
    )
    min_usefulness: float = Field(
        default=0.06,
        ge=0,
        le=1,
        description="Probability of helping to answer below which a sentence is left out of the "
        "context; 0 fills the budget.",
    )


class AnswerSettings(Group):
    """When to answer."""

    abstain_below: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="Confidence below which the service says that the documents do not answer.",
    )
    escalate_below: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Confidence below which the next dearer tier is asked, where there is one.",
    )
    instructions: str = Field(
        default="",
        max_length=4_000,
        description="What language models are told beside the rules of the project, such as the "
        "tone and the length of answers.",
    )
    max_question_chars: int = Field(
        default=4_000, ge=1, le=1_000_000, description="Characters that a question may have."
    )


class ReuseSettings(Group):
    """When an earlier answer is given again."""

    enabled: bool = Field(
        default=True,
        description="Keep answers, and give them again as long as nothing that they rest on has "
        "changed. What is kept stands in the state, the questions included.",
    )
    max_error: float = Field(
        default=0.01,
        ge=0,
        le=0.5,
        description="Of the answers that are given again to a question in other words, the share "
        "that may be wrong; 0 gives answers again to the same words only.",
    )
    min_confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Confidence that an answer must have to be kept; unset takes "
        "`answers.escalate_below`.",
    )
    keep_days: float = Field(
        default=30, gt=0, le=3_650, description="Days after which an answer is made anew."
    )
    max_entries: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Answers to keep; the oldest go first.",
    )


class BaselineSettings(Group):
    """The naive way, which every answer's saving is measured against."""

    model: str = Field(
        default="gpt-4o", min_length=1, description="Premium model of the baseline cost."
    )
    chunks: int = Field(
        default=5, ge=1, le=MAX_HITS, description="Best chunks that the baseline sends whole."
    )
