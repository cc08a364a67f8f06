"""Vectors of trust-root.md, identity-chain.md and vault-chain.md."""

from collections.abc import Iterator
from typing import Any

import msgspec

from crypto import labels
from crypto.identity_links import (
    Complete,
    Keyring,
    Recover,
    RevokeDevice,
    Stop,
    Withdraw,
)
from crypto.signing import Envelope, sign
from crypto.statements import RootRef
from crypto.trust_root import InstanceCard, Policy, Registrar
from crypto.vault_links import AddVersion, Block, End, Grant, Mask, Tombstone
from tests.vectors.case import Case
from tests.vectors.fixed import (
    CT_ROOT,
    DAY,
    DOC,
    GID,
    HOST,
    NOW,
    REGISTRAR,
    REGISTRAR_NAMES,
    ROOT_KEYS,
    SIGNED_ROOT,
    VER,
    Identity,
    Record,
    certificate,
    fixed,
    signing,
    text_of,
    trust_root,
    view,
)

EVERYTHING = 1 << 40


def trust_roots() -> Iterator[Case]:
    """trust-root.md."""
    first = text_of(SIGNED_ROOT)
    ref = RootRef(version=1, digest=SIGNED_ROOT.digest)
    card = text_of(InstanceCard(suite=labels.SUITE, url=f"https://{HOST}", root=ref))
    other = text_of(InstanceCard(suite=labels.SUITE, url=f"https://{HOST}", root=view(7).trust_root))
    wrong_card = other.replace('"version":1', '"version":2')
    third = signing("root 3")
    moved = trust_root(
        version=2,
        previous=SIGNED_ROOT.digest,
        root_keys=(ROOT_KEYS[1].public.raw, third.public.raw),
    )
    both = sign(labels.TRUST_ROOT, moved, *ROOT_KEYS, third)

    def case(name: str, what: str, outcome: str, *chain: Envelope | str, card: str | None = None) -> Case:
        texts = [each if isinstance(each, str) else text_of(each) for each in chain]
        return Case(f"trust-root/{name}", what, {"chain": texts, "card": card}, outcome)

    def first_with(**changes: Any) -> Envelope:
        return sign(labels.TRUST_ROOT, trust_root(**changes), *ROOT_KEYS)

    yield case("first-use", "the first, without a card", "ok", first)
    yield case("by-card", "the first, by its card", "ok", first, card=card)
    yield case("other-card", "not the one on the card", "not-permitted", first, card=wrong_card)
    yield case("second", "the next version, signed by both thresholds", "ok", first, both)
    yield case(
        "second-by-new-keys",
        "too few of the old keys",
        "bad-signature",
        first,
        sign(labels.TRUST_ROOT, moved, ROOT_KEYS[1], third),
    )
    yield case(
        "second-by-old-keys",
        "too few of the new keys",
        "bad-signature",
        first,
        sign(labels.TRUST_ROOT, moved, *ROOT_KEYS),
    )
    skipped = msgspec.structs.replace(moved, version=3)
    yield case(
        "skipped",
        "a version left out",
        "broken-chain",
        first,
        sign(labels.TRUST_ROOT, skipped, *ROOT_KEYS, third),
    )
    one = sign(labels.TRUST_ROOT, trust_root(), ROOT_KEYS[0])
    yield case("below-threshold", "one signature where two are needed", "bad-signature", one)
    yield case("other-suite", "another suite", "malformed", first_with(suite="coffre-2"))
    two_of_three = (Policy(k=2, n=3),)
    yield case("other-policy", "a policy that is none", "malformed", first_with(policies=two_of_three))
    registrar = Registrar(key=REGISTRAR.public.raw, schemes=("demo",))
    yield case("registrar-twice", "a registrar twice", "malformed", first_with(registrars=(registrar,) * 2))
    keeper = trust_root().keepers[0]
    yield case("keeper-twice", "a keeper twice", "malformed", first_with(keepers=(keeper, keeper)))
    unsound = msgspec.structs.replace(keeper, sealing_key=b"\xff" * 1216)
    yield case("unsound-key", "a sealing key that is none", "malformed", first_with(keepers=(unsound,)))


