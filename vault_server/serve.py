"""Running the server: socket, data folder, instance, keeper, store, HTTP; and ending them in the opposite order."""

import asyncio
import errno
import json
import signal
import socket
import time
from contextlib import AsyncExitStack, nullcontext
from typing import Any

import uvicorn

from crypto.errors import Unavailable, Unreachable
from vault_server import instance as instances
from vault_server.app import make_app, running
from vault_server.bounded_http import BoundedHttp
from vault_server.event_log import configure
from vault_server.instance import Instance
from vault_server.keeper_process import KeeperProcess, make_card, read_card
from vault_server.settings import Settings
from vault_server.store.files import claimed
from vault_server.vault import Vault

READY_SECONDS = 60


class _Server(uvicorn.Server):
    """uvicorn without its own handling of signals: this program ends in order by itself."""

    def capture_signals(self) -> Any:
        return nullcontext()


async def serve(settings: Settings, *, with_keeper: bool, as_json: bool) -> None:
    """Serve until told to stop. Raises Unavailable when the store fails, and whatever refuses the start."""
    settings.check()
    configure()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(_listen(settings))
        port = int(listening.getsockname()[1])
        try:
            stack.enter_context(claimed(settings.server_folder))
            own = await _instance(settings, port, with_keeper=with_keeper)
            vault = await stack.enter_async_context(running(settings, own))
        except OSError as error:
            raise Unavailable(
                f"{error.filename or settings.data} could not be made or written ({error.strerror}). "
                "Nothing was started. Choose another --data, or mend this one."
            ) from None
        keeper = None
        server = _Server(_config(settings, vault))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        stack.push_async_callback(_end, server, serving)
        if with_keeper:
            card = instances.card_file(settings)
            keeper = await KeeperProcess.start(settings, settings.url(port), card)
            stack.push_async_callback(keeper.stop)
        ready = asyncio.create_task(_announce(settings, vault, port, as_json=as_json))
        stack.callback(ready.cancel)
        await _until(stop, serving, vault, ready, keeper)


async def _until(
    stop: asyncio.Event,
    serving: asyncio.Task[None],
    vault: Vault,
    ready: asyncio.Task[None],
    keeper: KeeperProcess | None,
) -> None:
    """Wait for a reason to end. Raises Unavailable when it is not the operator's wish."""
    told = asyncio.create_task(stop.wait())
    alone = None if keeper is None else asyncio.create_task(keeper.ended())
    waiting: set[asyncio.Future[Any]] = {told, serving, vault.stopped, ready}
    if alone is not None:
        waiting.add(alone)
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if told in done:
                return
            if vault.stopped in done:
                raise Unavailable(vault.stopped.result())
            if serving in done:
                raise Unavailable("The server ended by itself. Start it again.")
            if alone is not None and alone in done:
                raise Unavailable(
                    "The keeper beside this server ended, so nothing can be proven any more. The server stopped. "
                    "See what the keeper said above, and start again."
                )
            ready.result()
            waiting.discard(ready)
    finally:
        told.cancel()
        if alone is not None:
            alone.cancel()


async def _announce(settings: Settings, vault: Vault, port: int, *, as_json: bool) -> None:
    """One line when everything is confirmed. Raises Unreachable when the keepers stay silent."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            await vault.open_logs()
            break
        except Unreachable:
            if time.monotonic() > deadline:
                raise Unreachable(
                    "The keepers did not confirm the logs, so nothing can be served. Start the keepers, then this."
                ) from None
    url, card = settings.url(port), str(instances.card_file(settings))
    if as_json:
        print(json.dumps({"ready": True, "serving": url, "card": card}), flush=True)
    else:
        print(
            f"The vault server answers at {url}. Its instance card is {card}. "
            "Its keeper stands beside it and is not independent.",
            flush=True,
        )


async def _instance(settings: Settings, port: int, *, with_keeper: bool) -> Instance:
    now = int(time.time())
    if not instances.exists(settings):
        card = await make_card(settings, port) if with_keeper else read_card(settings)
        instances.found(settings, card, port, now)
    return instances.load(settings, port, now)


async def _end(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    server.should_exit = True
    await asyncio.gather(serving, return_exceptions=True)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        why = f"{error.strerror}. Choose another --host or --port."
        if error.errno == errno.EADDRINUSE:
            why = "it is taken. Stop what listens there, or choose another --port."
        raise Unavailable(
            f"The server was not started: it cannot listen on {settings.host} port {settings.port}: {why}"
        ) from None


def _config(settings: Settings, vault: Vault) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(vault),
        loop="none",
        http=BoundedHttp,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=settings.behind_proxy,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
