"""A second implementation of trees, checkpoints and receipts, written from docs/format alone.

It follows tree.md, checkpoint.md and receipt.md by their definitions, recursive where these are, and shares nothing with
``crypto``. Everything that is refused is refused as ``Refused``.
"""

import base64
import binascii
import functools
import hashlib
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, FIELD) % FIELD


class Refused(Exception):
    """What does not hold."""


def demand(holds, why):
    if not holds:
        raise Refused(why)


# tree.md


def leaf(data):
    return hashlib.sha256(bytes([0]) + data).digest()


def node(left, right):
    return hashlib.sha256(bytes([1]) + left + right).digest()


def half(n):
    k = 1
    while 2 * k < n:
        k = 2 * k
    return k


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = half(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return ()
    k = half(len(leaves))
    if m < k:
        return (*path(m, leaves[:k]), root(leaves[k:]))
    return (*path(m - k, leaves[k:]), root(leaves[:k]))


def proof(m, leaves, whole=True):
    if m in {0, len(leaves)}:
        return () if whole else (root(leaves),)
    k = half(len(leaves))
    if m <= k:
        return (*proof(m, leaves[:k], whole), root(leaves[k:]))
    return (*proof(m - k, leaves[k:], False), root(leaves[:k]))


def check_inclusion(hashed, m, n, hashes, expected):
    demand(0 <= m < n, "no such leaf")
    demand(all(len(each) == 32 for each in (hashed, expected, *hashes)), "a hash of another length")

    def climb(m, n, hashes):
        if n == 1:
            demand(not hashes, "too many hashes")
            return hashed
        demand(hashes, "too few hashes")
        k = half(n)
        if m < k:
            return node(climb(m, k, hashes[:-1]), hashes[-1])
        return node(hashes[-1], climb(m - k, n - k, hashes[:-1]))

    demand(climb(m, n, tuple(hashes)) == expected, "another root")


def check_consistency(m, old, n, new, hashes):
    demand(0 <= m <= n, "the tree shrank")
    demand(all(len(each) == 32 for each in (old, new, *hashes)), "a hash of another length")
    if m == 0:
        demand(not hashes and old == root([]), "nothing follows from nothing")
        return

    def climb(m, n, hashes, whole):
        if m == n:
            demand(len(hashes) == (0 if whole else 1), "another number of hashes")
            return (old, old) if whole else hashes * 2
        demand(hashes, "too few hashes")
        k = half(n)
        if m <= k:
            before, after = climb(m, k, hashes[:-1], whole)
            return before, node(after, hashes[-1])
        before, after = climb(m - k, n - k, hashes[:-1], False)
        return node(hashes[-1], before), node(hashes[-1], after)

    demand(climb(m, n, tuple(hashes), True) == (old, new), "another root")


def tile_name(level, n, width):
    groups = []
    while True:
        n, group = divmod(n, 1000)
        groups.insert(0, f"{group:03}")
        if n == 0:
            break
    name = f"tile/{level}/" + "".join(f"x{group}/" for group in groups[:-1]) + groups[-1]
    return name if width == 256 else f"{name}.p/{width}"


def tile(level, n, leaves):
    """The tile of a tree, and its name."""
    step = 256**level
    count = min(256, len(leaves) // step - 256 * n)
    places = range(256 * n, 256 * n + count)
    return tile_name(level, n, count), b"".join(root(leaves[at * step : (at + 1) * step]) for at in places)


# checkpoint.md


def to64(data):
    return base64.standard_b64encode(data).decode("ascii")


def from64(text):
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("not base64") from error
    demand(to64(data) == text, "another spelling of base64")
    return data


def number(text):
    demand(text != "" and set(text) <= set("0123456789") and len(text) <= 19, "not a number")
    value = int(text)
    demand(str(value) == text and value < 2**63, "another spelling of a number")
    return value


@functools.cache
def sound(public):
    """Whether the 32 bytes are the one encoding of a point of the prime-order subgroup other than the identity."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    sign = public[31] >> 7
    if y >= FIELD:
        return False
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    if x * x % FIELD != square or (x == 0 and sign):
        return False
    if x & 1 != sign:
        x = FIELD - x
    return (x, y) != (0, 1) and times(ORDER, (x, y)) == (0, 1)


def times(scalar, point):
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = plus(total, point)
        point = plus(point, point)
        scalar >>= 1
    return total


def plus(one, two):
    (x1, y1), (x2, y2) = one, two
    product = CURVE_D * x1 * x2 * y1 * y2 % FIELD
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, FIELD) % FIELD
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, FIELD) % FIELD
    return x, y


class Key:
    """A configured key: a name, a type and 32 bytes."""

    def __init__(self, vkey):
        parts = vkey.split("+", 2)
        demand(len(parts) == 3, "not a vkey")
        self.name, claimed, encoded = parts
        raw = from64(encoded)
        check_name(self.name)
        self.id = hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        demand(len(raw) == 33 and raw[0] in {1, 4} and claimed == self.id.hex(), "not a vkey")
        demand(sound(raw[1:]), "not a sound point")
        self.type, self.public = raw[0], raw[1:]

    def check(self, text, signature):
        """The time of a cosignature, None for a plain signature."""
        time, message = None, text
        if self.type == 4:
            demand(len(signature) == 72, "another length")
            (time,), signature = struct.unpack(">Q", signature[:8]), signature[8:]
            demand(time < 2**63, "a time out of range")
            message = cosigned(text, time)
        demand(len(signature) == 64, "another length")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message.encode())
        except InvalidSignature as error:
            raise Refused("a signature does not fit") from error
        return time


def cosigned(text, time):
    return "cosignature/v1\n" + f"time {time}\n" + text


def check_name(name):
    demand(
        name and "+" not in name and not any(each.isspace() or ord(each) < 32 for each in name),
        "not a key name",
    )


def read_note(data):
    """Text, and (name, id, signature) of each line."""
    demand(len(data) <= 65536, "too long")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    demand(all(ord(each) >= 32 or each == "\n" for each in content), "a control character")
    at = content.rfind("\n\n")
    demand(at >= 0 and content.endswith("\n") and at + 2 < len(content), "not a note")
    lines = content[at + 2 : -1].split("\n")
    demand(len(lines) <= 64, "too many signatures")
    signatures = []
    for line in lines:
        parts = line.split(" ")
        demand(len(parts) == 3 and parts[0] == "\N{EM DASH}", "not a signature line")
        check_name(parts[1])
        raw = from64(parts[2])
        demand(len(raw) > 4, "no signature")
        signatures.append((parts[1], raw[:4], raw[4:]))
    return content[: at + 1], signatures


def results(data, key):
    text, signatures = read_note(data)
    return [
        key.check(text, signature) for name, id_, signature in signatures if (name, id_) == (key.name, key.id)
    ]


def read_checkpoint(text):
    lines = text.split("\n")
    demand(len(lines) == 4 and lines[0] and lines[3] == "", "not three lines")
    size, top = number(lines[1]), from64(lines[2])
    demand(len(top) == 32 and (size > 0 or top == root([])), "not a root")
    return lines[0], size, top


def open_checkpoint(data, log):
    demand(log.type == 1 and results(data, log), "not signed by this log")
    head = read_checkpoint(read_note(data)[0])
    demand(head[0] == log.name, "another origin")
    return head


def cosigners(data, keys):
    """The newest time of each public key that cosigned."""
    times = {}
    for key in keys:
        for time in results(data, key):
            times[key.public] = max(time, times.get(key.public, 0))
    return times


def vkey(name, kind, seed):
    public = bytes([kind]) + Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return f"{name}+{hashlib.sha256(name.encode() + bytes([10]) + public).hexdigest()[:8]}+{to64(public)}"


def sign(origin, size, top, seed):
    text = f"{origin}\n{size}\n{to64(top)}\n"
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
    return (text + "\n" + line(Key(vkey(origin, 1, seed)), signature)).encode()


def cosign(data, name, seed, time):
    text, _ = read_note(data)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(cosigned(text, time).encode())
    return data + line(Key(vkey(name, 4, seed)), struct.pack(">Q", time) + signature).encode()


def line(key, signature):
    return f"\N{EM DASH} {key.name} {to64(key.id + signature)}\n"


# receipt.md


def write_receipt(index, hashes, note):
    return "\n".join(["c2sp.org/tlog-proof@v1", f"index {index}", *map(to64, hashes), "", ""]).encode() + note


def write_request(old, hashes, note):
    return "\n".join([f"old {old}", *map(to64, hashes), "", ""]).encode() + note


def read_proof(data, *beginning):
    demand(len(data) <= 69632, "too long")
    head, divided, note = data.partition(b"\n\n")
    demand(divided and head.isascii(), "not a proof")
    lines = head.decode("ascii").split("\n")
    words = lines[: len(beginning)]
    demand(len(words) == len(beginning) and words[:-1] == list(beginning[:-1]), "another header")
    demand(words[-1].startswith(beginning[-1]), "another field")
    hashes = [from64(each) for each in lines[len(beginning) :]]
    demand(len(hashes) <= 63 and all(len(each) == 32 for each in hashes), "not hashes")
    read_checkpoint(read_note(note)[0])
    return number(words[-1].removeprefix(beginning[-1])), hashes, note


def read_receipt(data):
    return read_proof(data, "c2sp.org/tlog-proof@v1", "index ")


def read_request(data):
    return read_proof(data, "old ")


def check_receipt(data, entry, log):
    index, hashes, note = read_receipt(data)
    head = open_checkpoint(note, log)
    check_inclusion(leaf(entry), index, head[1], hashes, head[2])
    return head
