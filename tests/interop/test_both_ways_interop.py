"""For every format: what either implementation makes, the other opens. The last test says which formats that were."""

import hashlib
from collections.abc import Callable

import msgspec
import pytest

from crypto import labels, sealing
from crypto.access_log import FIRST, Opening, ServerPart, commitment, opening_info, parse_leaf, previous
from crypto.checkpoint import Checkpoint, CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.descriptors import (
    Descriptor,
    ListedDocument,
    ListingBody,
    descriptor_context,
    descriptor_key,
    descriptor_record,
    document_context,
    listing_context,
    listing_record,
    read_descriptor,
    read_listing,
)
from crypto.encoding import decode, encode
from crypto.grants import GrantEvent, SealedPolicy, rows_root, split_rows, subset_name, subsets_of
from crypto.identity_chain import known_at
from crypto.identity_links import Chain, identity_id
from crypto.locators import Locator, directory_slot, end_tag, event_tag
from crypto.padding import pad_record, unpad_record
from crypto.pieces import ct_root
from crypto.receipt import Receipt
from crypto.requests import Purpose, check_request, purpose_info
from crypto.sealed import content
from crypto.sealed.keyring import (
    EpochKeys,
    IdentityKeyring,
    ReadingSeed,
    VaultKeyring,
    open_keyring,
    seal_keyring,
)
from crypto.sealed.policy_blob import open_policy
from crypto.sealed.recovery import Kit
from crypto.sealed.release import Release, combine, open_release, release
from crypto.sealed.wrapping import SelfWrapper, open_a_box
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign, verify_keys
from crypto.statements import Head, part_hash
from crypto.trust_root import first
from crypto.vault_chain import found
from crypto.vault_links import person_commitment, scan_key_commitment, vault_id
from tests.interop import content_second, entries_second, log_second, sealing_second, wraps_second
from tests.interop import records_second as second
from tests.support.people import (
    LOG,
    NOW,
    Directory,
    GrantedDocument,
    GrantMaker,
    Person,
    Service,
    Vault,
    fresh,
    request_for,
)


class World:
    """A record, a reader, a grant of three documents under ``k`` of ``n`` keepers, all made by ``crypto``."""

    def __init__(self, k: int, n: int) -> None:
        self.service = Service(k, n)
        self.patient, self.reader = Person(self.service), Person(self.service)
        self.service.certify(self.reader)
        self.vault = Vault(self.service, [self.patient])
        self.maker = GrantMaker(self.vault, self.reader, k, n)
        self.documents = [GrantedDocument.fresh() for _ in range(3)]
        self.made = self.maker.event(*self.documents)
        self.event = second.decode("GrantEvent", self.made.envelope.body)
        self.secret = self.vault.epoch.secret.reveal()
        self.gid = self.maker.gid
        self.seeds = wraps_second.seeds(self.secret, self.gid, 0, self.event["policy"])

    def all_b(self, entry: GrantedDocument, act: str = "release") -> list[bytes]:
        """B as the other implementation computes it."""
        ids = (entry.doc, entry.ver, entry.ct_root)
        return [wraps_second.share_b(seed, act, self.gid, 0, *ids) for seed in self.seeds]


SINGLE, QUORUM = World(1, 1), World(3, 4)
WORLDS = (SINGLE, QUORUM)


def read_second(envelope: Envelope) -> dict[str, object]:
    """An envelope as the other implementation reads it."""
    return second.decode("Envelope", encode(envelope))


def read_first(envelope: dict[str, object]) -> Envelope:
    """An envelope of the other implementation."""
    return decode(second.encode("Envelope", envelope), Envelope)


def seed_of(key: SigningKey) -> bytes:
    """The seed of a signing key."""
    return key.seed.reveal()


def trust_root() -> None:
    """A trust root of either is verified by the other."""
    service = SINGLE.service
    raws = [key.public.raw for key in service.root_keys]
    value, signers = second.open_envelope(
        read_second(service.signed_root), "trust-root", "TrustRoot", raws, 1 << 20
    )
    assert len(signers) == value["threshold"]
    remade = second.sign("trust-root", "TrustRoot", value, *map(seed_of, service.root_keys))
    ref = second.decode("RootRef", encode(service.accepted.ref))
    assert ref == {"version": 1, "digest": second.digest(remade)}
    assert first(read_first(remade), card=service.accepted.ref).root == service.root


