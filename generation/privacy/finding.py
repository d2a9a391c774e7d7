"""Finds personal data with presidio's recognizers, their checks of digits, and no language model.

Names need a model of spaCy's, and are not looked for without one. What is found otherwise follows
from how it is written: an address with a host, a card or an account whose check digits are right,
a telephone number that its country could have given out. A text without anything of the kind is
not looked at closely, and presidio, which takes seconds to import, is not imported for it.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from generation.privacy.kinds import KINDS, Kind, Personal
from generation.privacy.patterns import (
    CARD,
    EMAIL,
    IBAN_LENGTHS,
    IBAN_START,
    IPV4,
    MAY_HOLD,
    NO_PHONE,
    ORDINARY,
    PHONE,
    PHONE_WORD,
    VERSION_WORD,
    plain,
)
from rag.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from presidio_analyzer import LocalRecognizer
    from spacy.language import Language

INSTALL = "pip install 'thrifty-rag[privacy]'"
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "BR", "IN")
"""Countries whose telephone numbers are known without their country code."""

_WORD_WITHIN = 40  # characters before a number
_VERSION_WITHIN = 16
_NAME_LABELS = frozenset({"PERSON", "PER"})
_LONGEST_IBAN = 34
_NEEDLESS = ("tagger", "morphologizer", "parser", "attribute_ruler", "lemmatizer")
_LONGEST_PROMPT = 10_000_000  # characters

Span = tuple[int, int]


class PresidioFinder:
    """A Finder. `regions` are two letters each; `names_model` is a model of spaCy's or its folder.

    Raises MissingExtraError without presidio. The recognizers are made when they are needed first.
    """

    def __init__(self, regions: Sequence[str] = REGIONS, names_model: str | None = None) -> None:
        if find_spec("presidio_analyzer") is None:
            raise MissingExtraError(
                "presidio-analyzer, which masks personal data before it leaves for the premium "
                "tier (RAG_PRIVACY__MASK=none leaves it unmasked),",
                INSTALL,
            )
        self._regions = tuple(regions)
        self._names = None if names_model is None else _load_names(names_model)
        self._recognizers: _Recognizers | None = None
        self._making = threading.Lock()

    def find(self, text: str, kinds: Collection[Kind]) -> list[Personal]:
        """See `Finder`."""
        found = [Personal("name", *span) for span in self._name_spans(text, kinds)]
        wanted = [kind for kind in KINDS if kind in kinds and kind != "name"]
        read = plain(text)
        if wanted and MAY_HOLD.search(read):
            spans = self._open().spans
            found += [Personal(kind, *span) for kind in wanted for span in spans[kind](read)]
        return _apart(found)

    def _name_spans(self, text: str, kinds: Collection[Kind]) -> Iterator[Span]:
        if self._names is not None and "name" in kinds:
            for entity in self._names(text).ents:
                if entity.label_ in _NAME_LABELS:
                    line = entity.text.split("\n")[0]  # what stands below is no part of it
                    yield entity.start_char, entity.start_char + len(line)

    def _open(self) -> _Recognizers:
        with self._making:
            if self._recognizers is None:
                self._recognizers = _Recognizers(self._regions)
            return self._recognizers


class _Recognizers:
    """Presidio's, with patterns of ours; `spans` finds what is of a kind in plain text."""

    def __init__(self, regions: Sequence[str]) -> None:
        from presidio_analyzer import Pattern, PatternRecognizer
        from presidio_analyzer.predefined_recognizers import (
            CreditCardRecognizer,
            IpRecognizer,
            PhoneRecognizer,
        )

        # presidio's own asks the network for the list of top-level domains
        self._email = PatternRecognizer("EMAIL_ADDRESS", patterns=[Pattern("email", EMAIL, 1.0)])
        ipv6 = [one for one in IpRecognizer.PATTERNS if one.name != "IPv4"]
        self._ip = IpRecognizer(patterns=[Pattern("IPv4", IPV4, 1.0), *ipv6])
        separators = [(sign, "") for sign in " -."]
        self._card = CreditCardRecognizer(
            patterns=[Pattern("card", CARD, 0.3)], replacement_pairs=separators
        )
        self._national = PhoneRecognizer(supported_regions=tuple(regions), leniency=1)
        self._international = PhoneRecognizer(supported_regions=("US",), leniency=0)
        self.spans: dict[Kind, Callable[[str], Iterator[Span]]] = {
            "email": lambda text: _spans(self._email, text),
            "iban": _ibans,
            "card": lambda text: _spans(self._card, text),
            "ip": self._ips,
            "phone": self._phones,
        }

    def _ips(self, text: str) -> Iterator[Span]:
        """Addresses that may be somebody's, and are no versions."""
        for start, end in _spans(self._ip, text):
            address = ipaddress.ip_interface(text[start:end]).ip
            is_anyones = address.is_loopback or address.is_unspecified
            before = text[max(start - _VERSION_WITHIN, 0) : start]
            if not (is_anyones or text.startswith("255.", start) or VERSION_WORD.search(before)):
                yield start, end

    def _phones(self, text: str) -> Iterator[Span]:
        for run in PHONE.finditer(text):
            start, end = max(run.start() - 1, 0), run.end() + 1
            window = text[start:end]
            kind = self._international if "+" in run.group() else self._national
            for first, last in _spans(kind, window):
                if NO_PHONE.match(window, first):
                    continue
                is_sure = not ORDINARY.fullmatch(window[first:last])
                before = text[max(start + first - _WORD_WITHIN, 0) : start + first]
                if is_sure or PHONE_WORD.search(before):
                    yield start + first, start + last


def _spans(recognizer: LocalRecognizer, text: str) -> Iterator[Span]:
    for found in recognizer.analyze(text, recognizer.supported_entities, None):
        yield found.start, found.end


def _ibans(text: str) -> Iterator[Span]:
    """Accounts: as many characters as the country has, whatever stands behind them."""
    for begun in IBAN_START.finditer(text):
        length = IBAN_LENGTHS.get(text[begun.start() : begun.start() + 2].upper(), 0)
        places = _joined(text, begun.start())[:length]
        account = "".join(text[place] for place in places)
        if length and len(account) == length and _has_check_digits(account):
            yield begun.start(), places[-1] + 1


def _has_check_digits(account: str) -> bool:
    """ISO 7064, mod 97-10."""
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1


def _joined(text: str, start: int) -> list[int]:
    """The places of letters and digits from `start` on, with at most one sign between two."""
    places: list[int] = []
    for at in range(start, min(start + 2 * _LONGEST_IBAN, len(text))):
        character = text[at]
        if character.isascii() and character.isalnum():
            places.append(at)
        elif character not in " -." or not text[at - 1].isalnum():
            break
    return places


def _apart(found: Sequence[Personal]) -> list[Personal]:
    """In order, those that overlap as one, of the kind that comes first."""
    made: list[Personal] = []
    for one in sorted(found, key=lambda one: (one.start, one.end)):
        if made and one.start < made[-1].end:
            last = made[-1]
            kind = min(last.kind, one.kind, key=KINDS.index)
            made[-1] = Personal(kind, last.start, max(last.end, one.end))
        else:
            made.append(one)
    return made


def _load_names(model: str) -> Language:
    """A pipeline that marks names. Raises ModelError; nothing is downloaded."""
    import spacy

    try:
        pipeline = spacy.load(model, exclude=_NEEDLESS)
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"the model of names {model!r} cannot be loaded ({told}): install it with "
            f"`python -m spacy download {model}`, or give its folder"
        ) from None
    pipeline.max_length = _LONGEST_PROMPT
    return pipeline
