"""Privacy, put together from the settings: a room of `build`."""

from __future__ import annotations

from api.settings import Settings
from generation.privacy.finding import PresidioFinder
from generation.privacy.masking import Masking, Rules


def open_masking(settings: Settings) -> Masking:
    """What makes prompts fit to leave, by these settings.

    Raises MissingExtraError where something is to be masked and presidio is not installed, and
    ModelError for a model of names that cannot be loaded.
    """
    chosen = settings.privacy
    rules = Rules(chosen.mask, chosen.mask_of, frozenset(chosen.stays_here))
    if not rules.masks_anything:
        return Masking(rules, None)
    return Masking(rules, PresidioFinder(chosen.phone_regions, chosen.names_model))
