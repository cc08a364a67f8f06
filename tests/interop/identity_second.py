"""A second implementation of docs/format/identity-chain.md: a disclosed chain, folded."""

import hashlib

from tests.interop import sealing_second
from tests.interop.entries_second import directory_slot, disclosed_leaf
from tests.interop.log_second import sound
from tests.interop.records_second import decode, demand, digest, open_envelope, pae

WEEK, LONGEST = 604_800, 34_560_000
ELSEWHERE = {"root", "certify", "withdraw", "reset", "complete", "use_root"}


def identity_of(link_zero):
    """An identity's id."""
    return hashlib.sha256(pae("identity", link_zero["body"])).digest()


def _id(raw):
    return hashlib.sha256(raw).digest()


def fold(chain, size, origin, registrars):
    """The state of a chain at a head of ``size`` leaves. ``registrars``: (key, schemes, retired since or None)."""
    links = [link for link in chain["links"] if link["disclosure"]["index"] < size]
    demand(links, "not there yet")
    identity, state, last = identity_of(links[0]["envelope"]), None, -1
    for n, link in enumerate(links):
        shown = link["disclosure"]
        leaf = disclosed_leaf(shown, link["envelope"])
        demand(shown["part"]["outcome"] == "accepted" and shown["part"]["prev"] == bytes(32), "another part")
        demand(shown["slot_one"] == directory_slot(origin, identity, n), "another slot")
        demand(shown["index"] > last, "indexes do not grow")
        last = shown["index"]
        state = _Link(link["envelope"], shown["part"]["time"], registrars).after(state)
    state["ref"] = {"identity": identity, "n": len(links) - 1, "leaf": hashlib.sha256(b"\0" + leaf).digest()}
    return state


