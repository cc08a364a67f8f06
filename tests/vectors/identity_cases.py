"""Vectors of identity-chain.md."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from crypto.identity_links import (
    AddMember,
    AnyOperation,
    Complete,
    Delegate,
    EndDelegation,
    Keyring,
    ReadingKey,
    Recover,
    RemoveMember,
    RemoveUnlockKey,
    Reset,
    RevokeDevice,
    RotateRoot,
    Stop,
    UnlockKey,
    UseRoot,
    Withdraw,
)
from crypto.sealing import key_hash
from crypto.signing import SigningKey
from tests.vectors.case import Case
from tests.vectors.fixed import (
    DAY,
    NOW,
    REGISTRAR,
    REGISTRAR_NAMES,
    Identity,
    certificate,
    fixed,
    signing,
    text_of,
    unsealing,
)

EVERYTHING = 1 << 40
WEEK = 7 * DAY


def case(name: str, what: str, who: Identity, outcome: str = "ok", size: int = EVERYTHING) -> Case:
    """A chain, folded."""
    inputs = {"chain": text_of(who.chain), "registrars": REGISTRAR_NAMES, "size": size}
    return Case(f"identity-chain/{name}", what, inputs, outcome)


def someone() -> Identity:
    """Somebody with link 0 only."""
    return Identity("patient")


DEVICE, NEW, OTHER = someone().device, signing("new device of patient"), signing("new root")
ROOT, RECOVERY = someone().kit.root, someone().recovery
ADD, ROTATE = someone().device_step("new device"), RotateRoot(key=OTHER.public.raw)
KEYRING = Keyring(keyring=fixed("x"))
READING = ReadingKey(number=1, key=unsealing("second reading key").public, keyring=fixed("x"))
PASSKEY = UnlockKey(kind="passkey", key=unsealing("passkey").public, recovery=None)
KIT = UnlockKey(kind="kit", key=unsealing("second kit").public, recovery=None)
NO_KIT = RemoveUnlockKey(key=key_hash(someone().kit.unlock.public))


def recovering() -> Identity:
    """Somebody whose recovery waits."""
    return someone().add(Recover(), ADD, signers=[RECOVERY, NEW])


def changed(who: Identity, **changes: Any) -> Identity:
    """``who`` with another disclosure, or server's part, of link 0."""
    disclosure = who.links[0].disclosure
    part = msgspec.structs.replace(
        disclosure.part, **{name: value for name, value in changes.items() if name != "slot_one"}
    )
    slot = changes.get("slot_one", disclosure.slot_one)
    made = msgspec.structs.replace(disclosure, part=part, slot_one=slot)
    who.links[0] = msgspec.structs.replace(who.links[0], disclosure=made)
    return who


def identity_chains() -> Iterator[Case]:
    """identity-chain.md."""
    yield from _basic()
    yield from _disclosed()
    yield from _by_the_root()
    yield from _keys()
    yield from _others()


def _basic() -> Iterator[Case]:
    registrar = [REGISTRAR]
    yield case("enrolled", "one link", someone())
    yield case("certified", "certified by a registrar", someone().add(certificate(), signers=registrar))
    own_kind = someone().add(certificate(kind="pharmacy"), signers=registrar)
    yield case("own-kind", "certified as something only that registrar knows", own_kind)
    withdrawn = someone().add(certificate(), signers=registrar).add(Withdraw(link=1), signers=registrar)
    yield case("withdrawn", "certified, and no more", withdrawn)
    yield case("earlier-head", "at a head before the certificate", withdrawn, size=5)
    added = someone().add(ADD, signers=[DEVICE, NEW])
    yield case("device-added", "a second device, which signs too", added)
    revoked = added.add(RevokeDevice(device=DEVICE.public.key_id), signers=[NEW])
    yield case("device-revoked", "the first device revoked by the second", revoked)
    yield case("waiting", "a recovery by a recovery key waits", recovering())
    done = recovering().add(Complete(link=1), signers=[RECOVERY], time=NOW + WEEK)
    yield case("completed", "and is completed after seven days", done)
    early = recovering().add(Complete(link=1), signers=[RECOVERY], time=NOW + WEEK - 1)
    yield case("completed-early", "a second before seven days are over", early, "not-permitted")
    stopped = recovering().add(Stop(link=1)).add(Complete(link=1), signers=[DEVICE], time=NOW + 8 * DAY)
    yield case("stopped", "completed although a device stopped it", stopped, "not-permitted")
    silent = someone().add(ADD, signers=[DEVICE])
    yield case("device-did-not-sign", "a new device that did not sign", silent, "bad-signature")
    gone = added.add(KEYRING, signers=[DEVICE])
    yield case("revoked-device-signs", "signed by a device revoked before", gone, "bad-signature")
    foreign = someone().add(certificate(subject="rpps:1"), signers=registrar)
    yield case("foreign-scheme", "certified for another registrar's scheme", foreign, "not-permitted")
    longer = someone().add(certificate(until=NOW + 401 * DAY), signers=registrar)
    yield case("too-long", "certified for more than 400 days", longer, "not-permitted")
    yield case("self-certified", "certified by its own device", someone().add(certificate()), "bad-signature")


