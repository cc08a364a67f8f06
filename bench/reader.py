"""One client process of ``bench.readers``: ``python -m bench.reader PROFILE READERS OPENINGS``.

The profile's key comes on standard input. It says when it is ready, waits for a line, lets its readers open, each its own
document, and says how long they took on the clock and on the processor.
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


async def main(profile: Path, readers: int, openings: int) -> None:
    """Open, and report."""
    store = DeviceStore.open_with_key(profile, SecretBytes(bytes.fromhex(sys.stdin.readline())))
    async with await Practitioner.resume(store, profile) as practitioner:
        await practitioner.sync()
        documents = practitioner.documents()[:readers]
        with tempfile.TemporaryDirectory(prefix="coffre-bench-") as name:

            async def reader(number: int, document: GrantedDocument) -> None:
                for _ in range(openings):
                    await practitioner.read(document, Path(name) / str(number))

            await reader(0, documents[0])
            print(json.dumps({"ready": True}), flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            begun, processor = time.perf_counter(), time.process_time()
            await asyncio.gather(*[reader(number, each) for number, each in enumerate(documents)])
            report = {
                "seconds": time.perf_counter() - begun,
                "processor": time.process_time() - processor,
            }
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