def identity_chain() -> None:
    """A chain's ids, links and directory leaves are those of the page, both ways."""
    service = Service()
    person, directory = Person(service), service.directory
    chain = second.decode("Chain", encode(person.chain))
    link = chain["links"][0]
    identity = hashlib.sha256(second.pae("identity", link["envelope"]["body"])).digest()
    assert identity == person.identity == identity_id(person.links[0].envelope)
    leaf = entries_second.disclosed_leaf(link["disclosure"], link["envelope"])
    assert leaf[1:33] == entries_second.directory_slot(directory.origin, identity, 0)
    assert hashlib.sha256(b"\0" + leaf).digest() == person.chain.ref.leaf
    body = second.decode("IdentityLink", link["envelope"]["body"])
    added = {
        "suite": "coffre-1",
        "identity": identity,
        "n": 1,
        "prev": second.digest(link["envelope"]),
        "operations": [{"op": "keyring", "keyring": fresh()}],
        "view": second.decode("View", encode(service.view)),
    }
    envelope = second.sign("identity-link", "IdentityLink", added, seed_of(person.device.signing))
    disclosure = second.decode(
        "Disclosure", encode(directory.append(identity, 1, read_first(envelope), NOW))
    )
    chain["links"].append({"envelope": envelope, "disclosure": disclosure})
    known = known_at(
        decode(second.encode("Chain", chain), Chain), 2, directory.origin, service.registrars
    )
    assert known.state.keyring == added["operations"][0]["keyring"]
    assert body["operations"][0]["op"] == "root"


def vault_chain() -> None:
    """A genesis founded by either is the same record to the other."""
    vault, device = SINGLE.vault, SINGLE.patient.device.signing
    raws = [device.public.raw]
    value, _ = second.open_envelope(read_second(vault.signed_genesis), "genesis", "Genesis", raws)
    remade = second.sign("genesis", "Genesis", value, seed_of(device))
    assert found(read_first(remade), vault.known).head == vault.view.head
    id_ = hashlib.sha256(second.pae("vault", remade["body"])).digest()
    assert id_ == vault.id == vault_id(vault.signed_genesis.body)
    kv = vault.epoch.scan_key.reveal()
    assert hashlib.sha256(second.pae("scan-key", kv)).digest() == scan_key_commitment(kv)
    person = hashlib.sha256(second.pae("person", kv, "é".encode())).digest()
    assert person == person_commitment(kv, "é")
    rotate = {"op": "rotate", **value["keyring"], "epoch": 1}
    link = {
        "suite": "coffre-1",
        "vault": vault.id,
        "n": 1,
        "prev": second.digest(remade),
        "signers": value["signers"],
        "operations": [rotate, {"op": "block", "identity": fresh(), "blocked": True}],
        "view": value["view"],
    }
    body = second.encode("VaultLink", link)
    assert encode(decode(body, type(vault.body(vault.epoch.step)))) == body


def grant_event() -> None:
    """An event signed by either is believed by the other's reader."""
    for world in WORLDS:
        device = world.patient.device.signing
        event, _ = second.open_envelope(
            read_second(world.made.envelope), "grant-event", "GrantEvent", [device.public.raw]
        )
        genesis = hashlib.sha256(second.pae("vault", event["genesis"])).digest()
        assert genesis == event["vault"]
        remade = second.sign("grant-event", "GrantEvent", event, seed_of(device))
        state = world.maker.accept(None, read_first(remade))
        assert state.digest == second.digest(remade)
        names = sorted(keeper.key_hash for keeper in world.service.root.keepers)
        assert event["policy"]["keepers"] == names
        assert event["policy"]["subsets"] == wraps_second.subsets(world.maker.k, world.maker.n)


def subsets() -> None:
    """The sets of keepers and their names are the same for every policy."""
    keepers = tuple(fresh() for _ in range(7))
    for k, n in ((1, 1), (3, 4), (4, 5), (5, 7)):
        ours = subsets_of(k, n)
        assert [list(places) for places in ours] == wraps_second.subsets(k, n)
        policy = msgspec.structs.replace(SINGLE.made.body.policy, keepers=keepers[:n])
        assert all(
            subset_name(policy, places) == wraps_second.subset_name(keepers, places) for places in ours
        )