def _disclosed() -> Iterator[Case]:
    who = someone()
    broken = who.append(who.link(KEYRING, signers=[DEVICE], prev=fixed("other")))
    yield case("other-prev", "a link that follows from another one", broken, "broken-chain")
    who = someone()
    back = who.append(who.link(KEYRING, signers=[DEVICE]), index=0)
    yield case("index-not-rising", "a leaf before the one before", back, "broken-chain")
    same = someone().add(KEYRING, time=NOW)
    yield case("same-time", "two links of one second", same)
    yield case(
        "time-falls", "a link dated before the last", someone().add(KEYRING, time=NOW - 1), "broken-chain"
    )
    slot = changed(someone(), slot_one=fixed("slot"))
    yield case("other-slot", "a leaf that names another identity", slot, "broken-chain")
    other = changed(someone(), body=fixed("other"))
    yield case("other-leaf", "a leaf that opens to another link", other, "not-proven")
    refused = changed(someone(), outcome="refused")
    yield case("other-outcome", "a leaf whose outcome is another", refused, "broken-chain")
    following = changed(someone(), prev=fixed("prev"))
    yield case("prev-in-directory", "a leaf that follows an entry", following, "broken-chain")


def _by_the_root() -> Iterator[Case]:
    def by(
        what: str, name: str, *steps: AnyOperation, signers: Sequence[SigningKey], outcome: str = "ok"
    ) -> Case:
        return case(name, what, someone().add(*steps, signers=signers), outcome)

    use = UseRoot(purpose="fetch the keyring")
    yield by("recovered by the kit: a hard stop", "recovered", Recover(), ADD, signers=[ROOT, NEW])
    yield by("a use of the root is shown", "root-used", use, signers=[ROOT])
    yield by("with a device", "root-used-with-device", use, signers=[ROOT, DEVICE])
    yield by("by a device", "root-used-by-device", use, signers=[DEVICE], outcome="not-permitted")
    yield by(
        "by a recovery key too", "root-used-by-two", use, signers=[ROOT, RECOVERY], outcome="not-permitted"
    )
    yield by(
        "beside a step", "root-used-beside", use, KEYRING, signers=[ROOT, DEVICE], outcome="not-permitted"
    )
    yield by("after a step", "root-used-after", KEYRING, use, signers=[ROOT, DEVICE], outcome="not-permitted")
    yield by("another root and kit", "kit-changed", ROTATE, KIT, NO_KIT, signers=[ROOT, OTHER])
    yield by("a kit that a device asks for waits", "kit-waits", KIT, NO_KIT, signers=[DEVICE])
    yield by("a device that the root adds waits", "root-adds-device", ADD, signers=[ROOT, NEW])
    yield by("at once with a device", "root-and-device-add", ADD, signers=[ROOT, DEVICE, NEW])
    yield by("a passkey beside the kit's waits", "root-adds-passkey", KIT, PASSKEY, signers=[ROOT])
    yield by("a recovery that is not first", "recovery-not-first", ADD, Recover(), signers=[ROOT, NEW])
    no = "not-permitted"
    yield by("a keyring cannot wait", "keyring-waits", KEYRING, signers=[ROOT], outcome=no)
    yield by("nor a reading key", "reading-key-waits", ROTATE, READING, signers=[DEVICE, OTHER], outcome=no)
    yield by(
        "nor a certificate", "certificate-waits", ROTATE, certificate(), signers=[DEVICE, OTHER], outcome=no
    )
    device = someone().add(ADD, signers=[ROOT, NEW])
    done = device.add(Complete(link=1), signers=[ROOT], time=NOW + WEEK)
    yield case("root-completes", "the root completes what it asked for", done)
    former = someone().add(ADD, signers=[ROOT, NEW]).add(ROTATE, signers=[ROOT, OTHER])
    former.add(Complete(link=1), signers=[NEW], time=NOW + WEEK)
    yield case("former-root-asked", "asked for by a root that is none any more", former, "not-permitted")
    rotating = someone().add(ROTATE, signers=[DEVICE, OTHER])
    rotated = rotating.add(Complete(link=1), signers=[DEVICE], time=NOW + WEEK)
    yield case("rotated-by-device", "a root that no root signed: a hard stop", rotated)
    rotating = someone().add(ROTATE, signers=[DEVICE, OTHER])
    continuous = rotating.add(Complete(link=1), signers=[DEVICE, ROOT], time=NOW + WEEK)
    yield case("rotated-with-root", "the old root signs the completion: none", continuous)
    thief = someone().add(ROTATE, signers=[DEVICE, OTHER]).add(Recover(), ADD, signers=[ROOT, NEW])
    yield case("recovery-stops", "nothing waits after a recovery", thief)
    both = someone().add(Recover(), ADD, ROTATE, signers=[RECOVERY, NEW, OTHER])
    both.add(Complete(link=1), signers=[NEW], time=NOW + WEEK)
    yield case("one-hard-stop", "a recovery with another root is one hard stop", both)


