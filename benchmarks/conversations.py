"""How well follow-up questions find their document: as they are, with the last one, by the rules.

    python -m benchmarks.conversations --data ../shared/data

No conversations are among the trial data, so these are made: of the questions of clapnq and nq_open
that nothing was fitted on, those that name the title of their document. The questions are real,
the conversations around them are not. Four kinds:

    pronoun    "Tell me about <title>", then the real question with "it" for the title
    other one  the real question with another title, then "What about <title>?"
    bare       the real question, then "Why?" or "Tell me more"
    new topic  another real question, then the real question, which stands alone

nDCG@10 by document. `whole` is the real question, which nobody has here: the bound. And of all
questions of some sets, put behind a random other one, how many the rules change: each of them
stands alone, but for those of banking77 that speak of "it" by themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.indexed import Indexed
from benchmarks.publish import write_result
from benchmarks.question_sets import QuestionSet, load_clapnq, load_nq_open
from benchmarks.splits import is_held_out
from evaluation.measures.ranking import ndcg
from evaluation.measures.table import mean
from evaluation.statistics import interval
from rag.ports import Retriever
from rag.terms import content_terms
from rag.turns import Turn
from rag.types import Question
from retrieval.conversations.rules import rewrite

SEED = 7
DEPTH = 10
MOST_OF_A_KIND = 150
OPENINGS = (
    "What is {}?", "Tell me about {}", "Where can I read about {}?", "How does {} work?",
    "What do you know about {}?", "Is there anything about {}?",
)  # fmt: skip
AROUND = (
    "of", "in", "for", "to", "about", "on", "by", "from", "with", "at", "is", "was", "are", "were",
    "did", "does", "do", "can", "come", "came", "made", "used", "called", "located", "start",
)  # fmt: skip
"""Words beside a title where "it" can stand for it."""

BARE = ("Why?", "Tell me more", "How so?", "Since when?", "And why?")
SYSTEMS = ("as it is", "with the last one", "rules", "whole")


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question after another one; `whole` says what it means, `gold` where the answer is."""

    kind: str
    before: str
    text: str
    whole: str
    gold: frozenset[str]


def made(question_set: QuestionSet, draw: random.Random) -> list[FollowUp]:
    """The conversations that are made of a question set."""
    titles = {document.document_id: document.title for document in question_set.documents}
    asked = [
        (one.text, one.gold, match)
        for one in question_set.questions
        if one.gold and is_held_out(question_set.name, one.question_id)
        if (match := _titled([titles[name] for name in sorted(one.gold)], one.text)) is not None
    ]
    draw.shuffle(asked)
    asked = asked[:MOST_OF_A_KIND]
    found = []
    for number, (text, gold, match) in enumerate(asked):
        title, (other, _, others) = match["title"], asked[number - 1]
        pointing = f"{text[: match.start()]}it{text[match.end() :]}"
        swapped = f"{text[: match.start('title')]}{others['title']}{text[match.end('title') :]}"
        opening = draw.choice(OPENINGS).format(match[0].strip())
        about = draw.choice(("What about {}?", "And {}?", "how about {}")).format(title)
        found += [
            FollowUp("pronoun", opening, pointing, text, gold),
            FollowUp("other one", swapped, about, text, gold),
            FollowUp("bare", text, draw.choice(BARE), text, gold),
            FollowUp("new topic", other, text, text, gold),
        ]
    return found


def _titled(titles: Sequence[str], text: str) -> re.Match[str] | None:
    """Where a question of which something else is asked names one of these titles."""
    for title in titles:
        phrase = rf"(?P<title>{re.escape(title)})"
        around = (rf"(?<=\b{word} )" for word in AROUND)
        match = re.search(
            rf"(?:{'|'.join(around)})(?:the )?{phrase}(?=$|\?| (?:{'|'.join(AROUND)})\b)",
            text,
            re.IGNORECASE,
        )
        if match and len(content_terms(text) - content_terms(title)) >= 2:
            return match
    return None


def put(follow_up: FollowUp) -> dict[str, str]:
    """By system, what is searched for."""
    turns = [Turn(follow_up.before, follow_up.before)]
    return {
        "as it is": follow_up.text,
        "with the last one": f"{follow_up.before} {follow_up.text}",
        "rules": rewrite(follow_up.text, turns).text,
        "whole": follow_up.whole,
    }


async def measure(retriever: Retriever, asked: FollowUp, collection: str) -> dict[str, float]:
    """nDCG@10 of each system."""
    found = {}
    for system, text in put(asked).items():
        hits = await retriever.retrieve(Question(text, collection), 50)
        ranked = list(dict.fromkeys(hit.chunk.document_id for hit in hits))
        found[system] = ndcg(ranked, asked.gold, DEPTH)
    return found


def standing_alone(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Questions that were asked by themselves, by set."""
    for name in ("nq_open", "clapnq", "anthropic_docs_rag"):
        rows = (data / name / "queries.jsonl").read_text().splitlines()
        yield name, [json.loads(row)["text"] for row in rows]
    with (data / "banking77" / "test.csv").open() as file:
        yield "banking77", [row["text"] for row in csv.DictReader(file)]
    for language in ("en", "de"):
        path = data / "covid_question_similarity" / f"eval_question_similarity_{language}.csv"
        with path.open() as file:
            rows = list(csv.reader(file))[1:]
        yield f"covid, {language}", sorted({text for row in rows for text in row[:2]})


def touched(texts: Sequence[str], draw: random.Random) -> dict[str, float]:
    """Of questions that stand alone, how many are changed behind another; and the time it takes."""
    befores = [draw.choice(texts) for _ in texts]
    began = time.perf_counter()
    found = [rewrite(text, [Turn(one, one)]) for text, one in zip(texts, befores, strict=True)]
    took = time.perf_counter() - began
    changed = sum(one.text != text for one, text in zip(found, texts, strict=True))
    unsure = sum(not one.is_sure for one in found)
    return {
        "questions": len(texts),
        "changed": round(changed / len(texts), 4),
        "unsure": round(unsure / len(texts), 4),
        "ms": round(1000 * took / len(texts), 4),
    }


async def run(data: Path) -> dict[str, Any]:
    """All figures."""
    draw = random.Random(SEED)
    alone = {name: touched(texts, draw) for name, texts in standing_alone(data)}
    scores: dict[str, dict[str, list[float]]] = {}
    for question_set in (load_clapnq(data), load_nq_open(data)):
        follow_ups = made(question_set, draw)
        indexed = await Indexed.of(question_set)
        async with indexed.searchable() as retriever:
            for asked in follow_ups:
                found = await measure(retriever, asked, question_set.name)
                of_kind = scores.setdefault(f"{question_set.name}, {asked.kind}", {})
                for system, value in found.items():
                    of_kind.setdefault(system, []).append(value)
    return {
        "follow_ups": {
            kind: {"questions": len(of_kind["rules"])}
            | {system: _figure(values) for system, values in of_kind.items()}
            for kind, of_kind in scores.items()
        },
        "standing_alone": alone,
    }


def _figure(values: Sequence[float]) -> list[float]:
    """The mean, and its 95% interval."""
    rows = np.array(values).reshape(-1, 1)
    return [round(float(one or 0), 4) for one in (rows.mean(), *interval(mean, rows, seed=0))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="publish the figures")
    options = parser.parse_args()
    figures = asyncio.run(run(options.data))
    print(json.dumps(figures, indent=1))
    if options.write:
        write_result("conversations", figures)