class _Link:
    """One link, and what it does."""

    def __init__(self, envelope, time, registrars):
        self.envelope, self.time, self.registrars = envelope, time, registrars
        self.body = decode("IdentityLink", envelope["body"])
        self.steps = self.body["operations"]
        self.first = self.steps[0]["op"]
        self.introduced = {_id(raw): raw for raw in map(_introduced, self.steps) if raw is not None}

    def after(self, state):
        """The state after it."""
        if state is None:
            return self._founds()
        body = self.body
        demand(body["n"] == state["n"] + 1 and body["prev"] == state["head"], "does not follow")
        demand(body["identity"] == state["identity"] and body["view"] is not None, "does not follow")
        demand(self.time >= state["time"], "times fall")
        state = state | {"n": body["n"], "head": digest(self.envelope), "time": self.time}
        if self.first in {"certify", "withdraw", "reset"}:
            return self._by_registrar(state)
        return self._by_itself(state)

    def _signed(self, keys):
        """Who signed, all of ``keys`` by their ids."""
        return open_envelope(self.envelope, "identity-link", "IdentityLink", list(keys.values()))[1]

    def _founds(self):
        body, root = self.body, self.steps[0]
        demand(body["n"] == 0 and self.first == "root", "founds nothing")
        demand((body["identity"], body["prev"], body["view"]) == (None, None, None), "stands not alone")
        keys = {_id(root["key"]): root["key"]} | self.introduced
        demand(self._signed(keys) == set(keys), "not signed by all")
        state = {
            "identity": identity_of(self.envelope),
            "kind": root["kind"],
            "n": 0,
            "head": digest(self.envelope),
            "time": self.time,
            "root": root["key"],
            "keyring": None,
        }
        state |= {name: {} for name in ("devices", "reading_keys", "unlock_keys", "delegations")}
        state |= {"certificates": {}, "waiting": {}, "members": set(), "retired": set(), "hard_stops": []}
        state = self._applied(state, self.steps[1:])
        demand(state["devices"] and state["reading_keys"] and state["keyring"], "not complete")
        return state

    def _by_registrar(self, state):
        demand(len(self.steps) == 1, "another step")
        step = self.steps[0]
        live = {
            _id(raw): (raw, schemes)
            for raw, schemes, retired in self.registrars
            if retired is None or self.time < retired
        }
        new = {_id(step["key"]): step["key"]} if self.first == "reset" else {}
        signed = self._signed({name: raw for name, (raw, _) in live.items()} | new)
        demand(signed >= set(new) and len(signed - set(new)) == 1, "not by one registrar")
        (by,) = signed - set(new)
        schemes = live[by][1]
        certificates = state["certificates"]
        if self.first == "certify":
            scheme, colon, value = step["subject"].partition(":")
            demand(colon and value and scheme in schemes, "another's scheme")
            demand(0 < step["until"] - step["since"] <= LONGEST, "another time")
            return state | {"certificates": certificates | {state["n"]: step}}
        if self.first == "withdraw":
            ended = certificates.get(step["link"])
            demand(ended and ended["subject"].partition(":")[0] in schemes, "not its own")
            return state | {
                "certificates": {n: each for n, each in certificates.items() if n != step["link"]}
            }
        known = {each["subject"].partition(":")[0] for each in certificates.values()}
        demand(known & set(schemes), "does not vouch for it")
        state = _rooted(state, step["key"])
        retired = state["retired"] | set(state["devices"])
        empty = {"devices": {}, "unlock_keys": {}, "delegations": {}, "waiting": {}}
        return _stopped(state | {"retired": retired} | empty)

    def _by_itself(self, state):
        devices = {name: device["signing"] for name, device in state["devices"].items()}
        root = {_id(state["root"]): state["root"]}
        kept = [key["recovery"] for key in state["unlock_keys"].values() if key["recovery"] is not None]
        recovery = {_id(raw): raw for raw in kept}
        waiting = {name: raw for each in state["waiting"].values() for name, raw in each["keys"].items()}
        signed = self._signed({**waiting, **recovery, **devices, **root, **self.introduced})
        demand(signed >= set(self.introduced), "an introduced key did not sign")
        by_root, by_device = bool(signed & set(root)), bool(signed & set(devices))
        if self.first == "use_root":
            demand(len(self.steps) == 1 and by_root and signed <= {*root, *devices}, "not so")
            return state
        if self.first == "complete":
            demand(len(self.steps) == 1, "another step")
            return self._completes(state, signed, {*devices, *recovery, *root}, set(root))
        roots = [_is_roots(state, step) for step in self.steps]
        only = all(own or step["op"] == "stop" for own, step in zip(roots, self.steps, strict=True))
        if any(roots) if not by_root else not (by_device or self.first == "recover" or only):
            recovers = any(step["op"] == "recover" for step in self.steps)
            demand(by_root or signed & set(recovery) or (by_device and not recovers), "may not ask")
            never = ELSEWHERE | {"keyring", "reading_key"}
            demand(not never & {step["op"] for step in self.steps}, "cannot wait")
            demand(len(state["waiting"]) < 256, "too many wait")
            entry = {"steps": self.steps, "signers": signed, "keys": self.introduced, "since": self.time}
            return state | {"waiting": state["waiting"] | {state["n"]: entry}}
        demand(by_root or by_device, "by nobody who may")
        return self._applied(state, self.steps)

    def _completes(self, state, signed, entitled, root):
        entry = state["waiting"].get(self.steps[0]["link"])
        demand(entry, "nothing waits")
        demand(signed & entry["signers"] and entitled & entry["signers"], "not by who asked")
        demand(self.time - entry["since"] >= WEEK, "too early")
        rest = {n: each for n, each in state["waiting"].items() if n != self.steps[0]["link"]}
        done = self._applied(state | {"waiting": rest}, entry["steps"])
        rotated = any(step["op"] == "rotate_root" for step in entry["steps"])
        return _stopped(done) if rotated and not root & (signed | entry["signers"]) else done

    def _applied(self, state, steps):
        for step in steps:
            demand(step["op"] not in ELSEWHERE, "stands elsewhere")
            state = state | _EFFECTS[step["op"]](state, step)
        demand(len(state["devices"]) <= 256 and len(state["unlock_keys"]) <= 256, "too many keys")
        demand(len(state["reading_keys"]) <= 4096, "too many reading keys")
        demand(len(state["members"]) + len(state["delegations"]) <= 3840, "too many members")
        return state


