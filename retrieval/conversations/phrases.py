"""What a question is about: its names, and the phrase that a pronoun after it stands for.

A parser would know more, and take more. These rules go by the order of an English question: the
question words, the auxiliary, who acts, the verb, and what is left. They give a phrase of the
question itself, or none where they cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.terms import content_terms
from retrieval.conversations.words import (
    AUXILIARIES,
    BE,
    CONJUNCTIONS,
    DETERMINERS,
    FILLERS,
    PERSONS,
    POINTING,
    PREPOSITIONS,
    QUESTION_WORDS,
    SPEAKERS,
    THINGS,
    VERBS,
)

MAX_PHRASE_WORDS = 8
_WORD = re.compile(r"--?\w[\w-]*|[^\W_]+(?:['’._/&-][^\W_]+)*")
_QUOTED = re.compile(r"[\"“”«»`]([^\"“”«»`]{2,60})[\"“”«»`]")
_ASKED_FOR = re.compile(
    r"^(?:please\s+)?(?:(?:can|could|would)\s+(?:you|i)\s+(?:please\s+)?)?(?:tell\s+me|explain|"
    r"describe|define|show\s+me|(?:i\s+(?:want|need|would\s+like)\s+to\s+know)|do\s+you\s+know|"
    r"what\s+do\s+you\s+know|i\s+have\s+a\s+question|i\s+am\s+asking|where\s+can\s+i\s+read)"
    r"(?:\s+(?:more|something))?(?:\s+about)?\s+",
    re.IGNORECASE,
)
_PARTICIPLE = re.compile(r"\w{2,}(?:ed|ing)$")
_CUTS = CONJUNCTIONS - {"and", "or"}
_JOINS = frozenset({"of", "and", "in", "for", "the", "de", "la", "von", "van"})


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it stands: `[start, end)` of the text."""

    text: str
    start: int
    end: int

    @property
    def lower(self) -> str:
        """The word in lower case."""
        return self.text.lower()


def words_of(text: str) -> list[Word]:
    """The words of a text, in order."""
    return [Word(found[0], found.start(), found.end()) for found in _WORD.finditer(text)]


def names_in(text: str) -> list[str]:
    """What is quoted, and what is written as a name inside a sentence, each once, in order."""
    found = [match[1].strip() for match in _QUOTED.finditer(text)]
    words = words_of(text)
    run: list[Word] = []
    for at, word in enumerate([*words, None]):
        if word is not None and _is_name(text, words, at) and _follows(text, run, word):
            run.append(word)
            continue
        if run:
            found.append(text[run[0].start : run[-1].end])
        run = [word] if word is not None and _is_name(text, words, at) else []
    return list(dict.fromkeys(found))


def focus_of(question: str) -> str:
    """The phrase that "it" stands for after this question; empty where that is not clear."""
    text = _ASKED_FOR.sub("", question.strip(), count=1)
    words = words_of(text)
    chosen = _trimmed(_chosen(words))
    if not chosen or len(chosen) > MAX_PHRASE_WORDS:
        return ""
    phrase = text[chosen[0].start : chosen[-1].end]
    if any(mark in phrase for mark in "?!;\n") or not content_terms(phrase):
        return ""
    return re.sub(r"^(?:a|an|any|some|another)\s+", "the ", phrase, flags=re.IGNORECASE)


def _is_name(text: str, words: Sequence[Word], at: int) -> bool:
    word = words[at]
    if not any(map(str.isalnum, word.text)):
        return False
    is_odd = any(sign in word.text[1:] for sign in "_/-.") and not word.text.islower()
    has_capital = word.text[0].isupper() and word.lower not in QUESTION_WORDS | AUXILIARIES
    begins = at == 0 or bool(re.search(r"[.!?:]\s*$", text[: word.start]))
    if begins:  # a capital says nothing here, unless more of them follow
        return is_odd or (word.text.isupper() and len(word.text) > 1)
    return is_odd or (has_capital and word.lower != "i" and not word.lower.startswith("i'"))


def _follows(text: str, run: Sequence[Word], word: Word) -> bool:
    return bool(run) and text[run[-1].end : word.start] in (" ", "-")


