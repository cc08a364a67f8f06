"""Files of keepers' leaves read a second time, from docs/format/leaves.md and tree.md alone; nothing of ours is imported."""

import hashlib

MAGIC = b"coffre-1 leaves\n"


def logs(data):
    """Of each log: its checkpoint, hashes over 256, leaves. Raises ValueError for anything but a whole file."""
    if data[:16] != MAGIC or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise ValueError("not such a file")
    found, at, before = [], 16, b""
    while length := int.from_bytes(data[at : at + 4], "big"):
        note = data[at + 4 : at + 4 + length]
        origin, size, *_ = note.split(b"\n")
        at += 4 + length
        begins, size = int.from_bytes(data[at : at + 8], "big"), int(size)
        if length > 65536 or origin <= before or begins % 256 or begins >= max(size, 1):
            raise ValueError("no log of such a file")
        before, at = origin, at + 8
        hashes = [data[at + 32 * n : at + 32 * n + 32] for n in range(begins // 256)]
        at += 32 * len(hashes)
        leaves = [data[at + 97 * n : at + 97 * n + 97] for n in range(size - begins)]
        at += 97 * len(leaves)
        if at > len(data) - 36:
            raise ValueError("cut short")
        found.append((note, hashes, leaves))
    if at + 36 != len(data):
        raise ValueError("more than such a file")
    return found


def root(hashes, leaves):
    """The root over leaves, of which the first are only the hashes over each 256."""
    nodes = [(8, each) for each in hashes] + [(0, hashlib.sha256(b"\0" + each).digest()) for each in leaves]
    stack = []
    for node in nodes:
        stack.append(node)
        while len(stack) > 1 and stack[-2][0] == stack[-1][0]:
            level, right = stack.pop()
            stack[-1] = level + 1, hashlib.sha256(b"\1" + stack[-1][1] + right).digest()
    if not stack:
        return hashlib.sha256().digest()
    _, right = stack.pop()
    while stack:
        right = hashlib.sha256(b"\1" + stack.pop()[1] + right).digest()
    return right