def identity_chains() -> Iterator[Case]:
    """identity-chain.md."""

    def case(name: str, what: str, who: Identity, outcome: str = "ok", size: int = EVERYTHING) -> Case:
        inputs = {"chain": text_of(who.chain), "registrars": REGISTRAR_NAMES, "size": size}
        return Case(f"identity-chain/{name}", what, inputs, outcome)

    def someone() -> Identity:
        return Identity("patient")

    def recovering() -> Identity:
        who = someone()
        keys = [who.recovery, signing("new device of patient")]
        return who.add(Recover(), who.device_step("new device"), signers=keys)

    registrar = [REGISTRAR]
    device, new = someone().device, signing("new device of patient")
    yield case("enrolled", "one link", someone())
    yield case("certified", "certified by a registrar", someone().add(certificate(), signers=registrar))
    withdrawn = someone().add(certificate(), signers=registrar).add(Withdraw(link=1), signers=registrar)
    yield case("withdrawn", "certified, and no more", withdrawn)
    yield case("earlier-head", "at a head before the certificate", withdrawn, size=5)
    added = someone().add(someone().device_step("new device"), signers=[device, new])
    yield case("device-added", "a second device, which signs too", added)
    revoked = added.add(RevokeDevice(device=device.public.key_id), signers=[new])
    yield case("device-revoked", "the first device revoked by the second", revoked)
    kit = someone()
    kit.add(Recover(), kit.device_step("new device"), signers=[kit.kit.root, new])
    yield case("recovered", "recovered by the kit: a hard stop", kit)
    yield case("waiting", "a recovery by a recovery key waits", recovering())
    done = recovering().add(Complete(link=1), signers=[recovering().recovery], time=NOW + 7 * DAY)
    yield case("completed", "and is completed after seven days", done)
    early = recovering().add(Complete(link=1), signers=[recovering().recovery], time=NOW + 7 * DAY - 1)
    yield case("completed-early", "a second before seven days are over", early, "not-permitted")
    stopped = recovering().add(Stop(link=1)).add(Complete(link=1), signers=[device], time=NOW + 8 * DAY)
    yield case("stopped", "completed although a device stopped it", stopped, "not-permitted")
    silent = someone().add(someone().device_step("new device"), signers=[device])
    yield case("device-did-not-sign", "a new device that did not sign", silent, "bad-signature")
    gone = added.add(Keyring(keyring=fixed("x")), signers=[device])
    yield case("revoked-device-signs", "signed by a device revoked before", gone, "bad-signature")
    foreign = someone().add(certificate(subject="rpps:1"), signers=registrar)
    yield case("foreign-scheme", "certified for another registrar's scheme", foreign, "not-permitted")
    longer = someone().add(certificate(until=NOW + 401 * DAY), signers=registrar)
    yield case("too-long", "certified for more than 400 days", longer, "not-permitted")
    own = someone().add(certificate())
    yield case("self-certified", "certified by its own device", own, "bad-signature")
    who = someone()
    broken = who.append(who.link(Keyring(keyring=fixed("x")), signers=[device], prev=fixed("other")))
    yield case("other-prev", "a link that follows from another one", broken, "broken-chain")
    who = someone()
    back = who.append(who.link(Keyring(keyring=fixed("x")), signers=[device]), index=0)
    yield case("index-not-rising", "a leaf before the one before", back, "broken-chain")
    who = someone()
    slot = msgspec.structs.replace(who.links[0].disclosure, slot_one=fixed("slot"))
    who.links[0] = msgspec.structs.replace(who.links[0], disclosure=slot)
    yield case("other-slot", "a leaf that names another identity", who, "broken-chain")
    who = someone()
    part = msgspec.structs.replace(who.links[0].disclosure.part, body=fixed("other"))
    wrong = msgspec.structs.replace(who.links[0].disclosure, part=part)
    who.links[0] = msgspec.structs.replace(who.links[0], disclosure=wrong)
    yield case("other-leaf", "a leaf that opens to another link", who, "not-proven")


