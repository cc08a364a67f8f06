"""Vectors of vault-chain.md."""

from collections.abc import Iterator
from typing import Any

import msgspec

from crypto import labels
from crypto.signing import Envelope, sign
from crypto.vault_links import (
    AddVersion,
    Block,
    End,
    Grant,
    Mask,
    PolicyPart,
    ProfilePart,
    Reseal,
    SnapshotPart,
    Tombstone,
)
from tests.vectors.case import Case
from tests.vectors.fixed import (
    CT_ROOT,
    DOC,
    GID,
    REGISTRAR_NAMES,
    VER,
    Identity,
    Record,
    fixed,
    text_of,
)


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
    parts = (PolicyPart(part=fixed("a")), ProfilePart(part=fixed("b")), SnapshotPart(part=fixed("c")))
    yield case("parts", "a policy, a profile and a snapshot", record().add(*parts))
    yield case("resealed", "the keyring sealed again", record().add(Reseal(keyring=fixed("again"))))
    refused: dict[str, tuple[str, Record]] = {
        "rotated-and-resealed": (
            "a rotation and a reseal in one link",
            record().add(record().rotation(1), Reseal(keyring=fixed("again"))),
        ),
        "rotated-twice": (
            "two rotations in one link",
            record().add(record().rotation(1), record().rotation(2)),
        ),
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
