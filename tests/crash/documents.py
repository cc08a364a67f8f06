"""Documents that can be told from their titles: what is in the record can be checked without being kept beside it."""

import hashlib
from pathlib import Path

SMALL = 60_000
# One in so many is sent in several parts: of up to 20 MiB.
ONE_IN = 16
LARGE = 20 << 20


def content(title: str) -> bytes:
    """The bytes of the document called ``title``: up to 60 kB of them, or up to 20 MiB."""
    digest = hashlib.sha256(title.encode()).digest()
    length = int.from_bytes(digest[:4]) % (SMALL if digest[4] % ONE_IN else LARGE)
    block = hashlib.shake_256(title.encode()).digest(min(length, SMALL))
    return (block * (length // SMALL + 1))[:length]


def write(folder: Path, title: str) -> Path:
    """The document called ``title`` as a file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{title}.bin"
    path.write_bytes(content(title))
    return path
