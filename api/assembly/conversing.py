"""Conversations, put together from the settings: a room of `build`."""

from __future__ import annotations

import hmac
from dataclasses import replace

from sqlalchemy import Engine

from api.settings import Settings
from api.state.secrets import secret_of
from generation.rewriting import ModelRewriter
from rag.ports import Answerer, LanguageModel, Listener
from rag.types import Answer, Context, Hit, Question
from retrieval.conversations.kept import KeptTurns
from retrieval.conversations.standing_alone import Conversations


class Pseudonyms:
    """Names of conversations and visitors inside: nobody can try ids who does not know the secrets
    in the state.

    The same id of another tenant gets another name. Raises StateError.
    """

    def __init__(self, state: Engine) -> None:
        self._conversations = secret_of(state, "conversations")
        self._visitors = secret_of(state, "visitors")

    def of(self, tenant: str, conversation_id: str) -> str:
        """The name inside of a conversation of this tenant."""
        return _keyed(self._conversations, tenant, conversation_id)

    def of_visitor(self, tenant: str, visitor: str) -> str:
        """The name inside of a visitor of this tenant's pages."""
        return _keyed(self._visitors, tenant, visitor)


def _keyed(secret: bytes, tenant: str, name: str) -> str:
    told = f"{tenant}\0{name}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, told, "sha256").hex()


class PseudonymousAnswerer:
    """An Answerer whose path inside never learns what clients call conversations and visitors."""

    def __init__(self, answerer: Answerer, pseudonyms: Pseudonyms) -> None:
        self._answerer = answerer
        self._pseudonyms = pseudonyms

    async def search(self, question: Question, k: int) -> list[Hit]:
        """As the path inside."""
        return await self._answerer.search(self._inside(question), k)

    async def context(self, question: Question, max_context_tokens: int | None = None) -> Context:
        """As the path inside."""
        return await self._answerer.context(self._inside(question), max_context_tokens)

    async def answer(
        self,
        question: Question,
        max_context_tokens: int | None = None,
        listener: Listener | None = None,
    ) -> Answer:
        """As the path inside."""
        return await self._answerer.answer(self._inside(question), max_context_tokens, listener)

    def _inside(self, question: Question) -> Question:
        tenant, conversation, visitor = question.tenant, question.conversation_id, question.visitor
        if conversation:
            conversation = self._pseudonyms.of(tenant, conversation)
        if visitor:
            visitor = self._pseudonyms.of_visitor(tenant, visitor)
        return replace(question, conversation_id=conversation, visitor=visitor)


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
