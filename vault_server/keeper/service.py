"""One run of a keeper: open it, listen, say so, keep its trust root new, and stop in order when told to."""

import asyncio
import json
import signal
import sys

from crypto.errors import NotPermitted, Refusal, Unreachable
from crypto.trust_root import read_card
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server.bounded_http import Server, config
from vault_server.keeper.app import make_app
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.keeper import RETRY, Keeper
from vault_server.keeper.settings import Settings
from vault_server.keeper.source import HttpSource

COUNTERS_EVERY = 300
MAX_CONNECTIONS = 512
STOPPING = 5
AGAIN_EVERY = 60

# What people read
ANSWERS = "The keeper answers at {url}, for the vault server at {server}."
BEGINS = "This keeper has the heads of those that were keepers before it, and begins."
CAME_BACK = "This keeper has its heads again, from the other keepers, and goes on."


async def serve(settings: Settings, *, as_json: bool) -> None:
    """Run until SIGTERM or SIGINT; one line says that it answers. Raises what ``Keeper.open`` raises, and Unavailable when the address is taken."""
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
            await _answer(keeper, settings, events, as_json=as_json)
    finally:
        await source.close()
        events.write_counters()
        events.write("stopped")


async def _answer(keeper: Keeper, settings: Settings, events: EventLog, *, as_json: bool) -> None:
    listening = settings.listening.opened("keeper")
    url = settings.listening.url(listening.getsockname()[1])
    server = Server(
        config(
            make_app(keeper, events),
            settings.listening,
            connections=MAX_CONNECTIONS,
            timeout_graceful_shutdown=STOPPING,
        ),
        lambda: announce(url, settings.server, as_json=as_json),
    )
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, setattr, server, "should_exit", True)
    following = asyncio.create_task(keeper.follow_trust())
    following.add_done_callback(lambda _: setattr(server, "should_exit", True))
    coming_back = asyncio.create_task(_come_back(keeper))
    coming_back.add_done_callback(lambda _: setattr(server, "should_exit", True))
    counting = asyncio.create_task(_count(events))
    try:
        await server.serve(sockets=[listening])
    finally:
        tasks = (following, coming_back, counting)
        for task in tasks:
            task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def announce(url: str, server: str, *, as_json: bool) -> None:
    """One line when it listens, as the vault server has one."""
    ready = json.dumps({"ready": True, "serving": url})
    said = ANSWERS.format(url=url, server=server)
    print(ready if as_json else wrapped(spoken(said), sys.stdout), flush=True)


async def _come_back(keeper: Keeper) -> None:
    """As long as the keeper is silent for want of its heads, see that it gets them, and say what is in the way."""
    said = ""
    while True:
        if keeper.is_silent and keeper.has_trust_root:
            is_new = keeper.is_new
            try:
                await keeper.come_back()
                words = BEGINS if is_new else CAME_BACK
            except (Refusal, Unreachable) as error:
                words = str(error)
            if words != said:
                print(wrapped(spoken(words), sys.stderr), file=sys.stderr, flush=True)
            said = words
        again = min(keeper.silent_for, AGAIN_EVERY) or AGAIN_EVERY
        await asyncio.sleep(again if keeper.has_trust_root else RETRY)


async def _count(events: EventLog) -> None:
    while True:
        await asyncio.sleep(COUNTERS_EVERY)
        events.write_counters()
