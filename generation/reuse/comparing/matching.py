"""Which words of two questions are the same word: forms, synonyms, spelling, typing errors.

Numbers are never matched loosely, and names by their letters or their initials alone.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from generation.reuse.comparing.lexicon import lexicon
from generation.reuse.comparing.reading import Reading, Word

_MIN_TYPED = 5  # letters of a word in which one error is seen as such
_MIN_INITIALS = 2
_MIN_STEM = 5
_ENDINGS = frozenset(
    "able abl ible ibl ment ation ion ing ed ive iv ly ness ance anc ence enc".split()
)


@dataclass(frozen=True, slots=True)
class Matching:
    """The places of words that are the same in the kept and in the asked question, in order.

    `kept_alone` and `asked_alone` are the places of the words that the other has not, light verbs
    left out. `share`, 0 to 1, is how much of both questions is matched.
    """

    kept: tuple[Word, ...]
    asked: tuple[Word, ...]
    pairs: tuple[tuple[int, int], ...]
    kept_alone: tuple[int, ...]
    asked_alone: tuple[int, ...]
    share: float


def match(kept: Reading, asked: Reading) -> Matching:
    """Equal words first, in their order; then what is left, by its meaning and its letters."""
    pairs: list[tuple[int, int]] = []
    free = list(range(len(asked.words)))
    left = []
    for place, word in enumerate(kept.words):
        found = next((other for other in free if _are_equal(word, asked.words[other])), None)
        if found is None:
            left.append(place)
        else:
            free.remove(found)
            pairs.append((place, found))
    for place in left:
        word = kept.words[place]
        found = next((other for other in free if are_same(word, asked.words[other])), None)
        if found is not None:
            free.remove(found)
            pairs.append((place, found))
    kept_alone = _alone(kept.words, {place for place, _ in pairs})
    asked_alone = _alone(asked.words, {place for _, place in pairs})
    both = 2 * sum(kept.words[place].kind != "light" for place, _ in pairs)
    share = both / max(both + len(kept_alone) + len(asked_alone), 1)
    return Matching(kept.words, asked.words, tuple(sorted(pairs)), kept_alone, asked_alone, share)


def _alone(words: Sequence[Word], matched: Set[int]) -> tuple[int, ...]:
    return tuple(
        place for place, word in enumerate(words) if place not in matched and word.kind != "light"
    )


def _are_equal(left: Word, right: Word) -> bool:
    is_number = left.kind == "number"
    return left.form == right.form and is_number == (right.kind == "number")


def are_same(left: Word, right: Word) -> bool:
    """Whether two words that are not equal say the same."""
    if {"number", "light"} & {left.kind, right.kind}:
        return False
    known = lexicon().synonyms
    groups = known.get(left.form)
    if groups and not groups.isdisjoint(known.get(right.form, ())):
        return True
    if "name" in (left.kind, right.kind) or left.written[0] != right.written[0]:
        return False
    return are_forms(left.form, right.form) or is_typing_error(left.written, right.written)


def are_forms(left: str, right: str) -> bool:
    """Whether one stem is the other with an ending: spread and spreadable."""
    shorter, longer = sorted((left, right), key=len)
    return (
        len(shorter) >= _MIN_STEM
        and longer.startswith(shorter)
        and longer.removeprefix(shorter) in _ENDINGS
    )


def is_typing_error(left: str, right: str) -> bool:
    """Whether two spellings are one letter apart, behind the first, and one is no known word."""
    shorter, longer = sorted((left, right), key=len)
    if len(longer) < _MIN_TYPED or len(longer) - len(shorter) > 1 or left[0] != right[0]:
        return False
    known = lexicon().confusable
    if left in known and right in known:
        return False
    same = next(
        (i for i, pair in enumerate(zip(shorter, longer, strict=False)) if pair[0] != pair[1]),
        len(shorter),
    )
    if len(shorter) < len(longer):
        return shorter[same:] == longer[same + 1 :]
    return shorter[same + 1 :] == longer[same + 1 :] or (
        shorter[same : same + 2] == longer[same : same + 2][::-1]
        and shorter[same + 2 :] == longer[same + 2 :]
    )


def are_initials(short: Word, words: Sequence[Word]) -> bool:
    """Whether a word is the initials of words that follow each other."""
    letters = short.written.replace(".", "")
    return len(letters) >= _MIN_INITIALS and letters == "".join(w.written[0] for w in words)
