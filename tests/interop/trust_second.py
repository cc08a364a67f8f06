"""A second implementation of docs/format/trust-root.md: which trust roots are believed, and which logs they name."""

import hashlib
import re

from tests.interop.log_second import sound
from tests.interop.records_second import RefusedError, decode, demand, digest, open_envelope
from tests.interop.sealing_second import RefusedError as UnsoundError
from tests.interop.sealing_second import encapsulate

HOST = r"[a-z0-9.\-]{1,253}(:[1-9][0-9]{0,4})?"
NUMBER = r"(0|[1-9][0-9]{0,9})"
PART = r"(0|[1-9][0-9]{0,5})"


def believe(chain, card):
    """Version and digest of the last of ``chain``, whose first is judged by itself and by ``card`` if there is one."""
    known, ref = None, card
    for envelope in chain:
        body = decode("TrustRoot", envelope["body"])
        if known is None:
            own = {hashlib.sha256(key).digest() for key in body["root_keys"]}
            shown = [each for each in envelope["signatures"] if each["key"] in own]
            demand(card in (None, _ref(body, envelope)), "not the one on the card")
            _signed({**envelope, "signatures": shown}, body, [body])
        else:
            demand(body["version"] == known["version"] + 1, "a version left out")
            demand(body["previous"] == ref["digest"], "another one before")
            _signed(envelope, body, [known, body])
        _whole(body)
        if known is not None:
            _follows(known, body)
        known, ref = body, _ref(body, envelope)
    return ref


def _ref(body, envelope):
    return {"version": body["version"], "digest": digest(envelope)}


def newest(body, origin):
    """The log that stands in a log's place."""
    for entry in body["successors"]:
        if entry["old_origin"] == origin:
            return newest(body, entry["new_origin"])
    return origin


def directory(body):
    """The origin of the directory log."""
    lost = [entry["old_origin"] for entry in body["successors"]]
    first = [origin for origin in lost if origin.endswith("/coffre/directory")]
    return newest(body, first[0] if first else body["hosts"][0] + "/coffre/directory")


def log_key(body, origin):
    """Which key signs the heads of a log, and the key."""
    if origin == directory(body):
        return "directory_key", body["directory_key"]
    host, kind = _taken_apart(origin)
    demand(kind == "log" and host in body["hosts"], "no log of this service")
    return "log_key", body["log_key"]


def _taken_apart(origin):
    """Host and kind of a log."""
    for kind, path in (
        ("log", "log/" + NUMBER),
        ("first", "directory"),
        ("directory", "directory/" + NUMBER),
    ):
        match = re.fullmatch(f"({HOST})/coffre/{path}", origin)
        if match:
            return match[1], kind
    raise RefusedError("not an origin")


def _signed(envelope, body, judges):
    keys = {key for judge in (*judges, body) for key in judge["root_keys"]}
    _, signers = open_envelope(envelope, "trust-root", "TrustRoot", sorted(keys))
    for judge in judges:
        ids = {hashlib.sha256(key).digest() for key in judge["root_keys"]}
        demand(len(ids & signers) >= judge["threshold"], "too few signatures")


def _whole(body):
    demand(body["threshold"] <= len(body["root_keys"]), "a threshold out of reach")
    demand((body["version"] == 1) == (body["previous"] is None), "version and predecessor")
    demand(all(re.fullmatch(HOST, host) for host in body["hosts"]), "a host")
    demand(re.fullmatch(rf"{PART}\.{PART}\.{PART}", body["minimum_client"]), "a client version")
    keepers, registrars = body["keepers"], [entry["key"] for entry in body["registrars"]]
    cosigning = [keeper["cosigning_key"] for keeper in keepers]
    demand(all(map(sound, [body["log_key"], body["directory_key"], *cosigning, *registrars])), "a key")
    for keeper in keepers:
        demand(not re.search(r"[\s+\x00-\x1f]", keeper["name"]), "a keeper's name")
        try:
            encapsulate(keeper["sealing_key"])
        except UnsoundError as error:
            raise RefusedError("a sealing key") from error
    policies = [(policy["k"], policy["n"]) for policy in body["policies"]]
    demand(set(policies) <= {(1, 1), (3, 4), (4, 5), (5, 7)}, "a policy")
    old = [entry["old_origin"] for entry in body["successors"]]
    new = [entry["new_origin"] for entry in body["successors"]]
    sealing = [keeper["sealing_key"] for keeper in keepers]
    for entries in (body["hosts"], policies, body["root_keys"], registrars, sealing, cosigning, old, new):
        demand(len(set(entries)) == len(entries), "one twice")
    for lost, other in zip(old, new, strict=True):
        host, kind = _taken_apart(other)
        demand(host in body["hosts"] and kind != "first", "a new log")
        demand((_taken_apart(lost)[1] == "log") == (kind == "log"), "another kind of log")
        seen = lost
        for _ in old:
            seen = dict(zip(old, new, strict=True)).get(seen, seen)
        demand(seen not in old, "a circle")
    demand(sum(origin.endswith("/coffre/directory") for origin in old) <= 1, "two first directories")


def _follows(known, body):
    now = {entry["key"]: entry for entry in body["registrars"]}
    for before in known["registrars"]:
        after = now.get(before["key"])
        demand(after and set(before["schemes"]) <= set(after["schemes"]), "a registrar or a scheme left out")
        demand(before["retired_since"] in (None, after["retired_since"]), "another end of a registrar")
    listed = {(each["cosigning_key"], each["sealing_key"]): each for each in body["keepers"]}
    for before in known["keepers"]:
        after = listed.get((before["cosigning_key"], before["sealing_key"]))
        demand(after, "a keeper left out")
        if before["retired_until"] is not None:
            until = after["retired_until"]
            demand(until is not None and until >= before["retired_until"], "a keeper's retirement taken back")
    demand(all(entry in body["successors"] for entry in known["successors"]), "a successor left out")
    place = directory(body)
    demand(place == newest(body, directory(known)), "another directory")
    same = body["hosts"][0] == known["hosts"][0]
    demand(same or _taken_apart(place)[0] == body["hosts"][0], "another first host")
