"""What leaves this machine in a prompt: by collection, the kinds that are masked, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from generation.privacy.kinds import Finder, Kind
from generation.privacy.placeholders import Naming, Values
from rag.calls import ModelCall, Prompt
from rag.errors import ProviderRefusedError

_TOLD = (
    "\n- Words such as {example} stand for what is left out. Where you would write what one stands "
    "for, write the word itself, unchanged."
)
_MASKED = "+masked"
STAYS = "this collection never leaves the machine (RAG_PRIVACY__STAYS_HERE)"
"""Why nothing of a collection leaves."""


@dataclass(frozen=True, slots=True)
class MaskedCall:
    """A call as it may leave, and what its placeholders stand for."""

    call: ModelCall
    values: Values


@dataclass(frozen=True, slots=True)
class Rules:
    """The kinds that are masked, where a collection has none of its own in `mask_of`.

    Nothing leaves of a collection that `stays_here`.
    """

    mask: tuple[Kind, ...] = ()
    mask_of: Mapping[str, tuple[Kind, ...]] = field(default_factory=dict)
    stays_here: Collection[str] = ()

    def kinds(self, collection: str) -> tuple[Kind, ...]:
        """What is masked in prompts about a collection."""
        return self.mask_of.get(collection, self.mask)

    @property
    def masks_anything(self) -> bool:
        """Whether a finder is needed."""
        return any((self.mask, *self.mask_of.values()))


class Masking:
    """Makes calls fit to leave. `finder` is None where the rules mask nothing."""

    def __init__(self, rules: Rules, finder: Finder | None) -> None:
        self._rules = rules
        self._finder = finder

    def mask(self, call: ModelCall) -> MaskedCall:
        """As `masked`. Raises ProviderRefusedError for a collection of which nothing leaves."""
        collection = call.question.collection
        if collection in self._rules.stays_here:
            raise ProviderRefusedError(STAYS)
        return self.masked(call)

    def masked(self, call: ModelCall) -> MaskedCall:
        """The call with placeholders in its prompt; the same call is always masked the same.

        Where there are any, the model is told of them, and the version of the prompt says so. What
        the rules of the prompt hold comes first, then the excerpts, then the question.
        """
        kinds = self._rules.kinds(call.question.collection)
        if not kinds or self._finder is None:
            return MaskedCall(call, Values())
        prompt = call.prompt
        naming = Naming([prompt.system, prompt.user])
        system = naming.masked(prompt.system, self._finder.find(prompt.system, kinds))
        user = naming.masked(prompt.user, self._finder.find(prompt.user, kinds))
        values = naming.values
        if not values.by_placeholder:
            return MaskedCall(call, values)
        told = _TOLD.format(example=next(iter(values.by_placeholder)))
        masked = Prompt(f"{prompt.version}{_MASKED}", system + told, user)
        return MaskedCall(replace(call, prompt=masked), values)
