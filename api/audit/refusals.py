"""Tries of keys that may not administer: noted, and so that no flood of them fills the log."""

from __future__ import annotations

import time
from collections.abc import Callable

from api.audit.log import AuditLog, Deed
from api.keys.key import Key

NOTE_EVERY_S = 3_600.0


class Refusals:
    """Notes in `log` what was refused: of each key and route one try an hour at most."""

    def __init__(self, log: AuditLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._noted_at: dict[tuple[str, str], float] = {}

    def note(self, key: Key, route: str) -> None:
        """A key was refused on a route such as `GET /v1/audit`. Raises StateError."""
        now, last = self._clock(), self._noted_at.get((key.name, route))
        if last is None or now - last >= NOTE_EVERY_S:
            self._noted_at[key.name, route] = now
            self._log.note(Deed(key.name, key.tenant, "route.call", route, "refused"))
