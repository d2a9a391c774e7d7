"""Conversations, put together from the settings: a room of `build`."""

from __future__ import annotations

from sqlalchemy import Engine

from api.settings import Settings
from generation.rewriting import ModelRewriter
from rag.ports import LanguageModel
from retrieval.conversations.kept import KeptTurns
from retrieval.conversations.standing_alone import Conversations


def open_turns(settings: Settings, state: Engine) -> KeptTurns:
    """What is kept of conversations by these settings."""
    chosen = settings.conversations
    return KeptTurns(state, max_turns=chosen.turns, keep_minutes=chosen.keep_minutes)


def open_conversations(
    settings: Settings, state: Engine, local: LanguageModel | None
) -> Conversations | None:
    """What makes follow-up questions stand alone; None where the settings turn it off."""
    chosen = settings.conversations
    if not chosen.enabled:
        return None
    rewriter = ModelRewriter(local) if local is not None and chosen.ask_local else None
    turns = open_turns(settings, state)
    turns.prune()  # what expired while nobody asked
    return Conversations(turns, rewriter, settings.answers.max_question_chars)