def rows() -> None:
    """Rows of either are taken apart by the other."""
    world = SINGLE
    theirs = wraps_second.read_rows(
        world.made.rows, world.event["rows"]["count"], world.event["rows"]["root"]
    )
    remade = [wraps_second.row(*each) for each in theirs]
    assert b"".join(remade) == world.made.rows
    assert wraps_second.rows_root(remade) == rows_root(remade)
    ours = list(split_rows(b"".join(remade), world.made.body.rows))
    assert [(row.doc, row.ver, row.ct_root, row.wrap) for row in ours] == theirs


def wraps() -> None:
    """Document keys wrapped by either, at 1/1 and 3/4, are unwrapped by the other; so are listings' keys."""
    for world in WORLDS:
        keys = {entry.ver: entry for entry in world.documents}
        a = wraps_second.share_a(world.secret, world.gid, 0)
        wrapper = world.maker.wrapper(world.reader.known())
        for doc, ver, root, wrapped in wraps_second.read_rows(
            world.made.rows, len(world.documents), world.event["rows"]["root"]
        ):
            b = world.all_b(keys[ver])
            assert b == world.maker.all_shares(keys[ver], "release")
            key = wraps_second.kek(world.event, a, b, doc, ver, root)
            assert wraps_second.unwrap(key, wrapped) == keys[ver].key.reveal()
            other = fresh()
            made = wraps_second.wrap(key, other)
            assert wrapper.unwrap(made, b, doc, ver, root).reveal() == other
        listing = world.made.listing
        b = world.all_b(listing, "list")
        ids = (listing.doc, listing.ver, listing.ct_root)
        key = wraps_second.kek(world.event, a, b, *ids)
        assert wraps_second.unwrap(key, world.event["listing"]["wrap"]) == listing.key.reveal()


def a_box() -> None:
    """The recipient's box of either opens for the other, with A and Kg inside."""
    reading = SINGLE.reader.reading[0]
    info = wraps_second.a_box_info(SINGLE.event)
    opened = sealing_second.unseal(reading.seed.reveal(), info, SINGLE.event["a_box"])
    expected = wraps_second.share_a(SINGLE.secret, SINGLE.gid, 0)
    expected += wraps_second.grant_key(SINGLE.secret, SINGLE.gid)
    assert opened == expected
    box = sealing_second.seal(reading.public, info, expected)
    share, grant_key = open_a_box(reading, SINGLE.made.body, box)
    assert share.reveal() + grant_key.reveal() == expected


def policy_blob() -> None:
    """A keeper of either side opens the blob of the other, and finds its seeds."""
    for world in WORLDS:
        keepers = {keys.unsealing.public: keys.unsealing for keys in world.service.keepers}
        by_hash = {sealing.key_hash(public): key for public, key in keepers.items()}
        for place, blob in enumerate(world.made.blobs):
            sealed = second.decode("SealedPolicy", encode(blob))
            assert second.part_hash(sealed["box"]) == world.event["policy"]["blobs"][place]
            assert part_hash(blob.box) == second.part_hash(blob.box)
            key = by_hash[sealed["keeper"]]
            info = wraps_second.policy_info(LOG, world.gid, 0, sealed["keeper"], sealed["trust_root"])
            record = second.unpad(sealing_second.unseal(key.seed.reveal(), info, sealed["box"]))
            value = second.decode("PolicyBlob", record)
            assert value["end_key"] == wraps_second.end_key(world.secret, world.gid)
            mine = [
                {"subset": wraps_second.subset_name(world.event["policy"]["keepers"], places), "seed": seed}
                for places, seed in zip(world.event["policy"]["subsets"], world.seeds, strict=True)
                if place in places
            ]
            assert value["seeds"] == mine
            box = sealing_second.seal(key.public, info, second.pad(second.encode("PolicyBlob", value)))
            remade = second.encode("SealedPolicy", sealed | {"box": box})
            opened = open_policy(key, decode(remade, SealedPolicy), LOG, world.gid)
            assert encode(opened) == record