def _introduced(step):
    names = {"add_device": "signing", "rotate_root": "key", "unlock_key": "recovery"}
    return step[names[step["op"]]] if step["op"] in names else None


def _is_roots(state, step):
    op = step["op"]
    if op == "remove_unlock_key":
        return state["unlock_keys"].get(step["key"], {"kind": None})["kind"] == "kit"
    return op in {"recover", "rotate_root"} or (op == "unlock_key" and step["kind"] == "kit")


def _stopped(state):
    return state | {"hard_stops": sorted({*state["hard_stops"], state["n"]})}


def _rooted(state, root):
    _unused(state, root)
    return state | {"root": root, "retired": state["retired"] | {_id(state["root"])}}


def _unused(state, raw):
    demand(sound(raw), "an unsound key")
    demand(_id(raw) not in {*state["devices"], _id(state["root"]), *state["retired"]}, "used before")


def _sealing(raw):
    try:
        sealing_second.encapsulate(raw)
    except sealing_second.RefusedError:
        demand(False, "an unsound sealing key")


def _device_has(state, raw):
    return any(device["sealing"] == raw for device in state["devices"].values())


def _without(entries, name):
    demand(name in entries, "not there")
    return {each: entry for each, entry in entries.items() if each != name}


def _add_device(state, step):
    _unused(state, step["signing"])
    _sealing(step["sealing"])
    demand(not _device_has(state, step["sealing"]), "another device's")
    demand(_id(step["sealing"]) not in state["unlock_keys"], "an unlock key")
    return {"devices": state["devices"] | {_id(step["signing"]): step}}


def _revoke_device(state, step):
    name = step["device"]
    devices = _without(state["devices"], name)
    gone = _id(state["devices"][name]["sealing"])
    keys = {each: key for each, key in state["unlock_keys"].items() if each != gone}
    return {"devices": devices, "unlock_keys": keys, "retired": state["retired"] | {name}}


def _reading_key(state, step):
    _sealing(step["key"])
    demand(step["number"] == len(state["reading_keys"]), "another number")
    keys = state["reading_keys"] | {step["number"]: step["key"]}
    return {"reading_keys": keys, "keyring": step["keyring"]}


def _unlock_key(state, step):
    _sealing(step["key"])
    demand(_id(step["key"]) not in state["unlock_keys"], "there already")
    demand((step["kind"] == "device") == _device_has(state, step["key"]), "another kind")
    if step["recovery"] is not None:
        _unused(state, step["recovery"])
    return {"unlock_keys": state["unlock_keys"] | {_id(step["key"]): step}}


def _add_member(state, step):
    demand(state["kind"] == "team", "no team")
    return {"members": state["members"] | {step["identity"]}}


def _remove_member(state, step):
    demand(step["identity"] in state["members"], "no member")
    return {"members": state["members"] - {step["identity"]}}


def _recover(state, _):
    keys = {name: key for name, key in state["unlock_keys"].items() if key["kind"] != "device"}
    retired = state["retired"] | set(state["devices"])
    return _stopped(state | {"devices": {}, "retired": retired, "unlock_keys": keys, "waiting": {}})


_EFFECTS = {
    "add_device": _add_device,
    "revoke_device": _revoke_device,
    "reading_key": _reading_key,
    "unlock_key": _unlock_key,
    "remove_unlock_key": lambda state, step: {"unlock_keys": _without(state["unlock_keys"], step["key"])},
    "keyring": lambda _, step: {"keyring": step["keyring"]},
    "add_member": _add_member,
    "remove_member": _remove_member,
    "delegate": lambda state, step: {"delegations": state["delegations"] | {step["identity"]: step}},
    "end_delegation": lambda state, step: {"delegations": _without(state["delegations"], step["identity"])},
    "rotate_root": lambda state, step: _rooted(state, step["key"]),
    "recover": _recover,
    "stop": lambda state, step: {"waiting": _without(state["waiting"], step["link"])},
}