def _chosen(words: Sequence[Word]) -> Sequence[Word]:
    """The words among which the phrase is."""
    at = 0
    while at < len(words) and words[at].lower in FILLERS | {"and", "or", "but"}:
        at += 1
    rest = words[at:]
    if not rest or rest[0].lower not in QUESTION_WORDS | AUXILIARIES:
        return _object(rest)
    helper = next((n for n, word in enumerate(rest[:6]) if word.lower in AUXILIARIES), None)
    if helper is None:  # "who wrote War and Peace", "how to install it", "which plan has SSO"
        verb = next((n for n, word in enumerate(rest[1:5]) if n and _does(word)), 0)
        return _behind_verb(rest[1 + verb :])
    behind = rest[helper + 1 :]
    if rest[helper].lower in BE:
        is_asked_for = rest[0].lower in ("what", "who", "which") and helper <= 1
        return _said_to_be(behind, is_asked_for=is_asked_for)
    is_known = bool(behind) and behind[0].lower in SPEAKERS | PERSONS | THINGS
    return _behind_verb(behind[1:]) if is_known else _subject(behind)


def _said_to_be(words: Sequence[Word], *, is_asked_for: bool) -> Sequence[Word]:
    """What stands behind a form of "to be": all of it where that is asked for."""
    if words and re.fullmatch(r"\w{2,}ing", words[0].lower):  # "who is playing chess"
        return _clause(words[1:])
    return _clause(words) if is_asked_for else _before_predicate(words)


def _object(words: Sequence[Word]) -> Sequence[Word]:
    """Of a statement or an order what is acted on; of a phrase all of it."""
    if not words:
        return []
    if words[0].lower in SPEAKERS | {"let"}:
        return _behind_verb(words[1:])
    if len(words) > 1 and words[1].lower in ("me", "us"):  # "help me with", "send me"
        return _behind_verb(words)[1:] if len(words) > 2 else []
    return words[1:] if words[0].lower in VERBS and len(words) > 1 else _clause(words)


def _behind_verb(words: Sequence[Word]) -> Sequence[Word]:
    skipped = 0
    while skipped < len(words) - 1 and (
        words[skipped].lower in AUXILIARIES | FILLERS | {"to", "not"}
        or words[skipped].lower.endswith("ly")
    ):
        skipped += 1
    behind = words[skipped + 1 :]
    while len(behind) > 2 and behind[0].lower in ("and", "or") and behind[1].lower in VERBS:
        behind = behind[2:]
    return _clause(behind)


def _subject(words: Sequence[Word]) -> Sequence[Word]:
    """Who acts, where the verb comes after: "does the plan cover theft" gives "the plan"."""
    clause = _clause(words)
    begin = 1 if clause and clause[0].lower in DETERMINERS else 0
    for at in range(begin + 1, len(clause)):
        if clause[at].lower in VERBS:
            is_noun = at + 1 < len(clause) and clause[at + 1].lower in VERBS  # "the limit applies"
            return clause[: at + is_noun]
    for at in range(begin + 2, len(clause)):
        if clause[at].lower in DETERMINERS | PREPOSITIONS - {"of"}:
            return clause[: at - 1]
    return clause[:-1] if len(clause) > begin + 1 else clause


def _before_predicate(words: Sequence[Word]) -> Sequence[Word]:
    """Who is something, where what it is comes after: "is the deposit refunded" gives "the
    deposit"."""
    clause = _clause(words)
    begin = 1 if clause and clause[0].lower in DETERMINERS else 0
    for at in range(begin + 1, len(clause)):
        if _PARTICIPLE.match(clause[at].lower) or clause[at].lower in VERBS:
            return clause[:at]
    return clause


def _does(word: Word) -> bool:
    """Whether it is a verb, as he, she or it has it."""
    return word.lower in VERBS or word.lower.removesuffix("s") in VERBS or word.lower == "has"


def _clause(words: Sequence[Word]) -> Sequence[Word]:
    """The words up to where another clause begins, or a phrase is said to be something."""
    for at, word in enumerate(words):
        if at and word.lower in _CUTS | QUESTION_WORDS | AUXILIARIES:
            return words[:at]
    return words


def _trimmed(words: Sequence[Word]) -> Sequence[Word]:
    """Without the small words at both ends; a determiner may stay in front."""
    small = PREPOSITIONS | CONJUNCTIONS | AUXILIARIES | FILLERS | PERSONS | THINGS | SPEAKERS
    small |= QUESTION_WORDS | {"there"}
    first, last = 0, len(words)
    while first < last and words[first].lower in small:
        first += 1
    while last > first and words[last - 1].lower in small | DETERMINERS | POINTING:
        last -= 1
    return words[first:last]