def release_() -> None:
    """A keeper's answer of either opens for the other's reader, and gives B."""
    world, device = QUORUM, QUORUM.reader.device
    request = request_for(world.reader, world.made, *world.documents)
    digest, index = fresh(), 7
    answers = {}
    for place, keeper in enumerate(world.event["policy"]["keepers"]):
        policy = world.made.body.policy
        blob = world.maker.blob(policy, place)
        info = second.pae("release", digest, second.eight(index), keeper)
        ours = release(
            blob, request, digest, index, device_key=device.unsealing.public, keeper=keeper
        )
        record = sealing_second.unseal(device.unsealing.seed.reveal(), info, ours)
        value = second.decode("Release", record)
        made = {
            "index": index,
            "subsets": [
                {
                    "subset": seed.subset,
                    "shares": [
                        wraps_second.share_b(seed.seed, "release", world.gid, 0, e.doc, e.ver, e.ct_root)
                        for e in world.documents
                    ],
                }
                for seed in blob.seeds
            ],
        }
        assert value == made
        box = sealing_second.seal(device.unsealing.public, info, second.encode("Release", made))
        opened: Release = open_release(device.unsealing, box, digest, index, keeper)
        answers[keeper] = opened
    del answers[world.event["policy"]["keepers"][0]]
    assert combine(world.made.body.policy, answers, 3) == [world.all_b(entry) for entry in world.documents]


def access_request() -> None:
    """A request signed by either passes the other's checks, and its purpose opens."""
    world, device = SINGLE, SINGLE.reader.device
    body = request_for(world.reader, world.made, *world.documents)
    purpose = Purpose(code="TREAT", role="", organisation="", name="Dr Exemple", reason="consultation")
    record = encode(purpose)
    info = second.pae("purpose", LOG.encode(), world.gid, body.nonce)
    assert info == purpose_info(LOG, world.gid, body.nonce)
    log_key = world.vault.epoch.log_key
    value = second.decode("AccessRequest", encode(body))
    value["purpose"] = sealing_second.seal(log_key.public, info, second.pad(record))
    made = second.sign("access-request", "AccessRequest", value, seed_of(device.signing))
    checked = check_request(read_first(made), world.reader.known(), None)
    assert unpad_record(log_key.open(info, checked.purpose)) == record
    ours = sign(labels.ACCESS_REQUEST, body, device.signing)
    read, signers = second.open_envelope(
        read_second(ours), "access-request", "AccessRequest", [device.signing.public.raw]
    )
    assert signers == {read["device"]}
    sealed = sealing.seal(log_key.public, info, pad_record(record))
    opened = second.unpad(sealing_second.unseal(log_key.seed.reveal(), info, sealed))
    assert second.decode("Purpose", opened)["code"] == "TREAT"


def self_wrap() -> None:
    """The patient's own wraps of either open in the other."""
    ids = (fresh(16), fresh(16), fresh())
    wrapper = SelfWrapper(SecretBytes(SINGLE.secret), SINGLE.vault.id)
    key = wraps_second.self_key(SINGLE.secret, SINGLE.vault.id, *ids)
    document_key = fresh()
    assert wraps_second.unwrap(key, wrapper.wrap(SecretBytes(document_key), *ids)) == document_key
    assert wrapper.unwrap(wraps_second.wrap(key, document_key), *ids).reveal() == document_key


def content_() -> None:
    """A document's ciphertext of either opens in the other, under the context of the page."""
    key, ids, document = fresh(), (SINGLE.vault.id, fresh(16), fresh(16)), b"%PDF-1.7\n" * 9000
    context = second.pae("document", *ids)
    assert context == document_context(*ids)
    ours = content.seal_document(SecretBytes(key), context, document)
    root = content_second.ct_root(ours)
    assert root == ct_root(ours)
    assert content_second.open_document(key, context, ours, root, len(document)) == document
    theirs = content_second.encrypt_document(key, context, fresh(24), document)
    assert content.open_document(SecretBytes(key), context, theirs, len(document)) == document


def descriptor() -> None:
    """A descriptor of either opens in the other, by the key that follows from the document key."""
    document_key, ids = fresh(), (SINGLE.vault.id, fresh(16), fresh(16))
    context = second.pae("descriptor", *ids)
    key = wraps_second.hkdf(document_key, context)
    assert context == descriptor_context(*ids)
    assert key == descriptor_key(SecretBytes(document_key), context).reveal()
    made = Descriptor(title="Bilan", category="lab", mime="application/pdf", date="2026-03-02", length=99)
    sealed = content.seal(SecretBytes(key), context, descriptor_record(made))
    value = second.decode("Descriptor", second.unpad(content_second.decrypt(key, context, sealed)))
    record = second.pad(second.encode("Descriptor", value))
    other = content_second.encrypt(key, context, fresh(24), record)
    assert read_descriptor(content.open(SecretBytes(key), context, other)) == made


