"""Ways to write personal data, with values made by the rules of who gives them out.

Numbers of telephones are of ranges that regulators keep for drama and tests, where they do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from generation.privacy.kinds import Kind

SENTENCES = {
    "email": (
        "Please write to {} by Friday.",
        "Schreiben Sie bitte an {}, danke.",
        "Mon adresse est {} ; merci.",
        "Mi correo es {}.",
        "Пишите на {} до пятницы.",
        "連絡先は {} です。",
        "[mail](mailto:{})",
        "From: Ann Example <{}>",
    ),
    "phone": (
        "My telephone number is {} until five.",
        "Rufen Sie {} an, Telefon ab neun Uhr: {}.",
        "Mon téléphone : {}.",
        "Llámame al teléfono {} mañana.",
        "Телефон: {}.",
        "電話: {}",
        "Tel. {}, fax none",
        "call me on {}",
    ),
    "iban": (
        "The refund goes to {} this week.",
        "Meine IBAN lautet {}, bitte prüfen.",
        "Mon IBAN est {}.",
        "Conto: {} BANK",
        "IBAN:{}",
        "счёт {} открыт",
    ),
    "card": (
        "My card {} was charged twice.",
        "Karte {} (gültig bis 12/27)",
        "la carte {} est refusée",
        "カード {} です",
        "card={}; cvc 123",
        "Tarjeta {}.",
    ),
    "ip": (
        "The login came from {} at night.",
        "Zugriff von {}, abgelehnt.",
        "Client IP: {}",
        "connexion depuis {} .",
        "{} - - [10/Oct/2026] GET /",
        "peer {} disconnected",
    ),
}


@dataclass(frozen=True)
class Format:
    """A way to write values of a kind; `make` writes one."""

    kind: Kind
    name: str
    make: Callable[[random.Random], str]
    is_held_out: bool = False
    around: str = "{}"
    """What stands beside a value and is nobody's."""


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choice("0123456789") for _ in range(count))


def _word(chance: random.Random) -> str:
    return "".join(chance.choice("abcdefghijklmnoprstuvz") for _ in range(chance.randint(3, 8)))


def _filled(pattern: str) -> Callable[[random.Random], str]:
    """`#` is a digit, `~` a word."""

    def make(chance: random.Random) -> str:
        return "".join(
            _digits(chance, 1) if sign == "#" else _word(chance) if sign == "~" else sign
            for sign in pattern
        )

    return make


def _iban(country: str, structure: str, style: str) -> Callable[[random.Random], str]:
    """`structure`: n a digit, a a capital letter, c either; ISO 13616 gives the check digits."""

    def make(chance: random.Random) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        choices = {"n": "0123456789", "a": letters, "c": f"{letters}0123456789"}
        check = 0
        while check == 0 or (country == "PT" and check != 50):  # there it always is
            account = "".join(chance.choice(choices[sign]) for sign in structure)
            number = int("".join(str(int(sign, 36)) for sign in f"{account}{country}00"))
            check = 98 - number % 97
        whole = f"{country}{check:02}{account}"
        groups = [whole[at : at + 4] for at in range(0, len(whole), 4)]
        written = {"": whole, "lower": whole.lower()}.get(style)
        return style.join(groups) if written is None else written

    return make


def _card(
    prefixes: Sequence[str], length: int, sizes: Sequence[int], between: str
) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        body = chance.choice(prefixes)
        body += _digits(chance, length - 1 - len(body))
        doubled = [int(sign) * (2 - at % 2) for at, sign in enumerate(reversed(body))]
        check = -sum(one - 9 * (one > 9) for one in doubled) % 10
        whole, groups, at = f"{body}{check}", [], 0
        for size in sizes:
            groups.append(whole[at : at + size])
            at += size
        return between.join(groups)

    return make


def _ipv4(chance: random.Random) -> str:
    return f"{chance.choice((5, 31, 84, 91, 145, 188, 203))}." + ".".join(
        str(chance.randint(0, 255)) for _ in range(3)
    )


def _ipv6(style: str) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        parts = [f"{chance.randint(1, 0xFFFF):x}" for _ in range(7)]
        if style == "full":
            return ":".join(["2001", *(part.zfill(4) for part in parts)])
        if style == "upper":
            return ":".join(["2A02", *parts]).upper()
        if style == "short":
            return f"2001:db8:{parts[0]}::{parts[1]}"
        if style == "zone":
            return f"fe80::{parts[0]}:{parts[1]}%eth0"
        if style == "mapped":
            return f"::ffff:{_ipv4(chance)}"
        return f"2a00:{parts[0]}:{parts[1]}::/48"

    return make


