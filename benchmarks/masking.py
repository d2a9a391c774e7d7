"""What masking finds, what it masks that is nobody's, and how long it takes.

    python -m benchmarks.masking --data ../shared/data

Texts are made with known personal data: each way to write a kind stands in sentences of several
languages, with values made from a seed by the rules of who gives them out. A value counts as found
where every letter and digit of it is masked. Formats that are held out were written after the
patterns, which were not changed for them. What is masked in real documents and questions is counted
too: nearly none of it is anybody's. The peer is presidio's own recognizers as they come, without a
language model, in the same run.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.made_personal import FORMATS, SENTENCES
from benchmarks.publish import write_result
from compression.tokens import TiktokenCounter
from generation.privacy.finding import PresidioFinder
from generation.privacy.kinds import Kind

KINDS: tuple[Kind, ...] = ("email", "iban", "card", "ip", "phone")
SEED = 7
EACH = 12  # values of a format
PROMPT_TOKENS = 1_000
REPEATS = 30

Span = tuple[int, int]
Find = Callable[[str], list[tuple[str, int, int]]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    data = arguments.parse_args().data
    logging.disable(logging.CRITICAL)  # the peer tells of every page that it cannot fetch
    ours, peer = _ours(), _peer()
    made = {"ours": _recall(ours), "presidio": _recall(peer)}
    ordinary = list(_ordinary(data))
    figures = {
        "seed": SEED,
        "values_each_format": EACH,
        "recall": made,
        "ordinary": {"ours": _masked(ours, ordinary), "presidio": _masked(peer, ordinary)},
        "ms_per_prompt": _speeds(ours, peer, ordinary),
    }
    write_result("masking", figures)


def _ours() -> Find:
    finder = PresidioFinder()
    return lambda text: [(one.kind, one.start, one.end) for one in finder.find(text, KINDS)]


def _peer() -> Find:
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        IpRecognizer,
        PhoneRecognizer,
    )

    recognizers = {
        "email": EmailRecognizer(),
        "iban": IbanRecognizer(),
        "card": CreditCardRecognizer(),
        "ip": IpRecognizer(),
        "phone": PhoneRecognizer(),
    }
    return lambda text: [
        (kind, found.start, found.end)
        for kind, one in recognizers.items()
        for found in one.analyze(text, one.supported_entities, None)
    ]


def _recall(find: Find) -> dict[str, object]:
    """By kind and by format, the share of values that are masked whole; extra masks beside them."""
    by_kind: dict[tuple[str, bool], list[bool]] = {}
    by_format: dict[str, float] = {}
    for one in FORMATS:
        chance = random.Random(f"{SEED} {one.kind} {one.name}")
        found = []
        for number in range(EACH):
            value = one.make(chance)
            sentences = SENTENCES[one.kind]
            text = sentences[number % len(sentences)].replace("{}", one.around).replace("{}", value)
            found.append(_is_masked(text, value, find(text)))
        by_format[f"{one.kind}: {one.name}"] = statistics.mean(found)
        by_kind.setdefault((one.kind, one.is_held_out), []).extend(found)
    return {
        "seen": {k: round(statistics.mean(v), 4) for (k, held), v in by_kind.items() if not held},
        "held_out": {k: round(statistics.mean(v), 4) for (k, held), v in by_kind.items() if held},
        "values": {
            "seen": sum(len(v) for (_, held), v in by_kind.items() if not held),
            "held_out": sum(len(v) for (_, held), v in by_kind.items() if held),
        },
        "all": round(statistics.mean(x for v in by_kind.values() for x in v), 4),
        "missed_formats": {name: round(x, 3) for name, x in by_format.items() if x < 1},
    }


def _is_masked(text: str, value: str, found: Sequence[tuple[str, int, int]]) -> bool:
    covered = {at for _, start, end in found for at in range(start, end)}
    start = -1
    while (start := text.find(value, start + 1)) >= 0:
        places = range(start, start + len(value))
        if any(text[at].isalnum() and at not in covered for at in places):
            return False
    return True


def _ordinary(data: Path) -> Iterator[tuple[str, str]]:
    """Real texts by set: files of documentation, and the rows of data sets."""
    for path in sorted(data.rglob("*")):
        if not path.is_file() or path.stat().st_size > 60_000_000:
            continue
        name = path.relative_to(data).parts[0]
        if path.suffix in (".md", ".rst", ".txt", ".html"):
            yield name, path.read_text("utf-8", "replace")[:20_000]
        elif path.suffix == ".jsonl":
            with path.open(encoding="utf-8", errors="replace") as lines:
                for _, line in zip(range(300), lines, strict=False):
                    yield name, " ".join(_texts(json.loads(line)))[:20_000]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _masked(find: Find, ordinary: Sequence[tuple[str, str]]) -> dict[str, object]:
    """How many tokens of ordinary texts are masked, by kind, and some of what was."""
    counter = TiktokenCounter()
    chosen = _sample(ordinary)
    tokens = masked = 0
    kinds: Counter[str] = Counter()
    for _, text in chosen:
        tokens += counter.count(text)
        for kind, start, end in find(text):
            kinds[kind] += 1
            masked += counter.count(text[start:end])
    return {
        "texts": len(chosen),
        "tokens": tokens,
        "masked_tokens_per_million": round(1e6 * masked / tokens),
        "spans": dict(kinds),
    }


def _sample(ordinary: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """At most 60 texts of each set."""
    by_set: dict[str, list[tuple[str, str]]] = {}
    for one in ordinary:
        by_set.setdefault(one[0], []).append(one)
    chance = random.Random(SEED)
    return [x for some in by_set.values() for x in chance.sample(some, min(60, len(some)))]


def _speeds(
    ours: Find, peer: Find, ordinary: Sequence[tuple[str, str]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds for prompts of 1,000 tokens: ordinary ones, and ones with twenty values."""
    chance = random.Random(SEED)
    pool = [text for _, text in _sample(ordinary) if len(text) > 4_500]
    plain = [text[:4_300] for text in chance.sample(pool, min(REPEATS, len(pool)))]
    dense = []
    for text in plain:
        values = " ".join(chance.choice(FORMATS).make(chance) for _ in range(20))
        dense.append(f"{text[:3_700]} {values}")
    return {
        name: {who: _times(find, texts) for who, find in (("ours", ours), ("presidio", peer))}
        for name, texts in (("ordinary", plain), ("with_20_values", dense))
    }


def _times(find: Find, texts: Sequence[str]) -> dict[str, float]:
    for text in texts[:3]:
        find(text)
    taken = []
    for text in texts:
        began = time.perf_counter()
        find(text)
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return {
        "median": round(statistics.median(taken), 2),
        "p90": round(taken[int(0.9 * (len(taken) - 1))], 2),
    }


if __name__ == "__main__":
    main()
