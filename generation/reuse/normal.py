"""A question as it is compared for exact reuse: case, spacing, punctuation, contractions, manners.

Only what never changes the answer is taken away: signs that stand inside a word or a number stay
("C++", "-5", "3.5", "24/7", "5!"), and so do all words but greetings and forms of "please".
"""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "„": '"', "…": "."})
_CONTRACTIONS = (
    (re.compile(r"\b(?:can't|cannot)\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bshan't\b"), "shall not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"(?<=\w)'(?:re)\b"), " are"),
    (re.compile(r"(?<=\w)'(?:ve)\b"), " have"),
    (re.compile(r"(?<=\w)'(?:ll)\b"), " will"),
    (
        re.compile(r"\b(what|who|where|when|why|how|it|that|there|here|he|she)'s\b"),
        r"\1 is",
    ),
)
_EDGES = re.compile(r"^[\"'(\[{¿¡]+|(?:[\"')\]},;:?]|(?<!\d)!|\.)+$")
_MANNERS = re.compile(
    r"^(?:(?:hi|hello|hey|hallo|greetings|dear \w+|good (?:morning|afternoon|evening|day)|"
    r"please|bitte|excuse me|pardon me|sorry to (?:ask|bother(?: you)?|disturb you)|"
    r"forgive me(?: for asking)?|i apologi[sz]e for the trouble|"
    r"(?:many )?(?:thanks|thank you)(?: in advance)?)(?: there| all| everyone| team)?\b[\s,!.:-]*)+"
)
_PLEASE = (
    r"(?:please|bitte|danke|thx|cheers|(?:best |kind )?regards|if you do not mind|if possible|"
    r"(?:many )?(?:thanks|thank you)(?: a lot| (?:very|so) much| in advance)?(?: for your help)?)"
)
_BYE = r"(?:(?:i )?(?:would )?appreciate it|much appreciated)"
_THANKS = re.compile(
    r"(?:(?<!\bsay)(?<!\bspell)(?<!\bmean)(?<!\bword)(?<!\bthe)(?<!\ba)(?<!\bof)(?<!\bis)(?<!\bare)"
    rf"(?<!\bto)\s{_PLEASE}|[\s]*[,.!?:-]\s*(?:{_PLEASE}|{_BYE}))[\s!.?]*$"
)
"""Behind the words that are excepted it is what is asked about: "how do I say thank you"."""
_TELL = re.compile(
    r"^(?:(?:can|could|would|will) (?:you|anyone|someone|somebody)(?: please| kindly)? "
    r"(?:tell|let|help|inform) (?:me|us)(?: know)?(?: please)?[\s,:?]+|"
    r"(?:do|does|would) (?:you|anyone|someone|anybody|somebody)(?: happen to)? know[\s,:]+|"
    r"(?:would|do) you mind (?:telling|explaining to) me[\s,:]+|"
    r"may i (?:please )?ask(?: you)?[\s,:]+|(?:i was|i am|just) wondering[\s,:]+|"
    r"(?:tell me|let me know|i would like to know|i want to know)(?: please)?[\s,:]+)"
)


def normalised(question: str) -> str:
    """The question in the form in which two that are equal ask the same; never empty of words.

    A question that is nothing but manners is left with them.
    """
    text = spelled_out(question)
    return " ".join(_words(without_manners(text)) or _words(text)) or text


def spelled_out(question: str) -> str:
    """The question in small letters and single spaces, its contractions written out."""
    text = unicodedata.normalize("NFKC", question).translate(_QUOTES).lower()
    for pattern, plain in _CONTRACTIONS:
        text = pattern.sub(plain, text)
    return " ".join(text.split())


def without_manners(text: str) -> str:
    """A text of `spelled_out` without the greetings and thanks at its beginning and its end."""
    before = None
    while before != text:
        before = text
        text = _THANKS.sub("", _TELL.sub("", _MANNERS.sub("", text)))
    return text


def _words(text: str) -> list[str]:
    return [word for piece in text.split() if (word := _EDGES.sub("", piece))]
