"""What a text says, as words that can be compared: content, numbers, names, and what is denied.

Words are compared by their English stems, and those of other languages by how they begin, which
is what inflection leaves alone. Scripts that put no spaces between words are compared by pairs of
characters. Crude, and the same on both sides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from generation.writing.languages import function_words
from rag.terms import content_terms, text_terms

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
# Vowels and points that stand on letters, which Python counts among neither letters nor digits.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0981-\u0983\u09bc-\u09cd"
)
_LETTER = rf"(?:[^\W\d_{_UNSPACED}]|[{_MARKS}])"
_TOKEN = re.compile(
    rf"(?P<number>\d+(?:[.,'’\u00a0\u202f]\d+)*)|(?P<run>[{_UNSPACED}]+)|"
    rf"(?P<word>{_LETTER}+(?:['’]{_LETTER}+)*)|(?P<end>[.!?;:,()。！？；：，、…؟۔।\n|])"
)
_CASED = re.compile(r"[^\W\d_]+")
_APOSTROPHE = re.compile("['’]")
_SIGNS = {"$": " dollar ", "€": " euro ", "£": " pound ", "¥": " yen ", "%": " percent "}
_ITEM_NUMBER = re.compile(r"(?:^|(?<=[\s(]))\d{1,2}(?:\)|[.](?=\s))(?=.)", re.MULTILINE)
_SIGN = re.compile("[$€£¥%]")
_CURRENCIES = frozenset({"dollar", "euro", "pound", "yen", "percent"})
_SAME = {"eur": "euro", "euros": "euro", "usd": "dollar", "dollars": "dollar", "gbp": "pound",
         "pounds": "pound", "jpy": "yen", "percentage": "percent"}  # fmt: skip
_NUMBER_WORDS = {
    word: str(value)
    for language in (
        "zero one two three four five six seven eight nine ten eleven twelve",
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "zéro un deux trois quatre cinq six sept huit neuf dix onze douze",
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici",
        "zero um dois três quatro cinco seis sete oito nove dez onze doze",
        "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf",
        "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście",
        "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать",
    )
    for value, word in enumerate(language.split())
    if value > 1
} | {
    word: str(10 * value)
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety hundred".split(), start=2
    )
}
_NEGATORS = frozenset(
    """
    not no non never cannot without neither nor none nothing nobody nicht kein keine keinen keiner
    keinem keines nie niemals ohne weder pas jamais aucun aucune sans nunca ningún ninguna sin
    tampoco senza nessun nessuno nessuna não nunca nenhum nenhuma sem niet geen nooit zonder
    nie nigdy bez żaden brak inte aldrig utan ikke aldrig uden değil yok hayır asla není nelze nikdy
    niciodată fără не нет нельзя никогда без немає ніколи لا لم لن ليس غير بدون لیس
    לא אין בלי ללא नहीं न मत बिना
    """.split()
)
_NEGATING_CHARACTERS = re.compile(
    "[不没沒勿]|[无無]法|未(?![来來])|ない|ません|なく|않|못|없|아니|^안$"
)
_LIMITS = tuple(
    "only except unless exclud unavailab impossib disab forbid prohibit lack unable unsupported "
    "nur außer seulement sauf solo salvo excepto alleen tylko только кроме".split()
)
"""How words begin that say as little as a "not" does."""
_BEFORE, _AFTER = 2, 4  # how many content words before and behind a "not" it may speak of
_SAME_BEGINNING, _SAME_BEGINNING_ELSEWHERE = 0.8, 0.6  # of the longer word; English is stemmed
_MIN_BEGINNING = 4
_SEMITIC = re.compile("[\u0590-\u06ff]")
_MIN_INSIDE = 3  # Arabic and Hebrew write articles and prepositions onto the word


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text says. `words` are all of its words, `terms` those with content; no numbers.

    `numbers` are those written in digits, and `spelled` those in words. `names` are the terms that
    are written as names. `measured` are numbers with their currency, or with the words behind
    them, one of which should be their unit. `denied` are the terms near a "not"; `affirmed` those
    that stand elsewhere too. `is_limited` tells of an "only" or "except". `beginnings` are the
    first letters of the words.
    """

    words: frozenset[str]
    terms: frozenset[str]
    numbers: frozenset[str]
    spelled: frozenset[str]
    names: frozenset[str]
    measured: tuple[tuple[str, frozenset[str]], ...]
    denied: frozenset[str]
    affirmed: frozenset[str]
    is_limited: bool
    beginnings: frozenset[str]

    def has_word(self, term: str) -> bool:
        """Whether a term, or another form of it, is among the words."""
        may_be = term[:_MIN_BEGINNING] in self.beginnings or _is_semitic(term)
        return may_be and stands_in(term, self.words)


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of content or function, a number, or a "not", in the n-th `clause` of the text."""

    text: str
    kind: str
    clause: int
    is_name: bool = False


@lru_cache(maxsize=10_000)
def wording_of(text: str, language: str | None) -> Wording:
    """What a text says, in a language or an unknown one; remembered, since it is asked often."""
    text = _SIGN.sub(lambda sign: _SIGNS[sign.group()], _ITEM_NUMBER.sub(" ", text))
    tokens = list(_tokens(text, language))
    content = [token for token in tokens if token.kind != "function"]
    denied, affirmed = _polarity(content)
    written = _CASED.findall(text)
    has_names = not _writes_nouns_large(written, language)
    words = _of_kind(tokens, "word", "function")
    return Wording(
        words=words,
        terms=_of_kind(tokens, "word"),
        numbers=_of_kind(tokens, "number"),
        spelled=_of_kind(tokens, "spelled"),
        names=frozenset(token.text for token in tokens if token.is_name and has_names),
        measured=tuple(_measured(tokens)),
        denied=denied,
        affirmed=affirmed,
        is_limited=any(word.startswith(_LIMITS) for word in map(str.lower, written)),
        beginnings=frozenset(word[:_MIN_BEGINNING] for word in words),
    )


def stands_in(term: str, terms: Set[str]) -> bool:
    """Whether a term, or another form of it, is among `terms`."""
    return term in terms or any(_are_forms(term, other) for other in terms)


def _are_forms(left: str, right: str) -> bool:
    shorter, longer = sorted((left, right), key=len)
    if len(shorter) >= _MIN_INSIDE and _is_semitic(shorter):
        return shorter in longer
    is_english = left.isascii() and right.isascii()
    share = _SAME_BEGINNING if is_english else _SAME_BEGINNING_ELSEWHERE
    length = max(_MIN_BEGINNING, round(share * len(longer)))
    return len(shorter) >= length and shorter[:length] == longer[:length]


def _is_semitic(term: str) -> bool:
    return not term.isascii() and _SEMITIC.search(term) is not None


def _of_kind(tokens: list[_Token], *kinds: str) -> frozenset[str]:
    return frozenset(token.text for token in tokens if token.kind in kinds)


def _tokens(text: str, language: str | None) -> Iterator[_Token]:
    clause, starts_sentence = 0, True
    for match in _TOKEN.finditer(text):
        found = match.group()
        if match.lastgroup == "end":
            clause += 1
            starts_sentence = found not in ",:;()"
            continue
        if match.lastgroup == "number":
            yield _Token(_plain_number(found), "number", clause)
        elif match.lastgroup == "run":
            yield from _pairs(found, clause)
        else:
            yield _word(found, clause, starts_sentence, language)
        starts_sentence = False


def _writes_nouns_large(words: list[str], language: str | None) -> bool:
    """Whether capitals tell no names: in German, in titles, in a text that shouts."""
    large = sum(word[0].isupper() for word in words[1:])
    return language == "de" or 2 * large > len(words) - 1


def _word(word: str, clause: int, starts_sentence: bool, language: str | None) -> _Token:
    kind, text = _kind_and_text(word.lower(), language)
    is_large = any(map(str.isupper, word[1:])) or (word[0].isupper() and not starts_sentence)
    return _Token(text, kind, clause, is_large and kind == "word")


@lru_cache(maxsize=100_000)
def _kind_and_text(word: str, language: str | None) -> tuple[str, str]:
    if word in _NEGATORS or word.endswith(("n't", "n’t")):
        return "not", word
    word = max(_APOSTROPHE.split(word), key=len)  # of l'ordre and the company's
    if word in _NUMBER_WORDS:
        return "spelled", _NUMBER_WORDS[word]
    word = _SAME.get(word, word)
    term = next(iter(text_terms(word)), word) if word.isascii() else word
    is_empty = word in function_words(language) or not content_terms(word)
    return ("function" if is_empty else "word"), term


def _pairs(run: str, clause: int) -> Iterator[_Token]:
    """The pairs of neighbours in a run of characters; a single one stands for itself."""
    negating = {
        place for match in _NEGATING_CHARACTERS.finditer(run) for place in range(*match.span())
    }
    if len(run) == 1 and not negating:
        yield _Token(run, "word", clause)
    for place, pair in enumerate(pairwise(run)):
        if place in negating:
            yield _Token(run[place], "not", clause)
        yield _Token("".join(pair), "word", clause)


def _plain_number(number: str) -> str:
    """A number in one way of writing: 1,000 and 1.000 are 1000; 3,50 and 3.5 are 3.5."""
    digits = "".join(str(unicodedata.digit(c)) if c.isdigit() else "." for c in number)
    whole, *rest = digits.split(".")
    if all(len(part) == 3 for part in rest):
        return _without_zeros("".join((whole, *rest)))
    if len(rest[-1]) < 3 and all(len(part) == 3 for part in rest[:-1]):
        plain = _without_zeros("".join((whole, *rest[:-1])))
        return f"{plain}.{rest[-1]}".rstrip("0").rstrip(".") if rest[-1].strip("0") else plain
    return digits  # a version, an address


def _without_zeros(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _measured(tokens: list[_Token]) -> Iterator[tuple[str, frozenset[str]]]:
    for place, token in enumerate(tokens):
        if token.kind != "number":
            continue
        beside = [before.text for before in tokens[max(place - 1, 0) : place]]
        for other in tokens[place + 1 : place + 3]:
            if other.kind != "word" or other.clause != token.clause:
                break
            beside.append(other.text)
        signs = _CURRENCIES.intersection(beside)
        following = beside[min(place, 1) :]
        if signs or following:
            yield token.text, signs or frozenset(following)


def _polarity(tokens: list[_Token]) -> tuple[frozenset[str], frozenset[str]]:
    denied: set[str] = set()
    affirmed: set[str] = set()
    for clause in {token.clause for token in tokens}:
        words = [token for token in tokens if token.clause == clause and token.kind != "number"]
        near: set[int] = set()
        for place, token in enumerate(words):
            if token.kind == "not":
                near.update(range(place - _BEFORE, place + _AFTER + 1))
        for place, token in enumerate(words):
            if token.kind == "word":
                (denied if place in near else affirmed).add(token.text)
    return frozenset(denied), frozenset(affirmed)
