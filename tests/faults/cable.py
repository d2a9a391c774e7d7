"""A cable between a service and a neighbour of it, which can be cut and mended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Cable:
    """Carries bytes between whoever connects to `port` and `target`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._serve()

    def cut(self) -> None:
        """End all connections; nobody is there for new ones."""
        self._close(self._listener)
        for end in list(self._ends):
            self._close(end)

    def mend(self) -> None:
        """Be there again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(self._target)
                self._ends |= {here, there}
                for ends in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, origin: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := origin.recv(65_536):
                target.sendall(part)
        for end in (origin, target):
            self._close(end)

    def _close(self, end: socket.socket) -> None:
        self._ends.discard(end)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        end.close()


@contextmanager
def cable_to(port: int) -> Iterator[Cable]:
    """A cable to a port of this machine, cut at the end."""
    cable = Cable(("127.0.0.1", port))
    try:
        yield cable
    finally:
        cable.cut()
