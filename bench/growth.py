"""Adding, granting and opening one document when the record and the log already hold many.

Filled fast: the documents are written straight into the stores of the owner's device and of the server, in the rows
that adding them would have left, without links and without ciphertext; the log is brought to as many entries by cover
leaves, through the server's own writer, and the keeper follows it. The server runs in this process for that, behind
HTTP on loopback; the keeper in its own. What is measured is then done in full, with real documents of 4 KiB.

One size comes after the other, minutes apart, so what else the machine does weighs differently on each: on a machine
that is not quiet a ratio says that growth is far from linear, not how large it is.
"""

import asyncio
import os
import random
import secrets
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from math import log2
from pathlib import Path
from statistics import median
from typing import Any

import structlog
import uvicorn
import uvloop

from bench.people import People, people
from crypto.access_log import LEAF, LEAF_VERSION
from crypto.descriptors import Descriptor, descriptor_context, descriptor_key, descriptor_record
from crypto.encoding import encode
from crypto.pieces import ciphertext_length
from crypto.sealed import content
from crypto.sealed.wrapping import SelfWrapper
from crypto.secret_bytes import SecretBytes
from crypto.statements import part_hash
from crypto.trust_root import InstanceCard, read_card
from crypto.vault_chain import Document, Version
from vault_client.local_vault import LocalDocument, newest
from vault_server import instance as instances
from vault_server.app import make_app, running
from vault_server.keeper_cards import as_keeper
from vault_server.keeper_process import KeeperProcess, make_card
from vault_server.settings import Settings
from vault_server.store.database import Transaction
from vault_server.store.identities import add_parts
from vault_server.vault import Vault

SIZES = (100, 1_000, 10_000, 100_000)
DOCUMENT = 4096
IN_A_JOB = 1_000
DESCRIPTOR = Descriptor(
    title="Compte rendu", category="", author="", mime="application/pdf", date="2026-03-14", length=DOCUMENT
)

Row = dict[str, Any]
Times = dict[str, list[float]]
Added = tuple[LocalDocument, tuple[bytes, bytes]]


def run(quick: bool) -> list[Row]:
    """One row for each size and operation. ``quick`` stops at 1,000."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="coffre-bench-") as name:
        return uvloop.run(_measure(Path(name), SIZES[:2] if quick else SIZES, 15 if quick else 25))


async def _measure(folder: Path, sizes: tuple[int, ...], rounds: int) -> list[Row]:
    found: dict[int, Times] = {}
    async with (
        _server(Settings(data=folder / "data", cover_leaves_a_day=0)) as (vault, card),
        people(folder, folder / "data", card) as both,
    ):
        held = 0
        for size in sizes:
            await _add_documents(both, vault, size - held)
            await _add_leaves(both, vault, size)
            found[size] = await _timed(folder, both, rounds)
            held = size + rounds + 1
    return [_row(size, way, found, sizes[0], rounds) for size in sizes for way in found[size]]


def _row(size: int, way: str, found: dict[int, Times], first: int, rounds: int) -> Row:
    here, before = median(found[size][way]), median(found[first][way])
    return {
        "held": size,
        "operation": way,
        "rounds": rounds,
        "median_s": here,
        "times_the_first": here / before,
        "times_log_n": log2(size) / log2(first),
    }


async def _timed(folder: Path, both: People, rounds: int) -> Times:
    """Each operation once a round; the first round warms up."""
    source, opened = folder / "source", folder / "opened"
    times: Times = {"add": [], "grant": [], "open": []}

    async def timed(way: str, act: Callable[[], Awaitable[Any]]) -> Any:
        begun = time.perf_counter()
        result = await act()
        times[way].append(time.perf_counter() - begun)
        return result

    for _ in range(rounds + 1):
        source.write_bytes(os.urandom(DOCUMENT))
        added = await timed("add", lambda: both.patient.add(source))
        card = await both.practitioner.card()
        await timed("grant", lambda: both.patient.authorise(card, [added.doc]))  # noqa: B023
        await both.practitioner.sync()
        (granted,) = [each for each in await both.practitioner.listing() if each.document.doc == added.doc]
        await timed("open", lambda: both.practitioner.read(granted, opened))  # noqa: B023
        if opened.read_bytes() != source.read_bytes():
            raise SystemExit("A document did not come back.")
    return {way: taken[1:] for way, taken in times.items()}


async def _add_documents(both: People, vault: Vault, count: int) -> None:
    replica, store = both.patient.replica, both.patient._store
    epoch = replica.epoch()
    wrapper = SelfWrapper(SecretBytes(epoch.secret), replica.vault)
    for start in range(0, count, IN_A_JOB):
        added = [_document(replica.vault, epoch.epoch, wrapper) for _ in range(min(IN_A_JOB, count - start))]
        with store.transaction():
            for local, _ in added:
                store.put(f"document/{local.document.doc.hex()}", local)
        await vault.writer.run(partial(_write, vault=replica.vault, added=added))


async def _write(transaction: Transaction, *, vault: bytes, added: list[Added]) -> None:
    """The rows that adding documents leaves in the server's store."""
    now, versions = int(time.time()), [(local.document.doc, newest(local.document)) for local, _ in added]
    await add_parts(transaction, vault, [(part_hash(part), part) for _, parts in added for part in parts])
    await transaction.many(
        "INSERT INTO documents VALUES ($1, $2, 0, 0)", [(vault, doc) for doc, _ in versions]
    )
    await transaction.many(
        "INSERT INTO versions VALUES ($1, $2, $3, 0, $4)",
        [(vault, version.ver, doc, encode(version)) for doc, version in versions],
    )
    await transaction.many(
        "INSERT INTO uploads VALUES ($1, $2, $3, $4, 1)",
        [(vault, version.ver, version.length, now) for _, version in versions],
    )
    await transaction.many(
        "INSERT INTO upload_parts VALUES ($1, $2, 0, $3)",
        [(vault, version.ver, version.ct_root) for _, version in versions],
    )


