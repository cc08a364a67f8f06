"""Wraps, boxes, content and keys: what either implementation makes, the other opens."""

import hashlib

import msgspec

from crypto import labels, sealing
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
from crypto.grants import SealedPolicy, rows_root, split_rows, subset_name, subsets_of
from crypto.pieces import ct_root
from crypto.sealed import content
from crypto.sealed.keyring import (
    CategorySeed,
    EpochKeys,
    IdentityKeyring,
    ReadingSeed,
    VaultKeyring,
    open_keyring,
    seal_keyring,
)
from crypto.sealed.policy_blob import open_policy
from crypto.sealed.recovery import Kit, KitFile, kit_file_text, read_kit_file
from crypto.sealed.release import Release, combine, open_release, release
from crypto.sealed.wrapping import SelfWrapper, open_a_box
from crypto.secret_bytes import SecretBytes
from crypto.statements import Head, RootRef, part_hash
from crypto.vault_links import Person, person_commitment
from tests.interop import content_second, entries_second, keyring_second, sealing_second, wraps_second
from tests.interop import records_second as second
from tests.interop.exchange_world import QUORUM, SINGLE, WORLDS
from tests.support.grants import request_for
from tests.support.people import LOG, fresh

PERSON = Person(salt=fresh(), name="Camille Exemple")


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
        ours = release(blob, request, digest, index, device_key=device.unsealing.public, keeper=keeper)
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
    made = Descriptor(
        title="Bilan", category="lab", author="", mime="application/pdf", date="2026-03-02", length=99
    )
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
        person=PERSON,
        documents=tuple(
            ListedDocument(
                doc=entry.doc, ver=entry.ver, title="é", category="", author="", mime="", date="", length=1
            )
            for entry in SINGLE.documents
        ),
    )
    sealed = content.seal(SecretBytes(key), context, listing_record(made))
    value = second.decode("ListingBody", second.unpad(content_second.decrypt(key, context, sealed)))
    keyring_second.check_person(value["person"], person_commitment(PERSON.salt, PERSON.name))
    other = content_second.encrypt(key, context, fresh(24), second.pad(second.encode("ListingBody", value)))
    assert read_listing(content.open(SecretBytes(key), context, other)) == made


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
        category_keys=(CategorySeed(category="", seed=fresh()), CategorySeed(category="lab", seed=fresh())),
    )
    head = Head(size=0, root=hashlib.sha256().digest())
    vaults = VaultKeyring(vault=None, epochs=(epoch,), person=PERSON, origin=LOG, head=head, link=None)
    identities = IdentityKeyring(reading_keys=(ReadingSeed(number=0, seed=fresh()),))
    other = sealing_second.public_key(fresh())
    for name, label, made in (
        ("vault-keyring", labels.VAULT_KEYRING, vaults),
        ("identity-keyring", labels.IDENTITY_KEYRING, identities),
    ):
        data = seal_keyring(label, made, [kit.unlock.public, other])
        value = keyring_second.open_keyring(name, data, unlock_seed)
        remade = keyring_second.seal_keyring(name, value, [kit.unlock.public, other])
        assert open_keyring(label, type(made), remade, kit.unlock) == made


def kit_file() -> None:
    """A kit's file written by either is read by the other."""
    kit = Kit(SecretBytes(fresh()))
    root = RootRef(version=1, digest=fresh())
    made = KitFile(
        suite=labels.SUITE, url="https://é", root=root, identity=fresh(), vault=None, text=kit.to_text()
    )
    value, (root_seed, _) = keyring_second.read_kit_file(kit_file_text(made))
    assert second.public_key(root_seed) == made.kit.root.public.raw
    assert read_kit_file(second.encode("KitFile", value).decode() + "\n") == made


def kit_() -> None:
    """A kit's text written by either is read by the other, to the same keys."""
    seed = fresh()
    kit = Kit(SecretBytes(seed))
    assert entries_second.kit_text(seed) == kit.to_text()
    root_seed, unlock_seed = entries_second.kit_seeds(kit.to_text().lower())
    again = Kit.from_text(entries_second.kit_text(seed))
    assert second.public_key(root_seed) == again.root.public.raw
    assert sealing_second.public_key(unlock_seed) == again.unlock.public
