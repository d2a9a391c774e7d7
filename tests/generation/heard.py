"""A Listener that keeps what it hears."""

from __future__ import annotations

from rag.types import CostLine


class Heard:
    """`said` is the text since the last restart, `restarts` counts those, `lines` are the costs."""

    def __init__(self) -> None:
        self.said = ""
        self.restarts = 0
        self.lines: list[CostLine] = []

    def text(self, piece: str) -> None:
        self.said += piece

    def restart(self) -> None:
        self.said = ""
        self.restarts += 1

    def cost(self, line: CostLine) -> None:
        self.lines.append(line)
