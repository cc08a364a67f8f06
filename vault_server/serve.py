"""Running the server: socket, data folder, instance, keeper, store, HTTP; and ending them in the opposite order."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from crypto.checkpoint import AHEAD, TEN_MINUTES
from crypto.errors import Unavailable, Unreachable
from crypto.trust_root import Keeper
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server import instance as instances
from vault_server.app import make_app, running
from vault_server.bounded_http import Server, config
from vault_server.event_log import configure, note
from vault_server.instance import Instance
from vault_server.keeper_cards import as_keeper
from vault_server.keeper_process import KeeperProcess, make_card, stands_beside
from vault_server.settings import Settings
from vault_server.store.files import claimed
from vault_server.vault import Vault

READY_SECONDS = 60
STOP_SECONDS = 10


async def serve(settings: Settings, keepers: Sequence[Keeper], *, as_json: bool) -> None:
    """Serve until told to stop. Raises Unavailable when the store fails, and whatever refuses the start.

    ``keepers``: those that run by themselves, as they go into the trust root of a new instance. With none named, one is
    founded beside a new instance. One that lies in the data folder is started, unless it is named, while it answers.
    """
    settings.listening.check("server")
    configure()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(settings.listening.opened("server"))
        port = int(listening.getsockname()[1])
        instances.check_host(settings, port)
        try:
            stack.enter_context(claimed(settings.server_folder))
            own = await _instance(settings, port, keepers)
            vault = await stack.enter_async_context(running(settings, own))
        except OSError as error:
            raise Unavailable(
                f"{error.filename or settings.data} could not be made or written ({error.strerror}). "
                "Nothing was started. Choose another --data, or mend this one."
            ) from None
        keeper = None
        server = Server(
            config(
                make_app(vault),
                settings.listening,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        stack.push_async_callback(_end, vault, server, serving)
        answering = own.root.answering_keepers(int(time.time()))
        with_keeper = stands_beside(settings, [entry for entry in answering if entry not in keepers])
        if with_keeper:
            card = instances.card_file(settings)
            keeper = await KeeperProcess.start(settings, settings.url(port), card)
            stack.push_async_callback(keeper.stop)
        ready = asyncio.create_task(announce(settings, vault, port, with_keeper=with_keeper, as_json=as_json))
        stack.callback(ready.cancel)
        await _until(stop, serving, vault, ready, keeper)


async def _until(
    stop: asyncio.Event,
    serving: asyncio.Task[None],
    vault: Vault,
    ready: asyncio.Task[None],
    keeper: KeeperProcess | None,
) -> None:
    """Wait for a reason to end. Raises when it is not the operator's wish: Unavailable, or Stale for an older copy."""
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
                raise vault.stopped.result()
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


async def announce(settings: Settings, vault: Vault, port: int, *, with_keeper: bool, as_json: bool) -> None:
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
    _compare_clocks(vault)
    url, card = settings.url(port), str(instances.card_file(settings))
    if as_json:
        print(json.dumps({"ready": True, "serving": url, "card": card}), flush=True)
        return
    beside = (
        "Its keeper stands beside it and is not independent."
        if with_keeper
        else "No keeper was started beside it: the keepers of its trust root confirmed its logs."
    )
    said = spoken(f"The vault server answers at {url}. Its instance card is {card}. {beside}")
    print(wrapped(said, sys.stdout), flush=True)


def _compare_clocks(vault: Vault) -> None:
    """Say so when the keepers' time is not this server's: then clients believe neither, whatever their own clock says."""
    ahead = vault.log.cosigned_ahead(vault.log.directory)
    if -TEN_MINUTES <= ahead <= AHEAD:
        return
    note("the clocks of keepers and server differ", kind="ahead" if ahead > 0 else "behind")
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(int(vault.clock()) + ahead))
    said = spoken(
        f"The keepers date what they sign {since}, which is {abs(ahead) // 60} minutes {'after' if ahead > 0 else 'before'} "
        "this server's time. Clients refuse it, or what this server says, and think that their own clock is wrong. "
        "Set the clocks right and start again. A keeper never signs an earlier time than it once did: if its clock was "
        "ahead, wait until that time has come."
    )
    print(wrapped(said, sys.stderr), file=sys.stderr, flush=True)


async def _instance(settings: Settings, port: int, keepers: Sequence[Keeper]) -> Instance:
    now = int(time.time())
    if not instances.exists(settings):
        named = keepers or [as_keeper(await make_card(settings, port))]
        instances.found(settings, named, port, now)
    own = instances.load(settings, port, now)
    instances.check_keepers(own, keepers)
    return own


async def _end(vault: Vault, server: Server, serving: asyncio.Task[None]) -> None:
    vault.notices.close()  # streams last as long as they may, and what is being answered is waited for
    server.should_exit = True
    await asyncio.gather(serving, return_exceptions=True)
