"""The process that sends what ``bench.appending`` has signed: ``python -m bench.asking URL FILE CLIENTS``.

Each client has one connection and waits for its answer before it sends the next. Nothing is decoded but status and
length, so that little more than the server is measured. The session's header comes on standard input; the answer is
one line of JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import uvloop


def requests(file: Path, host: str, authorization: str) -> list[bytes]:
    """Whole HTTP requests, of bodies that each have their length before them."""
    data, at, found = file.read_bytes(), 0, []
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        head = (
            f"POST /coffre/v1/open HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Authorization: {authorization}\r\nContent-Length: {length}\r\n\r\n"
        )
        found.append(head.encode() + data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


async def ask(host: str, port: int, waiting: list[bytes], took: list[float]) -> None:
    """One client: take requests until there are none."""
    reader, writer = await asyncio.open_connection(host, port)
    while waiting:
        request = waiting.pop()
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
        answer = await reader.readexactly(length)
        took.append(time.perf_counter() - begun)
        if b" 200 " not in lines[0]:
            raise SystemExit(f"A request was refused: {lines[0].decode()} {answer.decode()}")
    writer.close()
    await writer.wait_closed()


async def main(url: str, file: Path, clients: int, authorization: str) -> None:
    """Send everything, and say how fast it went."""
    parts = urlsplit(url)
    waiting = requests(file, parts.netloc, authorization)
    count, took = len(waiting), list[float]()
    begun = time.perf_counter()
    await asyncio.gather(
        *[ask(parts.hostname or "", parts.port or 80, waiting, took) for _ in range(clients)]
    )
    seconds = time.perf_counter() - begun
    print(json.dumps({"a_second": count / seconds, "median_s": median(took), "worst_s": max(took)}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.stdin.read()))
