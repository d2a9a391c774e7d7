"""What models read in conversations: prompts that stand alone, and a chat that grows.

    python -m benchmarks.conversation_tokens --data ../shared/data

Seven made conversations of six questions over real documentation, each put so that it stands alone
by the rules, with the context that the default settings send for it. `ours` is the prompt of each
question: it holds no history. `grows` is what a chat client does that sends its messages along: the
prompts of before, context included, with a short answer to each. Of both, the tokens that begin
alike in the prompt before are those that a cache of prefixes could save; and of our contexts, the
tokens that were sent for the question before too, since both need them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from api.build import Application, build
from api.settings import load_settings
from benchmarks.publish import write_result
from compression.tokens import TiktokenCounter
from generation.writing.prompt import build_prompt
from rag.turns import Turn
from rag.types import Piece, Question
from retrieval.conversations.rules import rewrite

COUNTER = TiktokenCounter()
ANSWER = "It is described in the first excerpt, with the conditions under which it applies [1]."
TALKS = {
    "docs_prometheus": (
        "How do I configure remote write?|What are its limits?|How much memory does it use?|"
        "Can it be tuned?|What happens when it falls behind?|Why?",
        "What is a recording rule?|When should I use it?|How is it named?|How do I test it?|"
        "And alerting rules?|How do they differ?",
        "What is the difference between a counter and a gauge?|And a histogram?|"
        "When should I use it?|What are its buckets?|How do I calculate quantiles with it?|"
        "And a summary?",
    ),
    "docs_httpx": (
        "How do I set a timeout?|What is the default?|How do I disable it?|"
        "And for a single request?|Which exceptions does it raise?|Can it be set on a client?",
        "How do I use a proxy?|Does it support authentication?|And SOCKS?|"
        "How do I configure it with environment variables?|Can I route it by host?|"
        "How do I disable it?",
    ),
    "docs_helm": (
        "What is a chart hook?|When does it run?|How do I delete it?|What is its weight?|"
        "And a test?|How do I write it?",
        "How do I upgrade a release?|How do I roll it back?|What happens when that fails?|"
        "Can it be atomic?|And uninstall?|How do I keep its history?",
    ),
}


async def talk(application: Application, questions: Sequence[str]) -> Counter[str]:
    """The tokens of one conversation."""
    counts: Counter[str] = Counter()
    turns: list[Turn] = []
    before = {"ours": "", "grows": ""}
    history, sent = "", ()
    for asked in questions:
        text = rewrite(asked, turns).text
        turns.append(Turn(asked, text))
        question = Question(text, "default")
        context = await application.pipeline.context(question)
        prompt = build_prompt(question, context)
        read = {
            "ours": prompt.system + prompt.user,
            "grows": (history or prompt.system) + prompt.user,
        }
        for name, whole in read.items():
            counts[name] += COUNTER.count(whole)
            counts[f"{name}, begun alike"] += COUNTER.count(_alike(whole, before[name]))
        counts["context"] += context.tokens
        counts["context, sent before"] += sum(
            COUNTER.count(piece.text) for piece in context.pieces if _is_within(piece, sent)
        )
        before, history = read, f"{read['grows']}\n{ANSWER}\n"
        sent = context.pieces
        counts["questions"] += 1
    return counts


def _alike(one: str, other: str) -> str:
    """What both begin with."""
    end = next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        len(other),
    )
    return one[:end]


def _is_within(piece: Piece, sent: Sequence[Piece]) -> bool:
    return any(
        one.hit.chunk.chunk_id == piece.hit.chunk.chunk_id
        and one.start <= piece.start
        and piece.end <= one.end
        for one in sent
    )


async def run(data: Path) -> dict[str, int]:
    """The tokens of all conversations."""
    counts: Counter[str] = Counter()
    for name, talks in TALKS.items():
        with tempfile.TemporaryDirectory() as folder:
            application = build(load_settings({"data_dir": folder}))
            await application.ingestion.ingest([str(data / name)], "default")
            for questions in talks:
                counts += await talk(application, questions.split("|"))
            await application.close()
    return dict(counts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="publish the figures")
    options = parser.parse_args()
    figures = asyncio.run(run(options.data))
    print(json.dumps(figures, indent=1))
    if options.write:
        write_result("conversation_tokens", figures)
