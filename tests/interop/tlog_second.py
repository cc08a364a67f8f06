"""A second reader of whole logs, written from the C2SP pages and docs/format alone: tiles, bundles, policies, a witness.

It stands on ``log_second`` and shares nothing with ``crypto``. Everything that is refused is refused as ``Refused``.
"""

import struct

from tests.interop import log_second as log
from tests.interop.log_second import Refused, demand

# tlog-tiles


def read_bundle(data, width):
    """The entries of a bundle: just so many."""
    entries = []
    while data:
        demand(len(data) >= 2, "half a length")
        (length,) = struct.unpack(">H", data[:2])
        demand(len(data) >= 2 + length, "half an entry")
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    demand(len(entries) == width, "another number of entries")
    return entries


def check_log(fetch, policy):
    """The head of a log and its entries, found whole: every bundle, every tile of every level. ``fetch``: a file by its path."""
    head = check_policy(policy, fetch("checkpoint"))
    entries = []
    for n in range(-(-head[1] // 256)):
        width = min(256, head[1] - 256 * n)
        name = log.tile_name(0, n, width).replace("tile/0/", "tile/entries/")
        entries += read_bundle(fetch(name), width)
    leaves = [log.leaf(entry) for entry in entries]
    demand(log.root(leaves) == head[2], "another root")
    level, step = 0, 1
    while step <= len(leaves):
        for n in range(-(-(len(leaves) // step) // 256)):
            name, hashes = log.tile(level, n, leaves)
            demand(fetch(name) == hashes, "another tile")
        level, step = level + 1, 256 * step
    return head, entries


# tlog-policy


class Policy:
    """The logs of a policy by name, and who must have cosigned."""

    def __init__(self, logs, members, quorum):
        self.logs, self.members, self.quorum = logs, members, quorum


def read_policy(data):
    """A policy file."""
    demand(all(byte in {9, 10} or 32 <= byte != 127 for byte in data), "a control character")
    demand(data.endswith(b"\n"), "half a line")
    logs, named, used, quorum = {}, {}, set(), []
    for line in data.split(b"\n"):
        words = [word for word in line.replace(b"\t", b" ").split(b" ") if word]
        if not words or words[0].startswith(b"#"):
            continue
        kind, *rest = words
        if kind == b"log" and len(rest) in {1, 2}:
            key = _key(rest[0], 1)
            demand(all(key.public != other.public for other in logs.values()), "a log twice")
            logs[key.name] = key
        elif kind == b"witness" and len(rest) in {2, 3}:
            key = _key(rest[1], 4)
            demand(
                all(key.public != getattr(other, "public", None) for other in named.values()),
                "a witness twice",
            )
            _define(named, rest[0], key)
        elif kind == b"group" and len(rest) >= 3:
            name, k, *members = rest
            demand(
                all(member in named and member not in used for member in members), "no such member, or twice"
            )
            demand(len(set(members)) == len(members), "a member twice")
            used |= set(members)
            _define(named, name, (_threshold(k, len(members)), tuple(members)))
        elif kind == b"quorum" and len(rest) == 1:
            demand(rest[0] == b"none" or rest[0] in named, "no such quorum")
            quorum.append(rest[0])
        else:
            raise Refused("not a line of a policy")
    demand(len(quorum) == 1, "not one quorum")
    return Policy(logs, named, quorum[0])


def check_policy(policy, note):
    """The head in a note, which one of the policy's logs signed and its quorum cosigned."""
    text, _ = log.read_note(note)
    origin = text.split("\n")[0]
    demand(origin in policy.logs, "an unknown log")
    head = log.open_checkpoint(note, policy.logs[origin])
    demand(policy.quorum == b"none" or _is_cosigned(policy, policy.quorum, note), "no quorum")
    return head


def _is_cosigned(policy, name, note):
    member = policy.members[name]
    if isinstance(member, log.Key):
        return bool(log.results(note, member))
    k, members = member
    return sum(_is_cosigned(policy, each, note) for each in members) >= k


def _define(named, name, meaning):
    demand(name != b"none" and name not in named, "a name twice")
    named[name] = meaning


def _threshold(k, count):
    if k in {b"any", b"all"}:
        return 1 if k == b"any" else count
    demand(k.isdigit() and 1 <= int(k) <= count, "not a threshold")
    return int(k)


def _key(vkey, kind):
    try:
        key = log.Key(vkey.decode())
    except UnicodeDecodeError as error:
        raise Refused("not a vkey") from error
    demand(key.type == kind, "a key for something else")
    return key


# tlog-witness


class Witness:
    """What a witness of one log answers: a status, and a body. ``name`` and ``seed``: what it signs with."""

    def __init__(self, key, name, seed):
        self.key, self.name, self.seed = key, name, seed
        self.size, self.top = 0, log.root([])

    def add_checkpoint(self, body, time):
        """One request, and with 200 the head moves."""
        try:
            old, hashes, note = log.read_request(body)
            origin, size, top = log.read_checkpoint(log.read_note(note)[0])
        except Refused:
            return 400, b""
        if origin != self.key.name:
            return 404, b""
        try:
            log.open_checkpoint(note, self.key)
        except Refused:
            return 403, b""
        if old > size:
            return 400, b""
        if old != self.size or (size == self.size and top != self.top):
            return 409, b"%d\n" % self.size
        try:
            log.check_consistency(self.size, self.top, size, top, tuple(hashes))
        except Refused:
            return 422, b""
        self.size, self.top = size, top
        return 200, log.cosign(note, self.name, self.seed, time)[len(note) :]