_COUNTRIES = {
    "DE": "n" * 18,
    "GB": "aaaa" + "n" * 14,
    "FR": "n" * 10 + "c" * 11 + "nn",
    "ES": "n" * 20,
    "IT": "a" + "n" * 10 + "c" * 12,
    "NL": "aaaa" + "n" * 10,
    "BE": "n" * 12,
    "CH": "n" * 5 + "c" * 12,
    "AT": "n" * 16,
    "PL": "n" * 24,
    "SE": "n" * 20,
    "NO": "n" * 11,
    "DK": "n" * 14,
    "PT": "n" * 21,
    "IE": "aaaa" + "n" * 14,
    "FI": "n" * 14,
    "CZ": "n" * 20,
    "MT": "aaaa" + "n" * 5 + "c" * 18,
}
_SEEN_COUNTRIES = ("DE", "GB", "FR", "BE", "NL", "PT", "MT")  # the last two led to a change
_VISA, _MASTER = ("4",), ("51", "53", "55", "2221", "2650", "2720")
_AMEX, _DISCOVER = ("34", "37"), ("6011", "65", "644")
_SEEN_PHONES = {
    "US": ("+1 202 555 01##", "(202) 555-01##", "202-555-01##"),
    "GB": ("+44 20 7946 0###", "07700 900###"),
    "DE": ("+49 30 23125 ###", "030 23125###"),
    "FR": ("+33 6 39 98 ## ##", "06 39 98 ## ##"),
}
_HELD_OUT_PHONES = {
    "US dots": "202.555.01##",
    "US with 1": "1-202-555-01##",
    "US bare": "20255501##",
    "US wide spaces": "(202)\u00a0555\u201101##",
    "GB bare": "07700900###",
    "GB 0": "+44 (0)20 7946 0###",
    "GB 020": "020 7946 0###",
    "DE slash": "030/23125###",
    "DE mobile": "0171 39200##",
    "DE 00": "0049 30 23125###",
    "DE bare +": "+493023125###",
    "FR dots": "06.39.98.##.##",
    "FR bare +": "+336399802##",
    "ES": "612 34# ###",
    "ES bare": "61234####",
    "IT": "06 6982 ####",
    "NL": "020 624 ####",
    "NL mobile": "06-1234####",
    "CH": "044 668 1# ##",
    "BR": "(11) 91234-5###",
    "IN": "98765 4####",
    "AU": "+61 491 570 1##",
    "SE": "+46 70 174 06 ##",
    "JP": "+81 3-1234-5###",
    "PL": "+48 512 345 ###",
    "KR": "+82 10-1234-5###",
    "CN": "+86 138 0013 8###",
    "RU": "+7 916 123-45-##",
    "TR": "+90 532 123 45 ##",
    "ZA": "+27 82 123 4###",
    "UA": "+380 50 123 45 ##",
    "IE": "+353 85 012 3###",
    "PT": "+351 912 345 ###",
    "MX": "+52 55 1234 5###",
    "IL": "+972 50-123-4###",
    "AE": "+971 50 123 4###",
    "wide digits": "+49 30 23125###",
}


def _formats() -> Iterator[Format]:
    for name, pattern, held in (
        ("plain", "~@example.com", False),
        ("plus", "~+~@example.org", False),
        ("dots", "~.~@mail.example.co.uk", False),
        ("unicode host", "~@müller-~.de", False),
        ("unicode all", "用户@例子.广告", True),
        ("cyrillic", "почта@пример.рф", True),
        ("punycode", "~@xn--mller-kva.de", True),
        ("upper", "~.~@EXAMPLE.COM", True),
        ("digits", "~####@~.io", True),
        ("umlaut", "jürgen.~@example.de", True),
        ("long top", "~@~.photography", True),
        ("bounce", "bounce-##-~=example.com@em.example.net", False),
        ("apostrophe", "o'~@example.ie", True),
        ("quoted", '"~ ~"@example.org', True),
        ("underscores", "_~_~_@sub-~.example.fr", True),
    ):
        yield Format("email", name, _filled(pattern), held)
    for country, patterns in _SEEN_PHONES.items():
        for pattern in patterns:
            yield Format("phone", f"{country} {pattern}", _filled(pattern))
    for name, pattern in _HELD_OUT_PHONES.items():
        make = _filled(pattern)
        if name == "wide digits":
            make = lambda chance, make=make: make(chance).translate(_WIDE)  # noqa: E731
        yield Format("phone", name, make, is_held_out=True)
    for country, structure in _COUNTRIES.items():
        for style, named in (
            (" ", "spaces"),
            ("", "whole"),
            ("-", "dashes"),
            ("lower", "lower"),
            ("\u00a0", "wide"),
        ):
            held = country not in _SEEN_COUNTRIES or named in ("lower", "wide")
            yield Format("iban", f"{country} {named}", _iban(country, structure, style), held)
    for brand, prefixes, length, sizes in (
        ("visa", _VISA, 16, (4, 4, 4, 4)),
        ("mastercard", _MASTER, 16, (4, 4, 4, 4)),
        ("amex", _AMEX, 15, (4, 6, 5)),
        ("discover", _DISCOVER, 16, (4, 4, 4, 4)),
    ):
        for between, named in (
            (" ", "spaces"),
            ("-", "dashes"),
            ("", "whole"),
            (".", "dots"),
            ("\u202f", "wide"),
        ):
            held = named in ("dots", "wide")
            yield Format("card", f"{brand} {named}", _card(prefixes, length, sizes, between), held)
    yield Format("card", "visa of 19", _card(_VISA, 19, (4, 4, 4, 4, 3), " "), True)
    yield Format("card", "amex of 4 4 4 3", _card(_AMEX, 15, (4, 4, 4, 3), " "), True)
    yield Format("ip", "v4", _ipv4)
    for name, around in (("port", "{}:8080"), ("net", "{}/24"), ("url", "http://{}/a")):
        yield Format("ip", f"v4 {name}", _ipv4, True, around)
    for style, held in (
        ("full", False),
        ("short", False),
        ("upper", True),
        ("zone", True),
        ("mapped", True),
        ("net", True),
    ):
        yield Format("ip", f"v6 {style}", _ipv6(style), held)


_WIDE = {ord("0") + value: chr(0xFF10 + value) for value in range(10)}
FORMATS = tuple(_formats())
