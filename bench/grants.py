"""Granting many documents beside sealing each key on its own, at 1 of 1 and 3 of 4 keepers.

Both ways begin with the same work, reading one's own wraps. Ours then makes rows, their root, the sealed listing and
one box; the other, which knows no keepers, makes one hybrid HPKE seal a document, to a key that is loaded once. The reading is
timed by itself too, so that the two can be compared without it. What was wrapped is unwrapped again and compared. Times are CPU time of one
thread: nothing here waits.
"""

import random
import secrets
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from crypto import sealing
from crypto.descriptors import Descriptor
from crypto.grants import ROW, ReleasePolicy, subsets_of
from crypto.identity_chain import Known
from crypto.identity_state import IdentityState
from crypto.sealed import shares
from crypto.sealed.keyring import EpochKeys
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealed.wrapping import GrantWrapper, SelfWrapper
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from crypto.statements import Head, IdentityRef, RootRef, View
from crypto.trust_root import Keeper, Policy, TrustRoot
from vault_client.granting import MadeEvent, Place, Terms, Vault, VersionToGrant, make_event

Row = dict[str, Any]
Wrapped = list[tuple[bytes, bytes, bytes, bytes]]

NAMED = Descriptor(
    title="Compte rendu d'hospitalisation, évolution",
    category="Compte rendu",
    author="Dr Camille Moreau",
    mime="application/pdf",
    date="2026-03-14",
    length=184_320,
)


