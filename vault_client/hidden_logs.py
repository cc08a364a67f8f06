"""A log that a server does not show to somebody who checks it from outside: its keepers followed it, and are asked."""

import asyncio
from collections.abc import Mapping

from crypto.checkpoint import open_checkpoint
from crypto.errors import CoffreError, NotFound, NotProven
from crypto.trust_root import TrustRoot
from crypto.wire.keeper_api import KeeperApi

PATIENCE = 10


async def no_keeper_knows(root: TrustRoot, keepers: Mapping[bytes, KeeperApi], origin: str) -> int:
    """How many keepers say that they know of no log ``origin``; those that do not answer are not counted.

    Raises NotProven when one shows a head of it that the log's key signed.
    """
    answers = await asyncio.gather(*(_unknown(root, keeper, origin) for keeper in keepers.values()))
    return sum(answers)


async def _unknown(root: TrustRoot, keeper: KeeperApi, origin: str) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            open_checkpoint(await keeper.checkpoint(origin), root.log_key_of(origin))
    except NotFound:
        return True
    except (CoffreError, TimeoutError):
        return False
    raise NotProven(
        f"A keeper knows the log {origin}, which the server does not show. Keep what you have, and ask the operator why."
    )
