"""A follow-up question, rewritten by rules so that it stands alone.

Most questions of a conversation stand alone as they are, and a wrong rewriting is worse than none:
so a question is touched only where it leans on the one before by its form. There are three such
forms: it points back with a pronoun that nothing in it explains, it puts something else into the
place of a part ("And in Germany?"), or it is nothing but a question word ("Why?"). That a question
which names everything may still mean something of before ("What are the side effects?") is
not seen by rules; such a one is only said to be unsure. Nothing is parsed: see `phrases`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.terms import content_terms
from rag.turns import Turn
from retrieval.conversations.phrases import Word, focus_of, names_in, words_of
from retrieval.conversations.pointing import explained, means_doing, points_at, repeated
from retrieval.conversations.words import (
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    OTHERS,
    PREPOSITIONS,
    QUESTION_WORDS,
    SMALL,
    SPEAKERS,
    VERBS,
    Wording,
)

MAX_FOLLOW_UP_WORDS = 14
"""A longer question says by itself what it is about."""

_MAX_OPENED_WORDS = 7
_MAX_SHORT_WORDS = 6
_MAX_CARRIED_CHARS = 300
_OPENING = re.compile(
    r"^(?:(?:ok(?:ay)?|thanks|thank you|so|and|but)[\s,.!]+)*"
    r"(?:(?P<about>what about|how about|what if it(?:'s| is)|same for|also for)|(?P<plain>and|or))"
    r"\b[\s,]*",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"^(?:(?:can|could) you |please )*(?:tell me more|more|more details|go on|continue|elaborate|"
    r"explain|explain more|explain that|details|an example|examples|for example|give me an example|"
    r"any examples)(?: please)?\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A question that stands alone as far as rules can tell.

    `is_sure` is false where the question may lean on what was said before and the rules cannot
    tell on what: then `text` is the best that they have.
    """

    text: str
    is_sure: bool = True


def rewrite(question: str, turns: Sequence[Turn]) -> Rewriting:
    """The question by itself, after these turns, oldest first.

    A text that does not lean on them is given back as it is.
    """
    as_it_is = Rewriting(question)
    asked = " ".join(question.split())
    words = words_of(asked)
    if not turns or not words or len(words) > MAX_FOLLOW_UP_WORDS:
        return as_it_is
    last = turns[-1]
    other = _other_language(words, last)
    if other is not None:
        return _leaning(asked, words, last, other) or as_it_is
    if _MORE.match(asked) or all(word.lower in SMALL - SPEAKERS for word in words):
        return Rewriting(_joined(last, asked))
    opening = _OPENING.match(asked)
    if opening is not None:
        return _opened(asked, opening, turns)
    return _pointing(asked, words, turns) or Rewriting(question, not _may_lean(words, asked, last))


def _opened(asked: str, opening: re.Match[str], turns: Sequence[Turn]) -> Rewriting:
    """A question that begins with "and" or "what about"."""
    last = turns[-1]
    rest = asked[opening.end() :].strip(" ?.!,")
    words = words_of(rest)
    if not words:
        return Rewriting(_joined(last, asked))
    is_whole = words[0].lower in QUESTION_WORDS | AUXILIARIES
    if is_whole and (opening["about"] is None or len(words) > _MAX_OPENED_WORDS):
        whole = f"{rest[0].upper()}{rest[1:]}?"
        if all(word.lower in SMALL - SPEAKERS for word in words):
            return Rewriting(_joined(last, asked))
        return _pointing(whole, words_of(whole), turns) or Rewriting(whole, is_sure=False)
    if len(words) > _MAX_OPENED_WORDS:
        return Rewriting(asked)
    return Rewriting(_put_in_place(rest, words, last.asked_as))


def _put_in_place(new: str, words: Sequence[Word], before: str) -> str:
    """The question of before with `new` where something of its kind stood, else beside it."""
    old = _of_same_kind(new, words, before)
    if old:
        return before.replace(old, new, 1)
    body, end = re.fullmatch(r"(.*?)([?.!\s]*)", before, re.DOTALL).groups()  # type: ignore[union-attr]
    join = " " if words[0].lower in PREPOSITIONS else ", "
    return f"{body}{join}{new}{end or '?'}"