def vault_chains() -> Iterator[Case]:
    """vault-chain.md."""
    add = AddVersion(
        doc=DOC,
        ver=VER,
        ct_root=CT_ROOT,
        length=4168,
        epoch=0,
        self_wrap=fixed("self wrap"),
        descriptor=fixed("descriptor"),
    )
    recipient = fixed("recipient")
    grant = Grant(gid=GID, j=0, event=fixed("event"), recipient=recipient, rekey=0, epoch=0)
    replace = msgspec.structs.replace

    def record() -> Record:
        return Record(Identity("patient"))

    def case(
        name: str, what: str, made: Record, outcome: str = "ok", genesis: Envelope | None = None
    ) -> Case:
        inputs = {
            "genesis": text_of(genesis or made.signed_genesis),
            "links": [text_of(link) for link in made.links],
            "signer": text_of(made.holder.chain),
            "registrars": REGISTRAR_NAMES,
        }
        return Case(f"vault-chain/{name}", what, inputs, outcome)

    def refounded(name: str, what: str, outcome: str, **changes: Any) -> Case:
        made = record()
        genesis = made.sign(labels.GENESIS, replace(made.genesis, **changes))
        return case(name, what, made, outcome, genesis)

    yield case("founded", "a genesis", record())
    yield refounded("rule-too-high", "more signers than holders", "not-permitted", rule=2)
    yield refounded("other-epoch", "a first epoch other than 0", "broken-chain", keyring=record().rotation(1))
    yield refounded("not-a-holder", "signed by no holder", "bad-signature", holders=(recipient,))
    yield case("added", "a document", record().add(add))
    yield case("granted", "a document and a grant in one link", record().add(add, grant))
    yield case("ended", "a grant ended", record().add(add, grant).add(End(gid=GID)))
    whole = record().add(add, grant).add(Mask(doc=DOC, masked=True)).add(record().rotation(1))
    whole.add(replace(grant, j=1, rekey=1, epoch=1), replace(add, ver=fixed("v2", 16), epoch=1))
    whole.add(Block(identity=recipient, blocked=True), Tombstone(doc=DOC))
    yield case("whole", "mask, rotation, rekey, second version, block, tombstone", whole)
    refused: dict[str, tuple[str, Record]] = {
        "ended-twice": ("ended twice", record().add(grant, End(gid=GID), End(gid=GID))),
        "taken-up-again": ("taken up after its end", record().add(grant, End(gid=GID), replace(grant, j=1))),
        "event-skipped": ("an event left out", record().add(grant, replace(grant, j=2))),
        "starts-late": ("a grant that starts at event 1", record().add(replace(grant, j=1))),
        "version-twice": ("a version twice", record().add(add, add)),
        "deleted": ("a version of a deleted document", record().add(add, Tombstone(doc=DOC), add)),
        "unknown-document": ("an unknown document masked", record().add(Mask(doc=DOC, masked=True))),
        "old-epoch": ("a version under an old epoch", record().add(record().rotation(1), add)),
        "no-rekey": (
            "a new epoch without a rekey",
            record().add(grant, record().rotation(1), replace(grant, j=1, epoch=1)),
        ),
        "epoch-skipped": ("an epoch left out", record().add(record().rotation(2))),
        "blocked": (
            "granted to someone blocked",
            record().add(Block(identity=recipient, blocked=True), grant),
        ),
    }
    for name, (what, made) in refused.items():
        yield case(name, what, made, "not-permitted")
    yield case("other-prev", "follows another link", record().add(add, prev=fixed("other")), "broken-chain")
    yield case("number-skipped", "a number left out", record().add(add, n=2), "broken-chain")
    yield case("other-vault", "of another record", record().add(add, vault=CT_ROOT), "broken-chain")
    made = record()
    made.links.append(sign(labels.VAULT_LINK, made.link(add), made.holder.recovery))
    yield case("not-a-device", "signed by a key that is no live device", made, "bad-signature")
