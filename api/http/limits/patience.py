"""How long the service waits for a client who is slow to send or to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """The wait for a client: `seconds`, and one more for each `bytes_per_s` that it moved."""

    seconds: float
    bytes_per_s: int

    def seconds_for(self, moved_bytes: int) -> float:
        """The seconds that a client may have taken who has sent, or read, so many bytes."""
        return self.seconds + moved_bytes / self.bytes_per_s