def run(quick: bool) -> list[Row]:
    """One row for each number of keepers."""
    count, rounds = (1_000, 3) if quick else (10_000, 5)
    epoch, vault = SecretBytes.random(), secrets.token_bytes(32)
    own = SelfWrapper(epoch, vault)
    stored: Wrapped = []
    for _ in range(count):
        doc, ver, ct_root = secrets.token_bytes(16), secrets.token_bytes(16), secrets.token_bytes(32)
        stored.append((doc, ver, ct_root, own.wrap(SecretBytes.random(), doc, ver, ct_root)))
    reader = UnsealingKey.generate()
    worlds = {
        f"{policy.k}/{policy.n}": _World(policy, vault, epoch, reader)
        for policy in (Policy(k=1, n=1), Policy(k=3, n=4))
    }
    ways: dict[str, Callable[[], Any]] = {
        "read": lambda: _read_own(own, stored),
        "separate": lambda: _separate(reader, _read_own(own, stored)),
        **{keepers: partial(_grant, world, own, stored) for keepers, world in worlds.items()},
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    made: dict[str, Any] = {}
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            begun = time.process_time()
            made[name] = ways[name]()
            times[name].append(time.process_time() - begun)
    rows = []
    for keepers, world in worlds.items():
        event: MadeEvent = made[keepers]
        world.check(event, _read_own(own, stored))
        delta = world.grant(_read_own(own, stored[:1]), j=1)
        read, grant, separate = (median(times[name]) for name in ("read", keepers, "separate"))
        rows.append(
            {
                "documents": count,
                "keepers": keepers,
                "grant_s": grant,
                "separate_s": separate,
                "times_faster": separate / grant,
                "read_s": read,
                "times_faster_without_reading": (separate - read) / (grant - read),
                "rows_and_event_bytes": len(event.rows) + len(event.envelope.body),
                "listing_bytes_a_document": len(event.listing) / count,
                "separate_bytes": count * (32 + sealing.OVERHEAD),
                "later_event_bytes": len(delta.rows) + len(delta.envelope.body) + len(delta.listing),
            }
        )
    return rows


class _World:
    """A vault, its keepers and a recipient, as far as granting needs them."""

    def __init__(self, policy: Policy, vault: bytes, epoch: SecretBytes, reader: UnsealingKey) -> None:
        self.root = TrustRoot(
            suite="coffre-1",
            version=1,
            previous=None,
            hosts=("bench",),
            log_key=bytes(32),
            directory_key=bytes(32),
            keepers=tuple(_keeper(number) for number in range(policy.n)),
            policies=(policy,),
            registrars=(),
            never_granted=(),
            minimum_client="0.0.0",
            successors=(),
            expiry=2**40,
            root_keys=(bytes(32),),
            threshold=1,
        )
        head = Head(size=0, root=bytes(32))
        self.view = View(trust_root=RootRef(version=1, digest=bytes(32)), dir=head, seen=head)
        self.epoch, self.gid, self.device = epoch, secrets.token_bytes(32), SigningKey.generate()
        self.vault = Vault(
            vault=vault, genesis=bytes(4096), person=None, origin="bench/coffre/log/0", log_key=reader.public
        )
        self.recipient = Known(ref=_ref(), state=_state(reader))

    def grant(self, versions: list[VersionToGrant], j: int = 0) -> MadeEvent:
        """One event that gives ``versions``."""
        prev = bytes(32) if j else None
        epoch = EpochKeys(
            epoch=0,
            secret=self.epoch.reveal(),
            scan_key=bytes(32),
            log_key=bytes(32),
            deposit_key=bytes(32),
            category_keys=(),
        )
        place = Place(self.gid, j, prev, 0, fresh=not j, epoch_first=epoch, epoch=epoch)
        terms = Terms(acts=("release",), purposes=("TREAT",), expiry=2**40)
        return make_event(
            self.vault, place, terms, self.recipient, versions, self.root, self.view, _ref(), self.device
        )

    def check(self, made: MadeEvent, versions: list[VersionToGrant]) -> None:
        """Every row unwraps to its document's key."""
        policy: ReleasePolicy = made.event.policy
        if policy.subsets != subsets_of(policy.k, policy.n):
            raise SystemExit("A grant was divided otherwise than its policy.")
        wrapper = GrantWrapper(
            shares.share_a(self.epoch, self.gid, 0),
            vault=self.vault.vault,
            gid=self.gid,
            rekey=0,
            recipient=self.recipient.ref.identity,
            reading_key=0,
        )
        share_b = shares.ShareB(shares.seeds(self.epoch, self.gid, 0, policy), "release", self.gid, 0)
        keys = {version.doc: version.key for version in versions}
        for at in range(0, len(made.rows), ROW):
            row = made.rows[at : at + ROW]
            ids = row[:16], row[16:32], row[32:64]
            if not wrapper.unwrap(row[64:], share_b.shares(*ids), *ids).same_as(keys[ids[0]]):
                raise SystemExit("A wrap did not come back.")


def _grant(world: _World, own: SelfWrapper, stored: Wrapped) -> MadeEvent:
    return world.grant(_read_own(own, stored))


def _read_own(own: SelfWrapper, stored: Wrapped) -> list[VersionToGrant]:
    return [
        VersionToGrant(doc, ver, ct_root, own.unwrap(wrap, doc, ver, ct_root), NAMED)
        for doc, ver, ct_root, wrap in stored
    ]


def _separate(reader: UnsealingKey, versions: list[VersionToGrant]) -> list[bytes]:
    loaded = sealing._load(reader.public)
    return [
        sealing.SUITE.encrypt(
            version.key.reveal(), loaded, info=b"separate" + version.doc + version.ver + version.ct_root
        )
        for version in versions
    ]


def _ref() -> IdentityRef:
    return IdentityRef(identity=bytes(32), n=0, leaf=bytes(32))


def _state(reader: UnsealingKey) -> IdentityState:
    return IdentityState(
        identity=bytes(32),
        kind="person",
        n=0,
        head=bytes(32),
        time=0,
        root=bytes(32),
        devices={},
        reading_keys={0: reader.public},
        unlock_keys={},
        keyring=None,
        members=frozenset(),
        delegations={},
        certificates={},
        waiting={},
        hard_stops=(),
        retired=frozenset(),
    )


def _keeper(number: int) -> Keeper:
    return Keeper(
        name=f"keeper-{number}",
        cosigning_key=bytes(32),
        sealing_key=UnsealingKey.generate().public,
        url="http://127.0.0.1",
        operator="bench",
        independent=False,
        retired_until=None,
    )
