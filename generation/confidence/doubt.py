"""Does an answer say that it does not know, or that it is not sure? Told by its wording.

The phrases are English and made for models that write; another language gives no doubt at all.
"""

from __future__ import annotations

import re

_UNKNOWING = re.compile(
    r"\b(?:sorry|apologi[sz]e|unfortunately|unclear|uncertain|unknown|unable|not (?:sure|certain|"
    r"clear|aware|known|specified|mentioned|possible|available|provide[ds]?)|cannot|can['’]t|"
    r"could(?: not|n['’]t)|d(?:o|id|oes)(?: not|n['’]t) (?:know|have|find|provide|specify|mention|"
    r"seem|appear)|no (?:specific |reliable |public |further )?(?:information|record|evidence|"
    r"answer|data)|as an ai|my knowledge|my (?:last )?update|cut-?off|more (?:context|details?|"
    r"information)|please (?:provide|clarify|specify|check|note)|there (?:is|was|are|were) no)\b",
    re.IGNORECASE,
)
_HEDGING = re.compile(
    r"\b(?:may|might|could|perhaps|possibl[ey]|probably|likely|appears?|seems?|suggests?|believed|"
    r"thought to|approximately|about|around|roughly|generally|typically|usually|often|various|"
    r"several|depend(?:s|ing)|some (?:sources|people)|it is said|however|although|while|but|"
    r"commonly|widely|considered|if you|as of)\b",
    re.IGNORECASE,
)


def unknowing_phrases(answer: str) -> int:
    """How often it says that it does not know, or that nothing can be known."""
    return len(_UNKNOWING.findall(answer))


def hedging_phrases(answer: str) -> int:
    """How often it says that something only may be so, or depends."""
    return len(_HEDGING.findall(answer))
