"""`rag serve`: the HTTP service."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import JsonOption, print_json, print_note
from rag.errors import RagError, ServiceError, SettingsError

if TYPE_CHECKING:
    from api.build import Application
    from api.doors.lock import Holder
    from api.doors.through_service import Build
    from api.settings import Settings

STOP_WITHIN_S = 10
BACKLOG = 2048

SWITCH_S = 0.001
"""How long a thread of Python keeps the others waiting; in 5 ms, the default, a refusal is late."""
GARBAGE_AT = (10_000, 3, 50)
"""The thresholds of the garbage collector. By default a thousand questions stop for three hundred
collections, the longest of 80 ms; with ten times this many young ones at once, of 60 ms."""


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address; by default server.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; by default server.port.")] = None,
    json: JsonOption = False,
) -> None:
    """Serve HTTP: the page at `/`, the API at `/v1`. The other commands then go through it."""
    from api.settings import load_settings

    given = {"host": host, "port": port}
    server = {name: value for name, value in given.items() if value is not None}
    _run(_serve(load_settings({"server": server} if server else None), ctx.obj, json))


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it on the fastest event loop that there is."""
    if sys.platform == "win32":
        asyncio.run(work)
    else:
        import uvloop

        uvloop.run(work)


async def _serve(settings: Settings, build: Build, as_json: bool) -> None:
    from api.audit.log import AuditLog
    from api.doors.lock import DataLock
    from api.doors.through_service import take_or_find

    lock = DataLock(settings.data_dir)
    turn = await take_or_find(lock, settings, print_note)
    if turn.own is None:
        assert turn.service is not None
        raise ServiceError(
            f"{settings.data_dir} is served at {turn.service.url} already, by process "
            f"{turn.service.pid}: use that, or stop it"
        )
    try:
        with _bind(settings.server.host, settings.server.port) as listener:
            url = _url(listener)
            application = build(settings)
            try:
                check_address(settings.server.host, application)
                await application.ingestion.mend()
                await application.answering.warm_up()
                AuditLog(application.state).note_experiment(application.settings.experiment.name)
            except RagError:
                await application.close()
                raise
            server = _make_server(application, turn.own)
            lock.announce(turn.own, url)
            if as_json:
                print_json({"url": url, "pid": turn.own.pid})
            else:
                typer.echo(f"serving {settings.data_dir} at {url} (stop with Ctrl-C)")
            _halt_rarely()
            await server.serve(sockets=[listener])
    finally:
        lock.release()


def _halt_rarely() -> None:
    """From now on the interpreter stops the service less often, and for shorter times."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*GARBAGE_AT)
    gc.collect()
    gc.freeze()  # what is there now stays: not to look through it again and again


def check_address(host: str, application: Application) -> None:
    """Raises SettingsError for an address that other machines reach, where there are no keys."""
    from api.keys.records import KeyRecords
    from api.setting_groups.server import is_loopback

    if not is_loopback(host) and not KeyRecords(application.state).are_there():
        raise SettingsError(
            f"server.host is {host!r}, which lets other machines in, and there is no key to keep "
            "strangers out: make one with `rag keys create`, or give 127.0.0.1"
        )


def _make_server(application: Application, holder: Holder) -> Any:
    """The server, which closes the application when it is told to stop."""
    from functools import partial

    import uvicorn

    from api.http.app import create_app
    from api.http.limits.connections import IDLE_S, Connection
    from api.http.limits.patience import Patience
    from api.telemetry.logs import configure_logging

    configure_logging(application.settings.log)
    app = create_app(application, token=holder.token)
    settings = application.settings.server
    patience = Patience(settings.client_timeout_s, settings.min_bytes_per_s)
    config = uvicorn.Config(
        app,
        http=partial(Connection, patience=patience),  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )
    server = uvicorn.Server(config)

    # For the moment before the server takes the signals itself; and for the moment after, when it
    # gives back the one that stopped it, which must not kill what still holds the lock.
    def stop(*_: object) -> None:
        server.should_exit = True

    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, stop)
    return server


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio turns off Nagle's algorithm only where it reads TCP, and
    # with it on, every answer waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let a second service take the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"port {port} of {host} cannot be used ({error.strerror}): "
            "stop what uses it, or give another with --port"
        ) from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
