"""What a key is made of: 32 random bytes behind a prefix that tells secret from publishable ones.

Only the hash is kept. SHA-256 without salt is enough for what nobody can guess, and a key is found
by its hash: a wrong one takes the same way as one that never was.
"""

from __future__ import annotations

import hashlib
import secrets

SECRET, PUBLISHABLE = "rag_sk_", "rag_pk_"
"""What a key begins with."""

_BYTES = 32
_HINT_CHARS = len(SECRET) + 4


def make_token(prefix: str) -> str:
    """A new key."""
    return prefix + secrets.token_urlsafe(_BYTES)


def hash_of(token: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def hint_of(token: str) -> str:
    """The first characters of a key, which tell it from others and open nothing."""
    return token[:_HINT_CHARS]
