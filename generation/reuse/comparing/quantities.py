"""Numbers as questions write them: in digits or in words, with ordinals, scales and separators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generation.reuse.comparing.lexicon import lexicon
from generation.writing.wording import wording_of

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
).split()
_SPELLED = (
    {word: value for value, word in enumerate(_SMALL)}
    | {word: 10 * value for value, word in enumerate(_TENS, start=2)}
    | {word: value for value, word in enumerate(_ORDINALS, start=1)}
)
_FRACTIONS = {"half": "0.5", "twice": "2", "dozen": "12"}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ENDINGS = {"k": 1_000, "st": 1, "nd": 1, "rd": 1, "th": 1}  # written onto the digits
_BEFORE_A_UNIT = frozenset({"per", "a", "each", "every"})  # "a second"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a break of a text in small letters, and the `gap` before it.

    The `text` of a number is its plain digits, and `written` is what stood there.
    """

    text: str
    kind: str
    gap: str
    written: str = ""


def with_numbers(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with every number in plain digits: "twenty-five", "25" and "25.0" are "25".

    "one" is a number before a unit or a scale alone; else it may stand for a thing.
    """
    done: list[Token] = []
    place = 0
    while place < len(tokens):
        value, count = _number_at(tokens, place)
        if value is None:
            done.append(tokens[place])
            place += 1
            continue
        written = "".join(token.gap + token.text for token in tokens[place : place + count])
        done.append(Token(value, "number", tokens[place].gap, written.strip(" -")))
        place += count
    return done


def _number_at(tokens: Sequence[Token], place: int) -> tuple[str | None, int]:
    """The digits of the number that begins here, None without one, and how many tokens it has."""
    token = tokens[place]
    following = [other.text for other in tokens[place + 1 : place + 2]]
    if token.kind == "number":
        return _in_digits(tokens, place)
    if token.text in _FRACTIONS:
        return _FRACTIONS[token.text], 1
    if token.text == "one" and not (set(following) & (_SCALES.keys() | lexicon().units.keys())):
        return None, 0
    if token.text == "second" and place:
        before = tokens[place - 1]
        if before.kind == "number" or before.text in _SPELLED.keys() | _BEFORE_A_UNIT:
            return None, 0
    return _in_words(tokens, place)


def _in_digits(tokens: Sequence[Token], place: int) -> tuple[str, int]:
    found = wording_of(tokens[place].text, None).numbers
    sign = "-" if tokens[place].text[0] in "-\u2212" else ""
    plain = sign + next(iter(found)) if len(found) == 1 else tokens[place].text
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    if following and plain.isdecimal():
        if following.gap == "" and following.text in _ENDINGS:
            return str(int(plain) * _ENDINGS[following.text]), 2
        if following.text in _SCALES:
            return str(int(plain) * _SCALES[following.text]), 2
    return plain, 1


def _in_words(tokens: Sequence[Token], place: int) -> tuple[str | None, int]:
    """Scales multiply what is before them; "and" may stand behind one."""
    total = group = count = 0
    for token in tokens[place:]:
        if token.text in _SCALES and count:
            group = max(group, 1) * _SCALES[token.text]
            total, group = (total + group, 0) if token.text != "hundred" else (total, group)
        elif token.text in _SPELLED and (not group or _follows(group, _SPELLED[token.text])):
            group += _SPELLED[token.text]
        elif token.text != "and" or not count or tokens[place + count - 1].text not in _SCALES:
            break
        count += 1
    if count and tokens[place + count - 1].text == "and":
        count -= 1
    return (str(total + group), count) if count else (None, 0)


def _follows(group: int, value: int) -> bool:
    """Whether a word goes on with a number: "twenty" with "five", "hundred" with both."""
    return (value < 10 <= group and group % 10 == 0) or (value < 100 <= group and group % 100 == 0)