def _document(vault: bytes, epoch: int, wrapper: SelfWrapper) -> Added:
    """A document that was never sent: as the owner's device has it, and its two erasable parts."""
    doc, ver, ct_root = secrets.token_bytes(16), secrets.token_bytes(16), secrets.token_bytes(32)
    key, context = SecretBytes.random(), descriptor_context(vault, doc, ver)
    self_wrap = wrapper.wrap(key, doc, ver, ct_root)
    sealed = content.seal(descriptor_key(key, context), context, descriptor_record(DESCRIPTOR))
    version = Version(
        ver=ver,
        ct_root=ct_root,
        length=ciphertext_length(DOCUMENT),
        epoch=epoch,
        self_wrap=part_hash(self_wrap),
        descriptor=part_hash(sealed),
    )
    document = Document(doc=doc, versions=(version,), masked=False, deleted=False)
    return LocalDocument(document=document, self_wrap=self_wrap, descriptor=DESCRIPTOR), (self_wrap, sealed)


async def _add_leaves(both: People, vault: Vault, size: int) -> None:
    """Cover leaves until the log has ``size`` entries, each batch taken in by the keeper before the next."""
    origin = both.patient.replica.origin
    while (missing := size - (await both.patient.service.refresh(origin)).head.size) > 0:

        async def job(transaction: Transaction) -> None:
            for _ in range(min(missing, IN_A_JOB)):
                leaf = bytes([LEAF_VERSION]) + random.randbytes(LEAF - 1)
                vault.log.stage_bytes(transaction, origin, leaf)

        await vault.writer.run(job)
        await vault.open_logs()


@asynccontextmanager
async def _server(settings: Settings) -> AsyncIterator[tuple[Vault, InstanceCard]]:
    """A server in this process, its keeper in another."""
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(socket.create_server((settings.listening.host, 0)))
        port = int(listening.getsockname()[1])
        now = int(time.time())
        instances.found(settings, [as_keeper(await make_card(settings, port))], port, now)
        own = instances.load(settings, port, now)
        vault = await stack.enter_async_context(running(settings, own))
        config = uvicorn.Config(
            make_app(vault), loop="none", http="httptools", ws="none", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))

        async def end() -> None:
            server.should_exit = True
            await serving

        stack.push_async_callback(end)
        card = instances.card_file(settings)
        keeper = await KeeperProcess.start(settings, settings.url(port), card)
        stack.push_async_callback(keeper.stop)
        await vault.open_logs()
        yield vault, read_card(card.read_text(encoding="utf-8"))
