"""A second reader of docs/format/evidence.md: what a file proves, by the names of its table."""

import hashlib

from tests.interop import identity_second, log_second, trust_second
from tests.interop.entries_second import commitment, is_locator, leaf
from tests.interop.export_second import live, needed, note_key
from tests.interop.records_second import RefusedError, decode, demand, digest, open_envelope, pae

LIMIT = 1 << 25
FAR = 600
KINDS = {
    "genesis": "Genesis",
    "vault-link": "VaultLink",
    "grant-event": "GrantEvent",
    "erasure": "Erasure",
}


def judge(data, card=None):
    """Check a file. Returns the names of what it proves."""
    envelope = decode("Envelope", data, LIMIT)
    keepers = envelope["type"] == "coffre-1/keeper-evidence"
    demand(keepers or envelope["type"] == "coffre-1/evidence", "another type")
    body = decode("KeeperEvidence" if keepers else "Evidence", envelope["body"], LIMIT)
    case = Case(body, card)
    if keepers:
        case.signed_by_keeper(envelope)
    else:
        case.signed_by_author(envelope)
    case.check()
    try:
        return case.proven()
    except (RefusedError, log_second.Refused):
        return set()


class Case:
    """One file, taken apart."""

    def __init__(self, body, card):
        chain = body["trust_roots"]
        if card is not None:
            chain = chain[[digest(each) for each in chain].index(card) :]
            demand(digest(chain[0]) == card, "another service")
        trust_second.believe(chain, None)
        self.roots = [decode("TrustRoot", each["body"]) for each in chain]
        self.digests = [digest(each) for each in chain]
        self.root, self.body, self.finding = self.roots[-1], body, body["finding"]
        self.directory = trust_second.directory(self.root)
        self.heads = [self._head(note) for note in self.finding["notes"]]

    def signed_by_author(self, envelope):
        """By live devices of the chain shown."""
        state = identity_second.fold(self.body["author"], 1 << 53, self.directory, self._registrars())
        open_envelope(envelope, "evidence", "Evidence", _devices(state), LIMIT)

    def signed_by_keeper(self, envelope):
        """By a keeper of the last trust root."""
        keys = [each["cosigning_key"] for each in self.root["keepers"]]
        open_envelope(envelope, "keeper-evidence", "KeeperEvidence", keys, LIMIT)

    def check(self):
        """Everything that refuses the whole."""
        entries, beginning = self.finding["entries"], self.finding["beginning"]
        demand(len({each["index"] for each in entries}) == len(entries), "one entry twice")
        for each in entries:
            if each["path"] is not None:
                hashed = log_second.leaf(leaf(each["slot_one"], each["slot_two"], each["commitment"]))
                _, size, top, _, _ = self.heads[0]
                log_second.check_inclusion(hashed, each["index"], size, each["path"], top)
            shown = each["opening"]
            if shown is not None and self.finding["code"] != "BAD_OPENING":
                fits = commitment(shown["salt"], shown["envelope"], shown["part"]) == each["commitment"]
                demand(fits and shown["part"]["body"] == digest(shown["envelope"]), "another opening")
        if beginning is not None:
            _, size, top, _, _ = self.heads[-1]
            log_second.check_consistency(
                beginning["size"], beginning["root"], size, top, tuple(beginning["path"])
            )

    def proven(self):
        """By the table."""
        code, has_entries = self.finding["code"], bool(self.finding["entries"])
        if code in {"FORK", "DIR_FORK"} and has_entries:
            return (self._not_theirs() if code == "FORK" else set()) or self._another_log()
        return getattr(self, f"_{code.lower()}", set)()

    def _fork(self):
        (small, big), beginning = self._pair(), self.finding["beginning"]
        if small[1] == big[1]:
            return {"two heads"} if small[2] != big[2] else set()
        shown = beginning and beginning["size"] == small[1] and big is self.heads[-1]
        return {"two heads"} if shown and beginning["root"] != small[2] else set()

    def _rollback(self):
        small, big = self._pair()
        back = any(small[3][key] > big[3][key] for key in small[3].keys() & big[3].keys())
        return {"shrunk"} if back and small[1] < big[1] else set()

    def _dir_fork(self):
        keys = [each["cosigning_key"] for each in self.root["keepers"]]
        heads = {(size, top) for origin, size, top, _, _ in self.heads if origin == self.directory}
        for shown in self.finding["people"]:
            for envelope in shown["heads"]:
                said, _ = open_envelope(envelope, "idhead", "IdentityHead", keys)
                if said["origin"] == self.directory:
                    heads.add((said["head"]["size"], said["head"]["root"]))
        return {"two directories"} if len({size for size, _ in heads}) < len(heads) else set()

    def _another_log(self):
        view = self._signed(self._counts(0)["envelope"])["view"]
        directory = self.heads[-1][0] == self.directory
        if not directory and view["seen"]["size"] > self.finding["entries"][0]["index"]:
            return {"another log"}
        _, size, _, _, quorum = self.heads[-1]
        if directory and view["dir"]["size"] > size:
            later = quorum and min(quorum) > self._counts(0)["part"]["time"] + FAR
            return {"another log"} if later else set()
        seen = view["dir"] if directory else view["seen"]
        beginning = self.finding["beginning"]
        differs = beginning and beginning["size"] == seen["size"] and beginning["root"] != seen["root"]
        return {"another log"} if differs else set()

    def _root_fork(self):
        named = self._signed(self._counts(0)["envelope"])["view"]["trust_root"]
        shown = dict(zip((each["version"] for each in self.roots), self.digests, strict=True))
        return {"other root"} if shown.get(named["version"], named["digest"]) != named["digest"] else set()

    def _not_theirs(self):
        opening = self._counts(0)
        if opening["part"]["outcome"] != "accepted" or self.heads[0][0] == self.directory:
            return set()
        demand(_kind(opening["envelope"]) != "deposit", "nothing is said of deposits")
        try:
            name, body = _statement(opening["envelope"])
        except RefusedError:
            return {"not theirs"}
        keys = self._keys(body)
        try:
            open_envelope(opening["envelope"], _kind(opening["envelope"]), name, keys)
        except RefusedError:
            return {"not theirs"}
        return set()

    def _forged_read(self):
        envelope = self._counts(0)["envelope"]
        demand(_kind(envelope) == "access-request", "no reading")
        try:
            body = decode("AccessRequest", envelope["body"])
            versions = [(each["doc"], each["ver"]) for each in body["documents"]]
            demand(len(set(versions)) == len(versions), "a version twice")
        except RefusedError:
            return {"no statement"}
        keys = self._device(body)
        try:
            _, signers = open_envelope(envelope, "access-request", "AccessRequest", keys)
            demand(signers == {body["device"]}, "another device")
        except RefusedError:
            return {"not signed"}
        return set()

    def _replay(self):
        both = [self._counts(place) for place in (0, 1)]
        slots = {decode("AccessRequest", each["envelope"]["body"])["slot_two"] for each in both}
        granted = all(each["part"]["outcome"] == "granted" for each in both)
        return {"twice"} if granted and len(slots) == 1 else set()

    def _hidden_by_server(self):
        request, entry = self._signed(self._counts(0)["envelope"]), self.finding["entries"][0]
        vaults, committed = set(), set()
        for other, name, body, envelope in self._others():
            if name == "GrantEvent":
                vaults |= {body["vault"]} if body["gid"] == request["gid"] else set()
            elif other["index"] < entry["index"]:
                demand(name != "Erasure", "an erasure gives no key")
                genesis = name == "Genesis"
                vault = hashlib.sha256(pae("vault", envelope["body"])).digest() if genesis else body["vault"]
                steps = [body["keyring"]] if genesis else body["operations"]
                committed |= {(vault, step["scan_key"]) for step in steps if "scan_key" in step}
        for disclosed in self.body["keys"]:
            key = disclosed["scan_key"]
            given = any(
                (vault, hashlib.sha256(pae("scan-key", key)).digest()) in committed for vault in vaults
            )
            found = is_locator(key, self.finding["origin"], entry["slot_one"])
            if given and not found and request["slot_two"] == entry["slot_two"]:
                return {"other mark"}
        return set()

    def _backdated(self):
        opening, entry, names = self._counts(0), self.finding["entries"][0], set()
        said, first = opening["part"]["time"], self.heads[0]
        if _kind(opening["envelope"]) == "access-request":
            apart = abs(said - self._signed(opening["envelope"])["time"])
            names |= {"times apart"} if apart > FAR else set()
        names |= {"dated after"} if said > max(first[3].values()) + FAR else set()
        for origin, size, _, _, quorum in self.heads[1:]:
            before = origin == first[0] and size <= entry["index"] and quorum
            names |= {"dated before"} if before and said < min(quorum) - FAR else set()
        return names

    def _stale_view(self):
        request, places = self._signed(self._counts(0)["envelope"]), {}
        for other, name, body, envelope in self._others():
            if name == "GrantEvent" and body["gid"] == request["gid"]:
                self._signed(envelope)
                people = {each["identity"] for each in body["signers"]}
                places[digest(envelope)] = other["index"], people
        if request["ghead"] not in places:
            return set()
        held, people = places[request["ghead"]]
        seen = [index for index, others in places.values() if others == people]
        return {"older grant"} if any(held < at < request["view"]["seen"]["size"] for at in seen) else set()

    def _out_of_scope(self):
        opening, entry, names = self._counts(0), self.finding["entries"][0], set()
        request = decode("AccessRequest", opening["envelope"]["body"])
        demand(opening["part"]["outcome"] == "granted", "not granted")
        for other, name, body, envelope in self._others():
            if other["index"] > entry["index"]:
                continue
            if name == "VaultLink":
                ends = [step["gid"] for step in body["operations"] if step["op"] == "end"]
                names |= {"after end"} if request["gid"] in ends else set()
            elif name == "GrantEvent" and digest(envelope) == request["ghead"]:
                names |= {"after expiry"} if opening["part"]["time"] > body["expiry"] else set()
                names |= {"other act"} if request["act"] not in body["acts"] else set()
                names |= {"left out"} if request["identity"] in body["excluded"] else set()
        return names

    def _others(self):
        for place, each in enumerate(self.finding["entries"][1:], 1):
            opening = self._counts(place)
            demand(opening["part"]["outcome"] == "accepted", "not accepted")
            name = _name(opening["envelope"])
            yield each, name, decode(name, opening["envelope"]["body"]), opening["envelope"]

    def _counts(self, place):
        entries = self.finding["entries"]
        demand(place < len(entries) and entries[place]["path"] is not None, "not in the log")
        demand(entries[place]["opening"] is not None and self.heads[0][4], "not opened, or not witnessed")
        return entries[place]["opening"]

    def _pair(self):
        demand(len(self.heads) == 2 and self.heads[0][0] == self.heads[1][0], "not two heads")
        return sorted(self.heads, key=lambda head: head[1])

    def _head(self, note):
        """Origin, size, root, times of cosigners, those of the quorum that witnesses it."""
        origin = log_second.read_note(note)[0].split("\n")[0]
        demand(origin in {self.finding["origin"], self.directory}, "another log")
        for root in reversed(self.roots):
            try:
                _, raw = trust_second.log_key(root, origin)
                head = log_second.open_checkpoint(note, note_key(origin, 1, raw))
            except (RefusedError, log_second.Refused):
                continue
            times = log_second.cosigners(note, _cosigners(root["keepers"]))
            living = sorted(log_second.cosigners(note, _cosigners(live(root))).values())
            k = needed(root)
            quorums = [living[at : at + k] for at in range(len(living) - k, -1, -1)]
            return *head, times, next((each for each in quorums if each[-1] - each[0] <= FAR), [])
        raise RefusedError("a head that nobody signed")

    def _signed(self, envelope):
        """The body of a statement that those it names signed."""
        if _kind(envelope) != "access-request":
            name, body = _statement(envelope)
            open_envelope(envelope, _kind(envelope), name, self._keys(body))
            return body
        body = decode("AccessRequest", envelope["body"])
        demand(body["team"] is None, "for a team")
        _, signers = open_envelope(envelope, "access-request", "AccessRequest", self._device(body))
        demand(signers == {body["device"]}, "another device")
        return body

    def _device(self, request):
        return _devices(self._state(request["identity"], request["view"]["dir"]))

    def _keys(self, body):
        states = [self._state(ref["identity"], body["view"]["dir"]) for ref in body["signers"]]
        return [key for state in states for key in _devices(state)]

    def _state(self, identity, at):
        keys = [each["cosigning_key"] for each in live(self.root)]
        for shown in self.finding["people"]:
            whole = identity_second.fold(shown["chain"], 1 << 53, self.directory, self._registrars())
            if whole["ref"]["identity"] != identity:
                continue
            vouched, roots = set(), {at["size"]: at["root"]}
            for envelope in shown["heads"]:
                said, signers = open_envelope(envelope, "idhead", "IdentityHead", keys)
                demand(all(said[name] == value for name, value in whole["ref"].items()), "another idhead")
                demand(said["origin"] == self.directory and said["head"]["size"] >= at["size"], "too old")
                demand(
                    roots.setdefault(said["head"]["size"], said["head"]["root"]) == said["head"]["root"],
                    "forked",
                )
                vouched |= signers
            demand(len(vouched) >= needed(self.root), "too few keepers")
            return identity_second.fold(shown["chain"], at["size"], self.directory, self._registrars())
        raise RefusedError("somebody who is not shown")

    def _registrars(self):
        return [(each["key"], each["schemes"], each["retired_since"]) for each in self.root["registrars"]]


def _cosigners(keepers):
    return [note_key(each["name"], 4, each["cosigning_key"]) for each in keepers]


def _devices(state):
    return [device["signing"] for device in state["devices"].values()]


def _kind(envelope):
    return envelope["type"].removeprefix("coffre-1/")


def _statement(envelope):
    name = _name(envelope)
    body = decode(name, envelope["body"])
    if name == "Erasure":
        entries = body["entries"]
        demand(entries == sorted(set(entries)), "entries out of order")
        demand(entries[-1] < body["view"]["seen"]["size"], "entries not seen")
    return name, body


def _name(envelope):
    demand(_kind(envelope) in KINDS, "of no kind of a record's log")
    return KINDS[_kind(envelope)]