def listing() -> None:
    """A listing of either opens in the other."""
    key, ids = fresh(), (SINGLE.vault.id, SINGLE.gid, fresh(16), fresh(16))
    context = second.pae("listing", *ids)
    assert context == listing_context(*ids)
    made = ListingBody(
        documents=tuple(
            ListedDocument(
                doc=entry.doc, ver=entry.ver, title="é", category="", mime="", date="", length=1
            )
            for entry in SINGLE.documents
        )
    )
    sealed = content.seal(SecretBytes(key), context, listing_record(made))
    value = second.decode("ListingBody", second.unpad(content_second.decrypt(key, context, sealed)))
    other = content_second.encrypt(
        key, context, fresh(24), second.pad(second.encode("ListingBody", value))
    )
    assert read_listing(content.open(SecretBytes(key), context, other)) == made


def leaf() -> None:
    """Leaves, commitments and the hidden chain of entries are the same bytes."""
    envelope, salt = SINGLE.made.envelope, fresh()
    part = ServerPart(body=envelope.digest, time=NOW, outcome="granted", prev=previous(salt, FIRST))
    assert part.prev == entries_second.previous(salt, bytes(32))
    value = second.decode("ServerPart", encode(part))
    c = entries_second.commitment(salt, read_second(envelope), value)
    assert c == commitment(salt, envelope, part)
    slots = (fresh(), fresh())
    parsed = parse_leaf(entries_second.leaf(*slots, c))
    assert entries_second.read_leaf(parsed.to_bytes()) == (*slots, c)


def slots() -> None:
    """Locators of either are recognised by the other; tags and directory slots are the same."""
    key, gid, nonce = fresh(), fresh(), fresh(16)
    locator = Locator(SecretBytes(key), LOG)
    assert entries_second.locator(key, LOG, nonce) == locator.make(nonce)
    assert entries_second.is_locator(key, LOG, locator.make(nonce))
    assert locator.matches(entries_second.locator(key, LOG, nonce))
    assert not entries_second.is_locator(key, LOG, fresh())
    assert entries_second.event_tag(key, LOG, gid, 300) == event_tag(SecretBytes(key), LOG, gid, 300)
    assert entries_second.end_tag(key, LOG, gid) == end_tag(SecretBytes(key), LOG, gid)
    origin = Directory().origin
    assert entries_second.directory_slot(origin, gid, 3) == directory_slot(origin, gid, 3)


def opening() -> None:
    """An opening of either is opened, and checked against its leaf, by the other."""
    envelope, key, before = SINGLE.made.envelope, SINGLE.vault.epoch.log_key, fresh()
    salt, salt2 = fresh(), fresh()
    part = ServerPart(body=envelope.digest, time=NOW, outcome="accepted", prev=previous(salt2, before))
    c = commitment(salt, envelope, part)
    made = Opening(salt=salt, salt2=salt2, previous=before, envelope=envelope, part=part)
    info = entries_second.opening_info(LOG, c)
    assert info == opening_info(LOG, c)
    box = sealing.seal(key.public, info, made.to_record())
    value = entries_second.read_opening(sealing_second.unseal(key.seed.reveal(), info, box), c, before)
    other = sealing_second.seal(key.public, info, entries_second.opening_record(value))
    assert Opening.from_record(key.open(info, other)) == made


def keyring() -> None:
    """A keyring sealed by either is opened by the other with an unlock key."""
    kit = Kit(SecretBytes(fresh()))
    _, unlock_seed = entries_second.kit_seeds(kit.to_text())
    epoch = EpochKeys(
        epoch=0,
        secret=fresh(),
        scan_key=fresh(),
        log_key=fresh(),
        deposit_key=fresh(),
        category_keys=(),
    )
    head = Head(size=0, root=hashlib.sha256().digest())
    vaults = VaultKeyring(vault=None, epochs=(epoch,), origin=LOG, head=head, link=None)
    identities = IdentityKeyring(reading_keys=(ReadingSeed(number=0, seed=fresh()),))
    for name, label, kind, made in (
        ("vault-keyring", labels.VAULT_KEYRING, "VaultKeyring", vaults),
        ("identity-keyring", labels.IDENTITY_KEYRING, "IdentityKeyring", identities),
    ):
        data = seal_keyring(label, made, [kit.unlock.public, sealing_second.public_key(fresh())])
        sealed = second.decode("SealedKeyring", data, 1 << 24)
        box_key = hashlib.sha256(sealing_second.public_key(unlock_seed)).digest()
        box = next(each["box"] for each in sealed["boxes"] if each["key"] == box_key)
        info = second.pae(name, box_key)
        value = second.decode(kind, sealing_second.unseal(unlock_seed, info, box))
        remade = sealing_second.seal(kit.unlock.public, info, second.encode(kind, value))
        other = {"suite": "coffre-1", "boxes": [{"key": box_key, "box": remade}]}
        opened = open_keyring(label, type(made), second.encode("SealedKeyring", other), kit.unlock)
        assert opened == made


