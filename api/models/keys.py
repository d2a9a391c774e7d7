"""Keys as JSON, for `rag keys`. Only a new one has its token."""

from __future__ import annotations

from datetime import datetime

from api.keys.key import KeptKey
from api.models.answers import dollars
from api.models.output import Output


class KeyOut(Output):
    """A key; `hint` is how its token begins. Null is without a limit, and all collections."""

    name: str
    hint: str
    tenant: str
    scopes: list[str]
    collections: list[str] | None
    origins: list[str]
    day_usd: str | None
    month_usd: str | None
    requests_per_minute: int | None
    visitor_requests_per_minute: int | None
    visitor_questions_per_day: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, kept: KeptKey) -> KeyOut:
        key = kept.key
        return cls(
            name=key.name,
            hint=kept.hint,
            tenant=key.tenant,
            scopes=sorted(key.scopes),
            collections=None if key.collections is None else list(key.collections),
            origins=list(key.origins),
            day_usd=dollars(key.day_usd),
            month_usd=dollars(key.month_usd),
            requests_per_minute=key.requests_per_minute,
            visitor_requests_per_minute=key.visitor_requests_per_minute,
            visitor_questions_per_day=key.visitor_questions_per_day,
            created_at=kept.created_at,
            expires_at=key.expires_at,
            revoked_at=kept.revoked_at,
        )
