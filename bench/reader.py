"""One client process of ``bench.readers``: ``python -m bench.reader PROFILE READERS``.

The profile's key comes on standard input. It says when it is ready, waits for a line, lets its readers open, each its own
document again and again, until the next line, and says at which moments they had opened one.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from crypto.secret_bytes import SecretBytes
from vault_client.device_store import DeviceStore
from vault_client.granted_document import GrantedDocument
from vault_client.practitioner import Practitioner


async def main(profile: Path, readers: int) -> None:
    """Open, and report."""
    store = DeviceStore.open_with_key(profile, SecretBytes(bytes.fromhex(sys.stdin.readline())))
    async with await Practitioner.resume(store, profile) as practitioner:
        await practitioner.sync()
        documents = practitioner.documents()[:readers]
        with tempfile.TemporaryDirectory(prefix="coffre-bench-") as name:
            moments: list[float] = []
            is_over = False

            async def reader(number: int, document: GrantedDocument) -> None:
                while not is_over:
                    await practitioner.read(document, Path(name) / str(number))
                    moments.append(time.monotonic())

            await practitioner.read(documents[0], Path(name) / "0")
            print(json.dumps("ready"), flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            at_work = asyncio.gather(*[reader(number, each) for number, each in enumerate(documents)])
            await asyncio.to_thread(sys.stdin.readline)
            is_over = True
            await at_work
            print(json.dumps(moments), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
