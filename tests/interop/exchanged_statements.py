"""Signed bodies and log entries: what either implementation makes, the other verifies."""

import hashlib

from crypto import labels, sealing
from crypto.access_log import FIRST, Opening, ServerPart, commitment, opening_info, parse_leaf, previous
from crypto.checkpoint import Checkpoint, CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.encoding import decode, encode
from crypto.identity_chain import known_at
from crypto.identity_links import Chain, identity_id
from crypto.locators import Locator, directory_slot, end_tag, event_tag
from crypto.padding import pad_record, unpad_record
from crypto.receipt import Receipt
from crypto.requests import Purpose, check_request, purpose_info
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey, sign, verify_keys
from crypto.trust_root_chain import first
from crypto.vault_chain import found
from crypto.vault_links import person_commitment, scan_key_commitment, vault_id
from tests.interop import entries_second, log_second, sealing_second, wraps_second
from tests.interop import records_second as second
from tests.interop.exchange_world import SINGLE, WORLDS, read_first, read_second, seed_of
from tests.support.grants import request_for
from tests.support.people import LOG, NOW, Directory, Person, Service, fresh


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
    disclosure = second.decode("Disclosure", encode(directory.append(identity, 1, read_first(envelope), NOW)))
    chain["links"].append({"envelope": envelope, "disclosure": disclosure})
    known = known_at(decode(second.encode("Chain", chain), Chain), 2, directory.origin, service.registrars)
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
    checked = check_request(read_first(made), world.reader.known(), None, NOW)
    assert unpad_record(log_key.open(info, checked.purpose)) == record
    ours = sign(labels.ACCESS_REQUEST, body, device.signing)
    read, signers = second.open_envelope(
        read_second(ours), "access-request", "AccessRequest", [device.signing.public.raw]
    )
    assert signers == {read["device"]}
    sealed = sealing.seal(log_key.public, info, pad_record(record))
    opened = second.unpad(sealing_second.unseal(log_key.seed.reveal(), info, sealed))
    assert second.decode("Purpose", opened)["code"] == "TREAT"


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
