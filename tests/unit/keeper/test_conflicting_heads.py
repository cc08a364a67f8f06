"""Fifty conflicting heads at once, sent to a keeper that is a program of its own, by a log that lies as well as it can."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from crypto.checkpoint import CosignerKey, cosignatures, open_checkpoint
from crypto.signing import VerifyKey
from crypto.tiles import Tile, encode_bundle
from crypto.trust_root import card_text
from crypto.wire.keeper_api import KeeperCard
from tests.support.log_server import log_server
from tests.support.people import LOG
from tests.support.small_log import LoggedService, random_leaf
from vault_server.keeper.founding import found

HEADS = 50
SERVE = "from vault_server.keeper.__main__ import main; sys.exit(main())"
# The twin: a head that was compared is not stored in the place of the one it was compared with.
WITHOUT_STORING = """
from vault_server.keeper.followed_logs import FollowedLogs
stores = FollowedLogs.advance
async def forgets(self, log, checkpoint, *rest, **named):
    if checkpoint.size <= 2:
        await stores(self, log, checkpoint, *rest, **named)
FollowedLogs.advance = forgets
"""


class ForkedLog(LoggedService):
    """A log with a history for each size from 3 to 52, of which each begins with the same two leaves."""

    def __init__(self, card: KeeperCard) -> None:
        super().__init__(card)
        self.shard.fill(2)
        self.beginning = list(self.shard.leaves)
        self.histories = {
            size: [*self.beginning, *(random_leaf() for _ in range(size - 2))] for size in range(3, 3 + HEADS)
        }

    def requests(self) -> list[bytes]:
        """The request to cosign each history, with a proof that holds."""
        made = []
        for leaves in self.histories.values():
            self.shard.leaves = leaves
            made.append(self.shard.extension(2).encode())
        return made

    async def bundle(self, origin: str, tile: Tile) -> bytes:
        """To whoever follows a history, its own leaves."""
        leaves = self.beginning if tile.width <= 2 else self.histories[tile.width]
        return encode_bundle(leaves[: tile.width])


@asynccontextmanager
async def serving(data: Path, server: str, changed: str) -> AsyncIterator[str]:
    """The address of a keeper's process."""
    program = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            f"import sys\n{changed}\n{SERVE}",
            "serve",
            "--json",
            "--data",
            str(data),
            "--port",
            "0",
        ),
        *("--server", server, "--card", str(data / "instance-card.json")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        assert program.stdout is not None
        said = await program.stdout.readline()
        yield said.decode().split('"')[-2]
    finally:
        program.kill()
        await program.wait()


async def cosigned(tmp_path: Path, changed: str) -> tuple[list[int], list[int]]:
    """Send all heads at once. Which sizes were cosigned, and the statuses of all answers."""
    card = await found(tmp_path, url="http://127.0.0.1:8766", name="keeper-0", operator="the operator")
    service = ForkedLog(card)
    (tmp_path / "instance-card.json").write_text(card_text(service.card))
    own, log = CosignerKey(card.name, VerifyKey(card.cosigning_key)), service.root.log_key_of(LOG)
    first = service.shard.extension(0).encode()
    sizes, statuses = [], []

    async with (
        log_server(service) as server,
        serving(tmp_path, server, changed) as url,
        aiohttp.ClientSession() as session,
    ):

        async def send(body: bytes) -> tuple[int, bytes]:
            async with session.post(f"{url}/add-checkpoint", data=body) as answer:
                return answer.status, await answer.read()

        for _ in range(600):  # until it has its trust root
            if (await send(first))[0] == 200:
                break
            await asyncio.sleep(0.1)
        bodies = service.requests()
        answers = await asyncio.gather(*map(send, bodies))
    for body, (status, line) in zip(bodies, answers, strict=True):
        statuses.append(status)
        if status == 200:
            note = body[body.index(b"\n\n") + 2 :]
            assert cosignatures(note + line, [own])
            sizes.append(open_checkpoint(note, log).size)
    return sizes, statuses


async def test_of_fifty_conflicting_heads_one_is_cosigned(tmp_path: Path) -> None:
    """Whichever comes first is the log; all others are refused as contradicting it or as starting elsewhere."""
    sizes, statuses = await cosigned(tmp_path, "")
    assert len(sizes) == 1
    assert sorted(statuses) == [200] + [409] * (HEADS - 1)


async def test_without_comparing_and_storing_all_are_cosigned(tmp_path: Path) -> None:
    """The twin: where the head that was cosigned does not take the other's place, the log gets fifty of them."""
    sizes, _ = await cosigned(tmp_path, WITHOUT_STORING)
    assert len(sizes) == HEADS