def _of_same_kind(new: str, words: Sequence[Word], before: str) -> str:
    """The part of `before` in whose place `new` comes; empty where there is none."""
    old = words_of(before)
    if words[0].lower in PREPOSITIONS:
        for at, word in enumerate(old):
            if word.lower == words[0].lower:
                end = at + 1
                while end < len(old) and not _ends_phrase(before, old, end, at + 1):
                    end += 1
                if end > at + 1:
                    return before[word.start : old[end - 1].end]
        return ""
    focus = focus_of(before)
    names = names_in(before)
    if len(names) == 1 and names_in(f"x {new}") == [_bare(new)]:
        return names[0] if _bare(new) == new else f"the {names[0]}"
    if focus and words_of(focus)[-1].lower == words[-1].lower and len(words) > 1:
        return focus
    numbers = re.findall(r"\d[\d.,]*", before)
    if re.fullmatch(r"\d[\d.,]*", new) and len(numbers) == 1:
        return str(numbers[0])
    are_mine = words[0].lower in ("my", "our") and focus.lower().startswith(("my ", "our "))
    return focus if are_mine else ""


def _ends_phrase(text: str, words: Sequence[Word], at: int, begin: int) -> bool:
    word = words[at]
    is_small = word.lower in PREPOSITIONS | CONJUNCTIONS | AUXILIARIES | QUESTION_WORDS
    is_verb = word.lower in VERBS and at > begin
    return is_small or is_verb or text[words[at - 1].end : word.start].strip() != ""


def _bare(phrase: str) -> str:
    return phrase[4:] if phrase.lower().startswith("the ") else phrase


def _pointing(asked: str, words: Sequence[Word], turns: Sequence[Turn]) -> Rewriting | None:
    """A question that points back, with what it points at in its place; None if it does not."""
    last = turns[-1]
    again = repeated(asked, words, last)
    if again:
        return Rewriting(again)
    at = points_at(words)
    if at is None:
        return None
    named = explained(asked, words, at, turns)
    if named:
        return Rewriting(named)
    return Rewriting(_joined(last, asked), is_sure=means_doing(words, at, last))


def _joined(last: Turn, asked: str) -> str:
    """The question of before, and then this one."""
    before = last.asked_as
    if len(before) > _MAX_CARRIED_CHARS:
        before = last.question[:_MAX_CARRIED_CHARS]
    before = before.rstrip()
    return f"{before}{'' if before[-1:] in '?.!' else '?'} {asked}"


def _may_lean(words: Sequence[Word], asked: str, last: Turn) -> bool:
    """Whether a question that points nowhere may still mean something of before."""
    if len(words) > _MAX_SHORT_WORDS or names_in(asked):
        return False
    said = content_terms(asked)
    has_the = any(word.lower in ("the", "these", "those", "this", "that") for word in words)
    is_fragment = words[0].lower not in QUESTION_WORDS | AUXILIARIES and len(words) <= 3
    return (has_the or is_fragment) and not said & content_terms(last.asked_as)


def _other_language(words: Sequence[Word], last: Turn) -> Wording | None:
    """The words of the language of a conversation that is not in English."""
    said = {word.lower for word in [*words, *words_of(last.asked_as)]}
    english = len(said & (QUESTION_WORDS | AUXILIARIES | DETERMINERS | SPEAKERS | {"and", "to"}))
    best = max(OTHERS.values(), key=lambda one: len(said & one.known))
    return best if len(said & best.known) > english else None


def _leaning(asked: str, words: Sequence[Word], last: Turn, wording: Wording) -> Rewriting | None:
    """A short question of another language that leans on the last one, behind that one."""
    lower = [word.lower for word in words]
    text = asked.lower().lstrip("¿¡ ")
    is_bare = len(words) <= 3 and all(word in wording.bare for word in lower)
    is_opened = len(words) <= _MAX_SHORT_WORDS and any(
        re.match(rf"{re.escape(opening)}\b", text) for opening in wording.openings
    )
    is_pointing = len(words) <= _MAX_SHORT_WORDS and (
        bool(set(lower[1:]) & wording.pronouns) or (len(words) > 1 and lower[-1] in wording.last)
    )
    if is_bare or is_opened:
        return Rewriting(_joined(last, asked))
    return Rewriting(_joined(last, asked), is_sure=False) if is_pointing else None
