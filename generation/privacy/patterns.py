"""How personal data is written: the patterns that presidio's recognizers are given, and what
cannot hold any.

They are matched against `plain` text. Every repetition is bounded, so that no text takes long.
"""

from __future__ import annotations

import re

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_LOCAL = rf"(?:(?![{_UNSPACED}])[\w.!#$%&'*+=?^~-]){{1,128}}"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_TOP = r"(?:xn--[a-z0-9-]{2,59}|[a-z]{2,24}(?![a-z0-9])|(?:(?![a-z])[^\W\d_]){2,24})"
EMAIL = (
    rf"(?:(?<![\w.!#$%&'*+=?^~-]){_LOCAL}|(?<=[{_UNSPACED}]){_LOCAL}|\"[^\"\n@]{{1,62}}\"|"
    rf"[{_UNSPACED}]{{1,32}})@(?:{_LABEL}\.){{1,8}}{_TOP}"
)
"""An address whose host has a dot. Asian scripts put no space before one, so they begin none."""

_BRAND = "4|5[1-5]|2[2-7]|3[04-9]|6[0245]"
CARD = rf"(?<![\d.,#+])(?=(?:{_BRAND}))\d{{4}}(?:[ .-]?\d){{8,14}}\d(?![\d-]|[.,]\d)"
"""From 13 to 19 digits that begin as those of a brand do; the check digit decides."""

_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
IPV4 = rf"(?<![\w.])(?:{_BYTE}\.){{3}}{_BYTE}(?:/(?:3[0-2]|[12]?\d)\b)?(?!\w|\.\d)"
"""Four numbers, and not a part of more."""

IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])")

IBAN_LENGTHS = {
    one[:2]: int(one[2:])
    for one in """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27
    DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28
    IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22
    MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
    SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
    """.split()
}
"""By country, how many characters an account has (ISO 13616). presidio's own table ends some too
early."""

PHONE = re.compile(r"(?:\+|\(\+?|(?<!\d))\d(?:[ ().\-/]{0,3}\d){5,200}")
"""What may hold telephone numbers: digits, six at least, with little between them."""

ORDINARY = re.compile(
    r"[1-9]\d*|0\d{0,7}|[1-9]\d{0,2}([ .])\d{3}(?:\1\d{3})*|\d+\.\d+(?:[ /-]{1,3}\d+\.\d+)*"
)
"""What may as well be an ordinary number: one run of digits, grouped thousands, decimals."""

_PART = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
NO_PHONE = re.compile(
    r"\D*(?:(?:1[89]|2[01])\d\d([-./])\d\d?\1\d\d?|"
    r"\d\d?([-./])\d\d?\2(?:1[89]|2[01])\d\d(?!\d)|"
    rf"(?:{_PART}\.){{3}}{_PART}(?![.\d]))"
)
"""How dates and addresses begin that look like a telephone number."""

PHONE_WORD = re.compile(
    r"\b(?:phone|tel\b|tél|téléph|telef|telep|\btlf|mobil|móvil|cell|celular|cellulare|handy|fax\b|"
    r"call|dial|ring|reach|text|sms|whatsapp|signal|telegram|hotline|contact|rufnummer|"
    r"my number|number is|meine nummer|appel|llám|llam|chiam|ligue|ligar|bel\b|bellen|zadzwoń|"
    r"телефон|тел\b|звон)|(?:电话|手机|電話|手機|携帯|전화|هاتف|جوال|फ़ोन|फोन|मोबाइल|טלפון)",
    re.IGNORECASE,
)
"""What stands before a telephone number that is written as one run of digits."""

VERSION_WORD = re.compile(
    r"(?:version|versión|versione|versão|versie|wersja|версия|release|build|firmware|driver|"
    r"section|chapter|abschnitt|kapitel|article|clause|§)[ :=#v]{0,3}$",
    re.IGNORECASE,
)
"""What stands before four numbers that are no address."""

MAY_HOLD = re.compile(
    r"@|[a-z]{2}\d\d(?:[ .-]?[a-z0-9]){11}|(?:\d[ ().\-/]{0,3}){5}\d|"
    r"[0-9a-f]{0,4}:[0-9a-f]{0,4}:|\d\.\d{1,3}\.\d{1,3}\.\d",
    re.IGNORECASE,
)
"""What a text has that holds anything of these kinds: where it has none, nobody looks closer."""

_SPACES = dict.fromkeys([*range(0x2000, 0x200B), 0x00A0, 0x202F, 0x205F, 0x3000, 0x09], " ")
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE63], "-")
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_DOTS = {0x3002: ".", 0xFF61: "."}  # IDNA takes them for dots in the name of a host
_DIGITS = {
    start + value: str(value)
    for start in (0x0660, 0x06F0, 0x0966, 0x09E6)  # Arabic, Persian, Devanagari, Bengali
    for value in range(10)
}
_PLAIN = _SPACES | _DASHES | _WIDE | _DOTS | _DIGITS


def plain(text: str) -> str:
    """The text with its spaces, dashes, digits and wide letters written in ASCII.

    It is as long, and what stands where stays there.
    """
    return text.translate(_PLAIN)