def _keys() -> Iterator[Case]:
    no = "not-permitted"
    again = someone().add(ADD, signers=[DEVICE, NEW]).add(RevokeDevice(device=NEW.public.key_id))
    yield case("device-again", "a revoked device comes back", again.add(ADD, signers=[DEVICE, NEW]), no)
    renewed = someone().add(Recover(), someone().device_step(), signers=[ROOT, DEVICE])
    yield case("device-recovered", "a recovery that adds a device of before", renewed, no)
    former = someone().add(ROTATE, signers=[ROOT, OTHER])
    back = former.add(RotateRoot(key=ROOT.public.raw), signers=[OTHER, ROOT])
    yield case("root-again", "a former root comes back", back, no)
    as_device = msgspec.structs.replace(ADD, signing=ROOT.public.raw)
    yield case("root-as-device", "the root as a device", someone().add(as_device, signers=[ROOT, DEVICE]), no)
    recovers = msgspec.structs.replace(PASSKEY, recovery=DEVICE.public.raw)
    yield case("device-recovers", "a device's key as a recovery key", someone().add(recovers), no)
    kits = msgspec.structs.replace(ADD, sealing=someone().kit.unlock.public)
    taken = someone().add(kits, RevokeDevice(device=NEW.public.key_id), signers=[DEVICE, NEW])
    yield case("kits-key-taken", "a device under the kit's unlock key", taken, no)
    own = UnlockKey(kind="device", key=ADD.sealing, recovery=None)
    with_own = someone().add(ADD, own, signers=[DEVICE, NEW])
    yield case("devices-unlock-key", "a device and its unlock key", with_own)
    yield case(
        "device-with-its-key", "both go together", with_own.add(RevokeDevice(device=NEW.public.key_id))
    )
    yield case("unlock-key-of-none", "an unlock key of no device", someone().add(own), no)
    wrong = msgspec.structs.replace(own, kind="passkey")
    yield case(
        "other-kind", "a device's key as a passkey's", someone().add(ADD, wrong, signers=[DEVICE, NEW]), no
    )


def _others() -> Iterator[Case]:
    no = "not-permitted"

    def reset(key: SigningKey = OTHER) -> Identity:
        who = someone().add(certificate(), signers=[REGISTRAR])
        return who.add(Reset(key=key.public.raw), signers=[REGISTRAR, key])

    yield case("reset", "a new root by a registrar: a hard stop", reset())
    yield case("reset-begins", "its first link recovers", reset().add(Recover(), ADD, signers=[OTHER, NEW]))
    yield case("reset-to-device", "a root that was a device", reset(DEVICE), no)
    member, delegate = (
        fixed("member"),
        Delegate(identity=fixed("delegate"), purposes=("TREAT",), until=NOW + DAY),
    )
    team = Identity("team", kind="team").add(AddMember(identity=member), delegate)
    yield case("team", "a team with a member and a delegate", team)
    smaller = team.add(RemoveMember(identity=member), EndDelegation(identity=delegate.identity))
    yield case("smaller-team", "and without", smaller)
    yield case("no-team", "a person with a member", someone().add(AddMember(identity=member)), no)
    yield case("delegating", "a person with a delegate", someone().add(delegate))
