"""Pronouns that nothing in a question explains, and what they stand for after the one before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.terms import content_terms
from rag.turns import Turn
from retrieval.conversations.phrases import Word, focus_of, names_in, words_of
from retrieval.conversations.words import (
    AUXILIARIES,
    CONJUNCTIONS,
    DETERMINERS,
    EXPLETIVES,
    FILLERS,
    PERSONS,
    POINTING,
    POSSESSIVES,
    PREPOSITIONS,
    QUESTION_WORDS,
    SMALL,
    SPEAKERS,
    THINGS,
    VERBS,
)

_MAX_CONTENT_BEHIND = 4  # words: with more, what is meant mostly stands there
_OPENED = re.compile(
    r"(?:and|what about|how about)\s+(?P<phrase>\w[^?.!,]{1,40})[?.!]*", re.IGNORECASE
)
_HAVING = frozenset("with has have had having put got as".split())
_TIMES = frozenset("after before until since than".split())
_HOW_MANY = (["how", "many"], ["how", "much"])
_ASK_FOR_CASES = (["what", "happens"], ["what", "if"])
_CLAUSE_BEGINS = QUESTION_WORDS | CONJUNCTIONS - {"and", "or"}


def points_at(words: Sequence[Word]) -> int | None:
    """The place of the first pronoun that nothing in the question explains; None without one."""
    return next((at for at in range(len(words)) if _points_back(words, at)), None)


def explained(asked: str, words: Sequence[Word], at: int, turns: Sequence[Turn]) -> str:
    """The question with what the pronoun at `at` stands for in its place.

    Empty where that is not one thing that was named: what was done, or what nobody can tell.
    """
    if means_doing(words, at, turns[-1]):
        return ""
    meant = _meant(words[at].lower, turns)
    if not meant:
        return ""
    end = at + 1
    if words[at].lower in POSSESSIVES and not _ends(words, at):
        end = min(at + 2 + (not _ends(words, at + 1)), len(words))
        meant = f"the {asked[words[at + 1].start : words[end - 1].end]} of {meant}"
    return _with(asked, words, at, end, meant)


def repeated(asked: str, words: Sequence[Word], last: Turn) -> str:
    """The question with the phrase of before for "this plan"; empty where it says no such thing."""
    for at, word in enumerate(words[:-1]):
        if word.lower in POINTING and not _explained_before(words[:at], word.lower):
            phrase = _phrase_of(words[at + 1].lower, last)
            if phrase:
                return _with(asked, words, at, at + 2, phrase)
    return ""


def means_doing(words: Sequence[Word], at: int, last: Turn) -> bool:
    """Whether a pronoun stands for what the question before asks how to do."""
    asks_how = re.match(
        r"(?:and |so )?how (?:do|does|did|can|could|to|should)\b", last.asked_as, re.IGNORECASE
    )
    behind = words[at + 1].lower if at + 1 < len(words) else ""
    is_done = words[at].lower in POINTING or behind in ("take", "takes", "happen")
    return bool(asks_how) and is_done and words[at].lower in POINTING | {"it"}


def _points_back(words: Sequence[Word], at: int) -> bool:
    """Whether a word is a pronoun that nothing before or after it in the question explains."""
    word = words[at].lower
    if word not in PERSONS | THINGS | POINTING:
        return False
    if _explained_before(words[:at], word) and not _is_apart(words, at):
        return False
    before = words[at - 1].lower if at else ""
    behind = [one.lower for one in words[at + 1 :]]
    asks_for_case = [one.lower for one in words[:2]] in _ASK_FOR_CASES
    if _is_out_of_place(word, before, behind, asks_for_case=asks_for_case):
        return False
    content = [one for one in behind if one not in SMALL | DETERMINERS | PERSONS | THINGS]
    if before in AUXILIARIES and word == "it":
        is_empty = bool(behind) and behind[0] in EXPLETIVES and len(content) > 1
        says_later = {"that", "if", "when", "whether"} & set(behind) or _to_do(behind)
        return not is_empty and not says_later
    is_anyone = before in AUXILIARIES and word == "they"  # "how do they make steel"
    return len(content) <= (1 if is_anyone else _MAX_CONTENT_BEHIND)


def _to_do(behind: Sequence[str]) -> bool:
    """Whether "to" comes before what is to be done, and not before a place."""
    places = DETERMINERS | THINGS
    return any(
        word == "to" and (at + 1 == len(behind) or behind[at + 1] not in places)
        for at, word in enumerate(behind)
    )


def _is_apart(words: Sequence[Word], at: int) -> bool:
    """Whether "it" is what is acted on, or stands behind a preposition, in the one clause.

    Then it is nothing of that clause: that would be "itself". Where something is said to have
    something, it can be: "the song with a bird in it".
    """
    lower = [word.lower for word in words[:at]]
    if words[at].lower not in ("it", "them") or at < 2 or lower[0] in SPEAKERS | DETERMINERS:
        return False
    if set(lower[1:]) & (CONJUNCTIONS | QUESTION_WORDS | _HAVING):
        return False
    is_acted_on = lower[-1] in VERBS and lower[-2] != "to"
    return is_acted_on or lower[-1] in PREPOSITIONS - _TIMES


def _is_out_of_place(word: str, before: str, behind: Sequence[str], *, asks_for_case: bool) -> bool:
    """Whether a pronoun stands where it is none, or where a new matter begins."""
    if before in _CLAUSE_BEGINS and not asks_for_case:  # "when it came to war"
        return True
    if word in POSSESSIVES:
        return False
    if not before:  # "It says that my card has expired"
        return True
    if behind and behind[0] in AUXILIARIES:  # "can it be turned off", and else a title
        return before not in AUXILIARIES or behind[0] not in ("be", "been", "have", "do")
    if word not in POINTING:
        return False
    is_alone = not behind or behind[0] in PREPOSITIONS | VERBS | FILLERS - {"extra"}
    return not is_alone or before not in AUXILIARIES | VERBS | PREPOSITIONS | QUESTION_WORDS


def _explained_before(words: Sequence[Word], pronoun: str) -> bool:
    """Whether something before a pronoun can be what it stands for."""
    first = words[0].lower if words else ""
    if first in ("what", "which") or [word.lower for word in words[:2]] in _HOW_MANY:
        helper = next((n for n, word in enumerate(words[:4]) if word.lower in AUXILIARIES), 0)
        words = words[helper:]  # "how many seats does it have", "what year was it built in"
    is_verb_due = True  # an order begins with its verb
    for at, word in enumerate(words):
        lower = word.lower
        if lower in SPEAKERS or lower == "to":
            is_verb_due = True
        elif lower in DETERMINERS and at + 1 < len(words):
            return True
        elif lower in SMALL or lower in VERBS:
            is_verb_due = lower in ("and", "or") or (is_verb_due and lower in FILLERS)
        elif is_verb_due:
            is_verb_due = False
        elif pronoun == "it" and lower.endswith("s"):  # "which errors does it raise"
            continue
        elif not (words[0].lower == "how" and at == 1):  # "how expensive is it"
            return True
    return False


def _phrase_of(noun: str, last: Turn) -> str:
    """The phrase of the turn before that ends with this noun; empty where none does."""
    stems = content_terms(noun)
    for phrase in (focus_of(last.asked_as), *names_in(last.asked_as), *last.names):
        if phrase and stems == content_terms(words_of(phrase)[-1].text):
            return phrase
    return ""


def _meant(pronoun: str, turns: Sequence[Turn]) -> str:
    """What a pronoun stands for after these turns; empty where that is not clear."""
    last = turns[-1]
    begins = words_of(last.asked_as)[0].lower if last.asked_as.strip(" ?.!") else ""
    if pronoun in PERSONS:
        people = [name for name in last.names if len(name.split()) > 1]
        named = names_in(last.asked_as)
        if begins == "who" and people:
            return people[0]
        return named[0] if len(named) == 1 else focus_of(last.asked_as) or (people or [""])[0]
    if begins == "which" and len(last.names) == 1:
        return last.names[0]
    focus = _new_topic(last) or _old_topic(turns) or focus_of(last.asked_as)
    if focus:
        return focus
    named = names_in(last.asked_as)
    return named[0] if len(named) == 1 else ""


def _new_topic(last: Turn) -> str:
    """What "And a summary?" has put in the place of what was spoken of before."""
    opened = _OPENED.fullmatch(" ".join(last.question.split()))
    phrase = opened["phrase"] if opened and last.asked_as != last.question else ""
    small = QUESTION_WORDS | AUXILIARIES | PREPOSITIONS
    return "" if not phrase or words_of(phrase)[0].lower in small else focus_of(phrase)


def _old_topic(turns: Sequence[Turn]) -> str:
    """What was put in the place of the last pronoun: a conversation stays with what it is about."""
    if len(turns) < 2 or turns[-1].asked_as == turns[-1].question:
        return ""
    topic = _new_topic(turns[-2]) or _old_topic(turns[:-1]) or focus_of(turns[-2].asked_as)
    return topic if topic and topic.lower() in turns[-1].asked_as.lower() else ""


def _ends(words: Sequence[Word], at: int) -> bool:
    return at + 1 >= len(words) or words[at + 1].lower in SMALL


def _with(asked: str, words: Sequence[Word], first: int, last: int, phrase: str) -> str:
    """The question with `phrase` in the place of the words `[first, last)`."""
    if first == 0:
        phrase = phrase[:1].upper() + phrase[1:]
    return f"{asked[: words[first].start]}{phrase}{asked[words[last - 1].end :]}"
