"""Whether an answer is ever given again after what it rests on has changed.

    python -m benchmarks.stale_reuse --data ../shared/data

10,000 questions to the real service in this process, which quotes from passages of nq_open, drawn
so that a few are asked often. After every 50 of them documents are changed, forgotten and added, at
random, by the real ingestion. Every citation of every answer is compared with the text as it is
then, and every answer that is given again with the documents as they were when it was made. Some
of these are also made anew, from the words that they were made from, to see whether that comes to
the same.

All quotes are kept, however unsure, so that there is more to go stale; by default unsure ones are
not.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from api.build import Application, build
from api.setting_groups.answers import ReuseSettings
from api.settings import Settings
from benchmarks.publish import write_result
from benchmarks.question_sets import QuestionSet, load_nq_open, plain
from generation.reuse.tables import REUSES
from generation.reuse.verdicts import SAME_WORDS
from indexing.identity import content_version
from rag.types import Answer, Document, Question

COLLECTION = "nq_open"
PASSAGES = 500
ASKED = 300
EVERY = 50
CHANGED, FORGOTTEN = 6, 2
MADE_ANEW = 0.05
MANNERS = ("{}", "{}?", "Please tell me {}", "{}, thanks", "I would like to know {}", "{} exactly")
"""The last two are other words, the others the same."""


class World:
    """The documents as they are now, each with how often it was changed."""

    def __init__(self, documents: Sequence[Document], draw: random.Random) -> None:
        self._draw = draw
        self.there = {one.document_id: one for one in documents}
        self.gone: dict[str, Document] = {}
        self.edits = Counter[str]()

    async def change(self, application: Application) -> None:
        """Change some documents, forget some, and bring in one that was forgotten before."""
        ingestion = application.ingestion
        names = self._draw.sample(sorted(self.there), CHANGED + FORGOTTEN)
        put = [self._edited(self.there[name]) for name in names[:CHANGED]]
        if self.gone:
            name = self._draw.choice(sorted(self.gone))
            put.append(self._edited(self.gone.pop(name)))
        for document in put:
            self.there[document.document_id] = document
        await ingestion.ingest_documents(put, COLLECTION)
        await ingestion.forget(COLLECTION, names[CHANGED:])
        for name in names[CHANGED:]:
            self.gone[name] = self.there.pop(name)
            self.edits[name] += 1

    def _edited(self, document: Document) -> Document:
        """The document with a sentence more, a word less, or its halves turned round."""
        self.edits[document.document_id] += 1
        words = document.text.split(" ")
        place = self._draw.randrange(len(words))
        text = self._draw.choice(
            [
                f"Revised {self.edits[document.document_id]} times. {document.text}",
                " ".join(words[:place] + words[place + 1 :]) or "Nothing is left.",
                " ".join(words[place:] + words[:place]),
            ]
        )
        return replace(document, text=text, version=content_version(document.title, text, {}))


class Watch:
    """What came of the answers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: dict[tuple[object, ...], tuple[str, dict[str, int]]] = {}
        self.counts = Counter[str]()
        self.ms: dict[str, list[float]] = {"cache": [], "extractive": []}

    def look_at(self, question: str, answer: Answer) -> str:
        """Compare an answer with the documents as they are; gives the words it was made from."""
        self.counts["answers"] += 1
        self.counts["given again"] += answer.tier == "cache"
        self.ms[answer.tier].append(sum(line.ms for line in answer.cost.lines))
        rests_on = {one.document_id: self._world.edits[one.document_id] for one in answer.citations}
        key = (answer.text, answer.citations)
        if answer.tier != "cache":
            self._made[key] = question, rests_on
        words, rested_on = self._made[key]
        if rested_on != rests_on or not set(rests_on) <= set(self._world.there):
            self.counts["stale"] += 1
        for one in answer.citations:
            document = self._world.there.get(one.document_id)
            is_there = document is not None and document.text[one.start : one.end] == one.quote
            self.counts["citations"] += 1
            self.counts["citations that are not there"] += not is_there
        return words


async def measure(data: Path, count: int) -> dict[str, Any]:
    """Ask, and change what the answers rest on."""
    draw = random.Random(0)
    documents, questions = chosen(load_nq_open(data), draw)
    with tempfile.TemporaryDirectory() as folder:
        application = build(
            Settings(
                data_dir=Path(folder),
                collection=COLLECTION,
                reuse=ReuseSettings(min_confidence=0.0),
            )
        )
        await application.ingestion.ingest_documents(documents, COLLECTION)
        world = World(documents, draw)
        watch = Watch(world)
        begun = time.perf_counter()
        for number, text in enumerate(asked(questions, count, draw)):
            if number and number % EVERY == 0:
                await world.change(application)
            answer = await ask(application, text)
            words = watch.look_at(text, answer)
            if answer.tier == "cache" and draw.random() < MADE_ANEW:
                anew = await ask(application, words, is_fresh=True)
                watch.counts["made anew"] += 1
                watch.counts["made anew and the same"] += answer.text == anew.text
        seconds = time.perf_counter() - begun
        watch.counts["given again in other words"] = in_other_words(application)
        await application.close()
    return {
        "passages": len(documents),
        "questions": count,
        "other questions": len(questions),
        "changes": {"edits": world.edits.total(), "every": EVERY},
        **{name: watch.counts[name] for name in COUNTED},
        "ms": {tier: round(statistics.median(ms), 2) for tier, ms in watch.ms.items()},
        "seconds": round(seconds, 1),
        "seed": 0,
    }


COUNTED = (
    "answers",
    "given again",
    "given again in other words",
    "stale",
    "citations",
    "citations that are not there",
    "made anew",
    "made anew and the same",
)


def in_other_words(application: Application) -> int:
    """How many were given to a question that had not the words of the kept one."""
    is_so = REUSES.c.was_given & (REUSES.c.score < SAME_WORDS)
    with application.state.connect() as connection:
        return connection.scalar(select(func.count()).where(is_so)) or 0


async def ask(application: Application, text: str, *, is_fresh: bool = False) -> Answer:
    """The answer of the service."""
    question = Question(text, COLLECTION, is_fresh=is_fresh)
    return await application.pipeline.answer(question, 500)


def chosen(question_set: QuestionSet, draw: random.Random) -> tuple[list[Document], list[str]]:
    """Some questions, the passages that answer them, and others; no two say the same."""
    some = draw.sample(question_set.questions, ASKED)
    gold = set(itertools.chain.from_iterable(one.gold for one in some))
    unique = {plain(one.text): one for one in question_set.documents}.values()
    others = [one for one in unique if one.document_id not in gold]
    own = [one for one in unique if one.document_id in gold]
    return own + draw.sample(others, PASSAGES - len(own)), [one.text for one in some]


def asked(questions: Sequence[str], count: int, draw: random.Random) -> list[str]:
    """The n-th question comes 1 / n times as often as the first, in several manners."""
    weights = [1 / (place + 1) for place in range(len(questions))]
    drawn = draw.choices(questions, weights, k=count)
    return [draw.choice(MANNERS).format(text) for text in drawn]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--print", action="store_true", help="print the figures, keep nothing")
    arguments = parser.parse_args()
    figures: Mapping[str, Any] = asyncio.run(measure(arguments.data, arguments.questions))
    if arguments.print:
        print(figures)
    else:
        write_result("stale_reuse", dict(figures))


if __name__ == "__main__":
    main()
