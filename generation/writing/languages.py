"""Which language a text is in, where that is clear; and words of some that carry no matter.

The package `py3langid` tells the language (Lui & Baldwin, "langid.py", ACL 2012), among those that
people write handbooks in; what it is not nearly sure of, and what is too short, is of no language.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from rag.errors import MissingExtraError

_FUNCTION_WORDS = {
    "en": "the of and to is are was in that it for on with as this be by not from you have can how "
    "what which when does do why where who will your if or an at we they should there a "
    "has its but so no their them been than then these those only more all any into about",
    "de": "der die das und ist sind nicht ein eine einen einem einer zu den dem mit von für auf im "
    "wie was wann wer wo warum ich sie es wird werden kann können auch bei oder nach dass man des "
    "als um aus wenn nur noch sie ihr ihre durch ab bis vom zum zur dies diese dieser",
    "fr": "le la les des et est sont une un du dans pour que qui avec sur pas ne vous nous il elle "
    "comment quand quel quelle combien peut par au aux ce cette être ou de",
    "es": "el la los las y es son una un del en para que con por no se su cómo cuándo cuánto "
    "cuántos qué cuál puede más como está lo al usted este esta hay de",
    "it": "il lo la gli le e è sono una un di del della dei nel per che con non si come quando "
    "quanto quanti quale può più da alla al questo questa ci viene cosa",
    "pt": "o os as e é são uma um do da dos das no na em para que com por não se como quando "
    "quanto quantos qual pode mais ao à você este esta seu sua há de",
    "nl": "de het een en is zijn van in dat op te voor met niet hoe wat wanneer waar wie kan "
    "kunnen wordt worden ook bij of naar aan uit ik je u deze dit er",
    "pl": "i w na z do jest są nie się to że jak kiedy ile czy co od po dla za przez być może "
    "można który która które ten ta oraz jego lub",
    "sv": "och att det är en ett som på för med inte av den till i hur när vad var kan jag du vi "
    "har om från eller man ska blir de",
    "da": "og at det er en et som på for med ikke af den til i hvordan hvornår hvad hvor kan jeg "
    "du vi har om fra eller man skal bliver de",
    "tr": "ve bir bu için ile da de ne nasıl kaç mi mı mu mü var yok olarak daha çok gibi veya "
    "değil olan sonra kadar hangi zaman nerede",
    "cs": "a je se na v že jak kdy kolik co od po pro za s jsou nebo který která které být lze "
    "může není ten ta to do z ve kde",
    "ro": "și este sunt nu un o de la în cu pe care pentru din ce cum când cât câte poate mai sau "
    "după prin fi al ale unde se să",
}
_OF_LANGUAGE = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_KNOWN = (
    "ar bg bn cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv nl no pl pt ro ru sk sl "
    "sr sv th tr uk ur vi zh"
).split()
_ALIKE = ({"da", "no", "sv"}, {"hr", "sr", "sl"}, {"cs", "sk"}, {"es", "pt"}, {"bg", "ru", "uk"})
"""Languages that a short text is easily taken for."""
_SURE = 0.99
_ENOUGH_CHARS = 400
_MIN_WORDS = 3  # of a script that puts spaces between them
_MIN_UNSPACED_LETTERS = 6
_WORD = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")


def function_words(language: str | None) -> frozenset[str]:
    """Words of a language that carry no matter; none where it is not known."""
    return _OF_LANGUAGE.get(language or "", frozenset())


def language_of(text: str) -> str | None:
    """The language as an ISO 639 code, or one that is much like it; None where it is not clear.

    Remembered, since the same documents are read for many questions. Raises MissingExtraError.
    """
    return _language_of(text[:_ENOUGH_CHARS])


def load_identifier() -> None:
    """What the first `language_of` would wait for most of a second. Raises MissingExtraError."""
    _identifier()


def contradict(left: str | None, right: str | None) -> bool:
    """Whether two results of `language_of` are certainly different languages."""
    if left is None or right is None or left == right:
        return False
    return not any({left, right} <= alike for alike in _ALIKE)


@lru_cache(maxsize=10_000)
def _language_of(text: str) -> str | None:
    is_long = len(_WORD.findall(text)) >= _MIN_WORDS
    if not is_long and len(_UNSPACED.findall(text)) < _MIN_UNSPACED_LETTERS:
        return None
    ranked: dict[str, float] = dict(_identifier().rank(text))
    best = max(ranked, key=lambda language: ranked[language])
    group = next((alike for alike in _ALIKE if best in alike), {best})
    return best if sum(ranked[language] for language in group) >= _SURE else None


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtraError(
            "py3langid, which the local and premium tiers need,", "pip install 'thrifty-rag[llm]'"
        ) from None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(_KNOWN)
    return identifier
