"""An estimate of the electricity that a call took, in watt-hours.

On one's own GPU (`GPU_METHOD`): the call's share of the GPU's time, times the watts that the
operator states. On somebody else's (`TOKENS_METHOD`): so much per token, from Epoch AI's estimate
for GPT-4o, https://epoch.ai/gradient-updates/how-much-energy-does-chatgpt-use (February 2025):
0.3 Wh for an answer of 500 tokens to a short question, 2.5 Wh with 10,000 tokens of input, the
data centre's own needs included. It is one model on one kind of GPU, so another one's may be ten
times more or less; tokens read from a provider's cache are taken to cost nothing.
"""

from __future__ import annotations

from rag.types import Usage

GPU_METHOD = "share of the GPU's time x watts stated"
TOKENS_METHOD = "0.3 Wh per 500 output and 2.2 Wh per 10,000 input tokens (Epoch AI, 2025-02)"

_WH_PER_OUTPUT_TOKEN = 0.3 / 500
_WH_PER_INPUT_TOKEN = 2.2 / 10_000
_SECONDS_PER_HOUR = 3600


def watt_hours(
    usage: Usage | None, gpu_seconds: float | None, gpu_watts: float | None
) -> float | None:
    """Watt-hours of one call, an estimate; None where nothing is known to estimate it from.

    `gpu_seconds` is the `Charge`'s: where there is one, the call ran on one's own GPU, which takes
    `gpu_watts` when it is busy (several GPUs of one server together).
    """
    if gpu_seconds is not None:
        return None if gpu_watts is None else gpu_seconds * gpu_watts / _SECONDS_PER_HOUR
    if usage is None:
        return None
    read = usage.input_tokens - usage.cached_input_tokens
    return read * _WH_PER_INPUT_TOKEN + usage.output_tokens * _WH_PER_OUTPUT_TOKEN
