"""The small words by which a question leans on what was said before, by language.

Only English has all of them. Of the others there are the words that can open a question that goes
on, those that can be all of one, and the pronouns that make a short one lean; with those the last
question is put before the new one, and nothing is put into its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

QUESTION_WORDS = frozenset("what which who whom whose where when why how".split())
BE = frozenset("is are was were am be been being".split())
AUXILIARIES = BE | frozenset(
    "do does did can could will would shall should must may might has have had".split()
)
SPEAKERS = frozenset("i you we one people someone somebody anyone".split())
DETERMINERS = frozenset(
    "the a an my your our this that these those any some each every another no".split()
)
PREPOSITIONS = frozenset(
    "of in on at for from to with without by about into onto over under between among through "
    "during after before since until per via as than against within inside outside".split()
)
CONJUNCTIONS = frozenset("and or but if when because while that so whether though then".split())
PERSONS = frozenset("he she him her his hers".split())
THINGS = frozenset("it they them its their theirs".split())
POINTING = frozenset("this that these those".split())
POSSESSIVES = frozenset("his her its their".split())
EXPLETIVES = frozenset(
    "rain snow take takes mean means cost costs matter possible true ok okay safe legal illegal "
    "necessary required normal better worth time hot cold important called common hard easy "
    "allowed fair good bad best too".split()
)
VERBS = frozenset(
    """
    accept activate add allow apply arrive ask authenticate become begin belong block break bring
    build buy call cancel change charge check choose claim clean close come compare compile
    configure connect contact contain contribute convert copy cost count cover create damage deal
    debug delete deliver deploy describe die differ disable discover do download edit eat enable end
    ensure exchange exclude expire explain export extend fail fall feel file fill find finish fix
    follow form found freeze get give go grow handle happen have help hold import include increase
    install integrate invent invite keep know last lead learn leave let limit list listen live load
    log lose make manage matter mean measure meet migrate monitor mount move need offer open operate
    order override own pack pass pay perform pick play prevent process produce protect provide
    publish purchase query reach read receive recover reduce refer refund register release remove
    renew repair replace report request require reset restart restore return reuse revoke rise run
    save say scale schedule scrape search see sell send serve set share ship show sign sing spend
    stand start stay stop store stream subscribe support switch take talk tell terminate test throw
    top transfer travel treat trigger try turn uninstall update upgrade upload use validate verify
    wait want wash watch wear win withdraw work write
    got won wrote sang played made discovered invented founded built came went said took said died
    did has won lost gave led ran began became wrote directed starred painted designed created
    born built held known sent paid given taken written sold kept left shown done
    """.split()
)
FILLERS = frozenset(
    "please exactly so else more further then now though still again really actually even just "
    "much many long often far soon late early old big well come since extra too also".split()
)


SMALL = (
    QUESTION_WORDS
    | AUXILIARIES
    | SPEAKERS
    | PREPOSITIONS
    | CONJUNCTIONS
    | FILLERS
    | {"not", "there", "me", "us", "it's"}
)


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language, in lower case.

    `openings` begin a question that goes on; `bare` can be all of one. `pronouns` make a short one
    lean on what was said before, and those of `last`, which can be articles too, do so at its end.
    `known` are words that tell the language.
    """

    openings: tuple[str, ...]
    bare: frozenset[str]
    pronouns: frozenset[str]
    last: frozenset[str]
    known: frozenset[str]


def _wording(openings: str, bare: str, pronouns: str, last: str, known: str) -> Wording:
    others = (frozenset(words.split()) for words in (bare, pronouns, last, known))
    return Wording(tuple(openings.split("|")), *others)


OTHERS: Mapping[str, Wording] = {
    "de": _wording(
        "und wie ist es mit|wie sieht es mit|was ist mit|wie ist es mit|und",
        "warum wieso weshalb wann wo wie wer was viel lange oft genau denn und mehr noch",
        "er ihn ihm dessen deren davon dafür damit dazu darin",
        "das dies diese dieser sie",
        "der die das und ist wie ich ein eine kann nicht mit für bei wo wann warum was",
    ),
    "fr": _wording(
        "et qu'en est-il de|qu'en est-il de|et pour|et si|et",
        "pourquoi quand où comment qui quoi combien et donc plus encore alors",
        "elle ils elles lui celui-ci celle-ci",
        "ça cela il",
        "le la les est et comment je un une des pour dans que qui quand pourquoi où",
    ),
    "es": _wording(
        "y qué hay de|qué hay de|qué pasa con|y para|y si|y",
        "por qué cuándo dónde cómo quién cuánto cuánta cuántos cuántas y entonces más",
        "él ella ello ellos ellas",
        "eso esto",
        "el la los las es y cómo un una de para en que cuándo dónde por puedo",
    ),
    "it": _wording(
        "e per quanto riguarda|che ne è di|e per|e se|e",
        "perché quando dove come chi quanto quanta quanti quante e allora più",
        "esso essa essi",
        "questo quello ciò",
        "il la lo gli le è e come un una di per in che quando dove perché posso",
    ),
    "pt": _wording(
        "e quanto a|e para|e se|e",
        "porquê porque quando onde como quem quanto quanta quantos quantas e então mais",
        "ele ela eles elas",
        "isso isto",
        "o a os as é e como um uma de para em que quando onde posso do da",
    ),
    "nl": _wording(
        "en hoe zit het met|hoe zit het met|en voor|en",
        "waarom wanneer waar hoe wie wat veel lang en dan meer",
        "hij hem ervan ermee daarvoor",
        "het dat dit deze die",
        "de het een en is hoe ik kan niet met voor bij waar wanneer waarom wat",
    ),
}