def kit_() -> None:
    """A kit's text written by either is read by the other, to the same keys."""
    seed = fresh()
    kit = Kit(SecretBytes(seed))
    assert entries_second.kit_text(seed) == kit.to_text()
    root_seed, unlock_seed = entries_second.kit_seeds(kit.to_text().lower())
    again = Kit.from_text(entries_second.kit_text(seed))
    assert second.public_key(root_seed) == again.root.public.raw
    assert sealing_second.public_key(unlock_seed) == again.unlock.public


def checkpoint_and_receipt() -> None:
    """A cosigned checkpoint and a receipt of either are verified by the other."""
    log, keeper = SigningKey(SecretBytes(fresh())), SigningKey(SecretBytes(fresh()))
    entries = [fresh(97) for _ in range(5)]
    leaves = [log_second.leaf(entry) for entry in entries]
    root = log_second.root(leaves)
    note = log_second.sign(LOG, 5, root, seed_of(log))
    note = log_second.cosign(note, "keeper.example", seed_of(keeper), NOW)
    assert open_checkpoint(note, LogKey(LOG, log.public)) == Checkpoint(LOG, 5, root)
    cosigner = CosignerKey("keeper.example", keeper.public)
    assert cosignatures(note, [cosigner]) == {keeper.public.key_id: NOW}
    path = tuple(log_second.path(2, leaves))
    text = log_second.write_receipt(2, path, note)
    receipt = Receipt.decode(text)
    assert receipt.verify(entries[2], LogKey(LOG, log.public)).size == 5
    second_log = log_second.Key(LogKey(LOG, log.public).vkey)
    assert log_second.check_receipt(receipt.encode(), entries[2], second_log)[1] == 5


def keepers_statement() -> None:
    """What a keeper signs, as either makes it, is read by the other."""
    key = SigningKey(SecretBytes(fresh()))
    value = {"origin": LOG, "gid": fresh(), "tag": fresh(), "time": NOW}
    made = second.sign("end-acknowledgement", "EndAcknowledgement", value, seed_of(key))
    ours = read_first(made)
    assert ours.type == labels.END_ACKNOWLEDGEMENT
    assert set(verify_keys(key.public.raw)) == set(ours.signers)
    assert second.open_envelope(
        read_second(ours), "end-acknowledgement", "EndAcknowledgement", [key.public.raw]
    )


FORMATS: dict[str, Callable[[], None]] = {
    "trust root": trust_root,
    "identity chain": identity_chain,
    "vault chain": vault_chain,
    "grant event": grant_event,
    "subsets of keepers": subsets,
    "rows": rows,
    "wraps": wraps,
    "A box": a_box,
    "policy blob": policy_blob,
    "release": release_,
    "access request": access_request,
    "self wrap": self_wrap,
    "content": content_,
    "descriptor": descriptor,
    "listing": listing,
    "leaf": leaf,
    "slots": slots,
    "opening": opening,
    "keyring": keyring,
    "kit": kit_,
    "checkpoint and receipt": checkpoint_and_receipt,
    "keeper's statement": keepers_statement,
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_opens_what_the_other_made(name):
    """What either implementation makes in this format, the other opens."""
    FORMATS[name]()


def test_all_formats_were_opened_both_ways(record_property):
    """Every format of the list passes; run with ``-s`` to see which they are."""
    opened = []
    for name, exchange in FORMATS.items():
        exchange()
        opened.append(name)
    record_property("opened both ways", opened)
    print(f"opened both ways by two implementations: {', '.join(opened)}")  # noqa: T201
    assert isinstance(SINGLE.made.body, GrantEvent)
    assert opened == list(FORMATS)
