"""One run of a keeper: open it, listen, say so, keep its trust root new, and stop in order when told to."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from crypto.errors import NotPermitted
from crypto.trust_root import read_card
from vault_server.bounded_http import BoundedHttp
from vault_server.keeper.app import make_app
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.keeper import Keeper
from vault_server.keeper.settings import Settings
from vault_server.keeper.source import HttpSource

COUNTERS_EVERY = 300
MAX_CONNECTIONS = 512
STOPPING = 5


class _Server(uvicorn.Server):
    """Uvicorn, saying when it listens, and leaving the signals to us: after an orderly stop the process ends with 0."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps({"ready": True, "serving": self._url}), flush=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises what ``Keeper.open`` raises, and NotPermitted when the address is taken."""
    events = EventLog(sys.stderr)
    try:
        card = read_card(settings.card.read_text())
    except (OSError, UnicodeDecodeError):
        raise NotPermitted(
            f"The instance card {settings.card} cannot be read. The keeper was not started. Name the card's file."
        ) from None
    source = HttpSource(settings.server)
    try:
        async with Keeper.open(
            settings.data, card, source, events=events, accept_lost_store=settings.accept_lost_store
        ) as keeper:
            await _answer(keeper, settings, events)
    finally:
        await source.close()
        events.write_counters()
        events.write("stopped")


async def _answer(keeper: Keeper, settings: Settings, events: EventLog) -> None:
    listening = _listen(settings)
    config = uvicorn.Config(
        make_app(keeper, events),
        loop="none",
        http=BoundedHttp,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOPPING,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    server = _Server(config, f"{settings.url.rpartition(':')[0]}:{listening.getsockname()[1]}")
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, setattr, server, "should_exit", True)
    following = asyncio.create_task(keeper.follow_trust())
    following.add_done_callback(lambda _: setattr(server, "should_exit", True))
    counting = asyncio.create_task(_count(events))
    try:
        await server.serve(sockets=[listening])
    finally:
        following.cancel()
        counting.cancel()
    for ended in await asyncio.gather(following, counting, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def _listen(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        raise NotPermitted(
            f"The keeper cannot listen at {settings.host}, port {settings.port} ({error.strerror}). It was not "
            "started. Stop what listens there, or choose another --port."
        ) from None


async def _count(events: EventLog) -> None:
    while True:
        await asyncio.sleep(COUNTERS_EVERY)
        events.write_counters()
