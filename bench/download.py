"""A ciphertext downloaded from the server, beside the same bytes from nginx: same client, same loopback, no decryption.

The server checks the session and that the caller holds the record, and sends the parts as they lie; nginx sends one
file with ``sendfile``. The client is Python in both cases and hashes nothing while the clock runs.
"""

import asyncio
import hashlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp

from bench.people import people, served_folder
from crypto.encoding import encode
from crypto.wire.messages import CiphertextQuery
from vault_client.http_vault import HttpVault

SIZE: Final = 64 << 20
CHUNK: Final = 1 << 18

Row = dict[str, Any]
Way = Callable[[], AsyncIterator[bytes]]


def run(quick: bool) -> list[Row]:
    """One row: the medians of shuffled pairs."""
    with served_folder() as (folder, card):
        return asyncio.run(_measure(folder, card, SIZE // 8 if quick else SIZE, 5 if quick else 15))


async def _measure(folder: Path, card: Any, size: int, rounds: int) -> list[Row]:
    source, served = folder / "source", folder / "served"
    source.write_bytes(os.urandom(size))
    served.mkdir()
    async with people(folder, folder / "data", card) as both, aiohttp.ClientSession() as session:
        document = await both.patient.add(source)
        version = both.patient.replica.document(document.doc).document.versions[-1]
        api = both.patient.service.api
        query = CiphertextQuery(vault=both.patient.vault, request=None, ver=version.ver, start=0)
        assert isinstance(api, HttpVault)
        token = (await api.log_in()).token
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

        async def coffre() -> AsyncIterator[bytes]:
            url = f"{card.url}/coffre/v1/ciphertext"
            async with session.post(url, data=encode(query), headers=headers) as answer:
                answer.raise_for_status()
                async for chunk in answer.content.iter_chunked(CHUNK):
                    yield chunk

        with (served / "ciphertext").open("wb") as file:
            async for chunk in coffre():
                file.write(chunk)
        (served / "ciphertext").chmod(0o644)
        with _nginx(folder, served) as url:

            async def nginx() -> AsyncIterator[bytes]:
                async with session.get(url) as answer:
                    answer.raise_for_status()
                    async for chunk in answer.content.iter_chunked(CHUNK):
                        yield chunk

            ways: dict[str, Way] = {"coffre": coffre} | ({"nginx": nginx} if url else {})
            hashes = {name: await _hash(way) for name, way in ways.items()}
            if len(set(hashes.values())) != 1:
                raise SystemExit("nginx did not serve the same bytes.")
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name in random.sample(list(ways), len(ways)):
                    times[name].append(await _timed(ways[name], version.length))
    own, peer = median(times["coffre"]), median(times["nginx"]) if "nginx" in times else None
    return [
        {
            "bytes": version.length,
            "rounds": rounds,
            "coffre_s": own,
            "nginx_s": peer,
            "times_nginx": own / peer if peer else None,
        }
    ]


async def _hash(way: Way) -> bytes:
    digest = hashlib.sha256()
    async for chunk in way():
        digest.update(chunk)
    return digest.digest()


async def _timed(way: Way, length: int) -> float:
    begun, got = time.perf_counter(), 0
    async for chunk in way():
        got += len(chunk)
    taken = time.perf_counter() - begun
    if got != length:
        raise SystemExit("A download was cut short.")
    return taken


@contextmanager
def _nginx(folder: Path, served: Path) -> Iterator[str]:
    """The address of the ciphertext at nginx; empty when nginx is not installed."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        print("nginx is not installed: its cells stay empty. Its Debian package is called nginx-light.")
        yield ""
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.chmod(0o755)  # nginx gives up root for a user who must be able to enter
    written = folder / "nginx"
    written.mkdir()
    places = "".join(
        f"{kind}_temp_path {written}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {written}/pid; error_log stderr crit; events {{}}\n"
        f"http {{ access_log off; sendfile on; {places} "
        f"server {{ listen 127.0.0.1:{port}; root {served}; }} }}\n"
    )
    with subprocess.Popen(
        [program, "-p", str(written), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    ) as process:
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/ciphertext"
        finally:
            process.terminate()
