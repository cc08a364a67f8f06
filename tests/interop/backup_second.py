"""Backups read a second time, from docs/format/backup.md and POSIX's description of ``tar`` alone; nothing of ours is imported."""

import hashlib
import re

MANIFEST = "coffre-1-backup.sha256"
NAMES = [
    r"coffre\.db",
    r"keys/[a-z-]{1,32}\.key",
    r"trust-roots/[1-9][0-9]{0,5}\.json",
    r"ciphertext/([0-9a-f]{2})/[0-9a-f]{64}-\1[0-9a-f]{30}/[0-9]{6}",
]
BLOCK = 512


def files(archive):
    """Name and content of every file of a backup. Raises ValueError for anything but a whole one."""
    found, at = {}, 0
    lines = ""
    while True:
        name, size, at = _header(archive, at)
        content = archive[at : at + size]
        if len(content) != size:
            raise ValueError("cut short")
        at += -(-size // BLOCK) * BLOCK
        if name == MANIFEST:
            break
        if name in found or not any(re.fullmatch(pattern, name, re.ASCII) for pattern in NAMES):
            raise ValueError(f"a file of another name: {name}")
        found[name] = content
        lines += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    if content != lines.encode("ascii") or any(archive[at:]) or len(archive) - at < 2 * BLOCK:
        raise ValueError("not the files that its last one names")
    if not {"coffre.db", "keys/log.key", "keys/directory.key", "trust-roots/1.json"} <= found.keys():
        raise ValueError("not all of a server")
    return found


def _header(archive, at):
    """Name and size of the member at a place, and where its content begins."""
    extended = {}
    while True:
        block = archive[at : at + BLOCK]
        at += BLOCK
        checksum = int(block[148:156].rstrip(b"\0 ") or b"0", 8)
        if block[257:263] != b"ustar\0" or sum(block[:148] + b" " * 8 + block[156:]) != checksum:
            raise ValueError("not a header")
        size = int(extended.get("size") or int(block[124:136].rstrip(b"\0 "), 8))
        kind = block[156:157]
        if kind == b"x":
            extended, at = _records(archive[at : at + size]), at + -(-size // BLOCK) * BLOCK
            continue
        if kind != b"0":
            raise ValueError("not a regular file")
        parts = [block[345:500], block[:100]]
        name = "/".join(part.rstrip(b"\0").decode("ascii") for part in parts if part.rstrip(b"\0"))
        return extended.get("path", name), size, at


def _records(data):
    """The records of an extended header."""
    found = {}
    while data:
        length = int(data[: data.index(b" ")])
        key, _, value = data[data.index(b" ") + 1 : length - 1].partition(b"=")
        found[key.decode()] = value.decode()
        data = data[length:]
    return found
