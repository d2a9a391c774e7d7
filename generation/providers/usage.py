"""What providers report of the tokens of a call, in our words, and believed only where it can be.

Knows the shapes of the reports, and no client.
"""

from __future__ import annotations

from rag.calls import ModelCall
from rag.types import Usage

TEMPLATE_TOKENS = 200
"""What a chat template adds to two messages, with much to spare."""
MAX_OVERSHOOT = 2
"""An answer may pass `max_output_tokens` by this factor: some count what a model thinks apart."""


def openai_usage(report: object) -> Usage | None:
    """The usage in a report of the OpenAI chat protocol; None where it is none.

    Some providers (Google, xAI) count what a model thinks in the total alone. DeepSeek told of its
    cache in a field of its own.
    """
    try:
        read = _tokens(report, "prompt_tokens")
        written = _tokens(report, "completion_tokens")
        return Usage(
            input_tokens=read,
            cached_input_tokens=_tokens(report, "prompt_tokens_details", "cached_tokens")
            or _tokens(report, "prompt_cache_hit_tokens"),
            output_tokens=max(written, _tokens(report, "total_tokens") - read),
            cache_write_tokens=_tokens(report, "prompt_tokens_details", "cache_write_tokens"),
            reasoning_tokens=_tokens(report, "completion_tokens_details", "reasoning_tokens"),
        )
    except ValueError:
        return None


def anthropic_usage(report: object) -> Usage | None:
    """The usage in a report of the Anthropic messages protocol; None where it is none.

    There, what the cache takes and gives is counted beside the input and not in it.
    """
    try:
        cached = _tokens(report, "cache_read_input_tokens")
        cache_write = _tokens(report, "cache_creation_input_tokens")
        return Usage(
            input_tokens=_tokens(report, "input_tokens") + cached + cache_write,
            cached_input_tokens=cached,
            output_tokens=_tokens(report, "output_tokens"),
            cache_write_tokens=cache_write,
            reasoning_tokens=_tokens(report, "output_tokens_details", "thinking_tokens"),
        )
    except ValueError:
        return None


def believable(usage: Usage, call: ModelCall, *, text_was_written: bool) -> Usage | None:
    """The usage, or None where it cannot be that of the call.

    A prompt has at least one token and, besides what the template adds, no more than bytes.
    """
    prompt_bytes = len(call.prompt.system.encode()) + len(call.prompt.user.encode())
    can_be = (
        min(usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens) >= 0
        and 1 <= usage.input_tokens <= prompt_bytes + TEMPLATE_TOKENS
        and usage.cached_input_tokens + usage.cache_write_tokens <= usage.input_tokens
        and (1 if text_was_written else 0) <= usage.output_tokens
        and usage.output_tokens <= MAX_OVERSHOOT * call.max_output_tokens
        and usage.reasoning_tokens <= usage.output_tokens
    )
    return usage if can_be else None


def _tokens(report: object, *path: str) -> int:
    """The number at the end of a path through JSON objects, 0 where nothing or null is.

    Providers leave out what there is nothing of. Raises ValueError where something else is.
    """
    for name in path:
        if report is None:
            return 0
        if not isinstance(report, dict):
            raise ValueError(name)
        report = report.get(name)
    if report is None:
        return 0
    if not isinstance(report, int) or isinstance(report, bool):
        raise ValueError(path[-1])
    return report
