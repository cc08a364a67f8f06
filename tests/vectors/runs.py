"""What is done with a vector of each format: from ``inputs`` to ``expected``, by ``crypto`` alone.

Byte strings are hexadecimal in the files; canonical JSON is text.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from crypto import encoding, errors, padding, pieces, sealing, signing, trust_root
from crypto.access_log import Disclosure, Opening, commitment, opening_info, parse_leaf, previous
from crypto.checkpoint import CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.descriptors import (
    descriptor_context,
    descriptor_key,
    document_context,
    listing_context,
    read_descriptor,
    read_listing,
)
from crypto.encoding import decode, encode
from crypto.grants import (
    GrantEvent,
    ReleasePolicy,
    Rows,
    SealedPolicy,
    accept,
    split_rows,
    subset_name,
    subsets_of,
)
from crypto.identity_chain import Known, Registrars, known_at
from crypto.identity_links import Chain
from crypto.locators import Locator, directory_slot, end_tag, event_tag
from crypto.merkle import leaf_hash
from crypto.receipt import Receipt
from crypto.requests import check_request
from crypto.sealed import content, shares
from crypto.sealed.keyring import IdentityKeyring, VaultKeyring, open_keyring
from crypto.sealed.policy_blob import open_policy
from crypto.sealed.recovery import Kit
from crypto.sealed.release import open_release
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealed.wrapping import GrantWrapper, SelfWrapper, open_a_box
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, VerifyKey
from crypto.trust_root import TrustRoot, read_card
from crypto.vault_chain import VaultView, follow, found
from crypto.wire.cards import card_fingerprint
from crypto.wire.cards import read_card as read_identity_card
from tests.strategies import all_kinds
from tests.vectors.fixed import DIRECTORY

Values = dict[str, Any]

OUTCOMES: dict[str, type[errors.CoffreError]] = {
    "malformed": errors.Malformed,
    "bad-signature": errors.BadSignature,
    "cannot-open": errors.CannotOpen,
    "broken-chain": errors.BrokenChain,
    "not-permitted": errors.NotPermitted,
    "not-proven": errors.NotProven,
}


def raw(text: str) -> bytes:
    """Bytes of a file."""
    return bytes.fromhex(text)


def secret(text: str) -> SecretBytes:
    """A secret of a file."""
    return SecretBytes(raw(text))


def opener(text: str) -> UnsealingKey:
    """A sealing key by its seed."""
    return UnsealingKey(secret(text))


def body(text: str, kind: Any) -> Any:
    """Canonical JSON of a file."""
    return decode(text.encode(), kind)


def plain(value: Any) -> Any:
    """A body as values that a file can hold."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, msgspec.Struct):
        return plain(msgspec.to_builtins(value, builtin_types=(bytes,)))
    return value


def known(text: str, registrars: Values, size: int = 1 << 40) -> Known:
    """A disclosed chain, folded."""
    return known_at(body(text, Chain), size, DIRECTORY, _registrars(registrars))


def _registrars(values: Values) -> Registrars:
    keys = [(VerifyKey(raw(key)), tuple(schemes)) for key, schemes in values.items()]
    return {key.key_id: (key, schemes) for key, schemes in keys}


# encoding.md, envelope.md, padding.md


def canonical_json(i: Values) -> Values:
    """Read a body of a kind."""
    kinds = {kind.__name__: kind for kind in all_kinds()}
    read = decode(raw(i["hex"]) if "hex" in i else i["text"].encode(), kinds[i["kind"]])
    return {"value": plain(read)}


def pae(i: Values) -> Values:
    """Join parts."""
    return {"joined": encoding.pae(i["label"], *map(raw, i["parts"])).hex()}


def sign(i: Values) -> Values:
    """Sign a body."""
    keys = [SigningKey(secret(seed)) for seed in i["seeds"]]
    made = signing.sign_encoded(i["type"], i["body"].encode(), *keys)
    return {"envelope": encode(made).decode(), "digest": made.digest.hex()}


def envelope(i: Values) -> Values:
    """Verify an envelope under some keys."""
    read = body(i["envelope"], Envelope)
    signers = signing.verify(read, i["type"], signing.verify_keys(*map(raw, i["keys"])))
    return {"signers": sorted(key.hex() for key in signers), "digest": read.digest.hex()}


def pad(i: Values) -> Values:
    """Pad a record."""
    return {"padded": padding.pad_record(raw(i["record"])).hex()}


def unpad(i: Values) -> Values:
    """Take a record out of its padding."""
    return {"record": padding.unpad_record(raw(i["padded"])).hex()}


def padded_length(i: Values) -> Values:
    """The padded lengths of documents."""
    return {"padded": [padding.padded_length(length) for length in i["lengths"]]}


# sealing.md, kit.md, keyring.md, cards.md


def sealing_key(i: Values) -> Values:
    """The public key of a seed."""
    return {"public": opener(i["seed"]).public.hex()}


def box(i: Values) -> Values:
    """Open a box."""
    return {"plaintext": opener(i["seed"]).open(raw(i["info"]), raw(i["box"])).hex()}


def kit(i: Values) -> Values:
    """The keys of a paper kit."""
    read = Kit.from_text(i["text"])
    keys = {"root": read.root.public.raw.hex(), "unlock": sealing.key_hash(read.unlock.public).hex()}
    return keys | {"text": read.to_text()}


def keyring(i: Values) -> Values:
    """Open a sealed keyring with an unlock key."""
    kind = VaultKeyring if i["label"].endswith("vault-keyring") else IdentityKeyring
    opened: Any = open_keyring(i["label"], kind, i["keyring"].encode(), opener(i["seed"]))
    return {"value": plain(opened)}


def card(i: Values) -> Values:
    """Read an instance card or an identity card."""
    if "chain" in i["text"]:
        return {"fingerprint": card_fingerprint(read_identity_card(i["text"]))}
    return {"value": plain(read_card(i["text"]))}


# content.md, vault-chain.md


def content_(i: Values) -> Values:
    """Seal a padded document under a given salt; the document is a pattern repeated to a length."""
    context = document_context(raw(i["vault"]), raw(i["doc"]), raw(i["ver"]))
    pattern = raw(i["pattern"])
    document = (pattern * (i["length"] // len(pattern) + 1))[: i["length"]]
    padded = document.ljust(padding.padded_length(len(document)), b"\0")
    sealed = content._seal(secret(i["key"]), context, raw(i["salt"]), padded)
    opened = content.open_document(secret(i["key"]), context, sealed, i["length"])
    return {
        "header": sealed[: pieces.HEADER].hex(),
        "ciphertext_sha256": hashlib.sha256(sealed).hexdigest(),
        "length": len(sealed),
        "ct_root": pieces.ct_root(sealed).hex(),
        "opens": opened == document,
    }


def content_open(i: Values) -> Values:
    """Open small content whole."""
    opened = content.open(secret(i["key"]), raw(i["context"]), raw(i["ciphertext"]))
    return {"plaintext": opened.hex()}


def descriptor(i: Values) -> Values:
    """Open a descriptor with the document key."""
    context = descriptor_context(raw(i["vault"]), raw(i["doc"]), raw(i["ver"]))
    key = descriptor_key(secret(i["document_key"]), context)
    return {"value": plain(read_descriptor(content.open(key, context, raw(i["ciphertext"]))))}


def listing(i: Values) -> Values:
    """Open a listing."""
    context = listing_context(raw(i["vault"]), raw(i["gid"]), raw(i["doc"]), raw(i["ver"]))
    return {"value": plain(read_listing(content.open(secret(i["key"]), context, raw(i["ciphertext"]))))}


def self_wrap(i: Values) -> Values:
    """Unwrap a document key with the epoch secret."""
    wrapper = SelfWrapper(secret(i["epoch"]), raw(i["vault"]))
    ids = (raw(i["doc"]), raw(i["ver"]), raw(i["ct_root"]))
    return {"document_key": wrapper.unwrap(raw(i["wrap"]), *ids).reveal().hex()}


# log-entries.md


def slots(i: Values) -> Values:
    """A locator, both tags and a directory slot."""
    key, origin, name = secret(i["key"]), i["origin"], raw(i["name"])
    made = Locator(key, origin).make(raw(i["nonce"]))
    return {
        "locator": made.hex(),
        "event_tag": event_tag(key, origin, name, i["number"]).hex(),
        "end_tag": end_tag(key, origin, name).hex(),
        "directory_slot": directory_slot(origin, name, i["number"]).hex(),
    }


def leaf(i: Values) -> Values:
    """The leaf that an envelope and a disclosure make."""
    made = body(i["disclosure"], Disclosure).leaf(body(i["envelope"], Envelope)).to_bytes()
    return {"leaf": made.hex(), "leaf_hash": leaf_hash(made).hex()}


def parsed_leaf(i: Values) -> Values:
    """Take a leaf apart."""
    return {"value": plain(parse_leaf(raw(i["leaf"])))}


def opening(i: Values) -> Values:
    """Open an opening and compute what its leaf must be."""
    record = opener(i["seed"]).open(opening_info(i["origin"], raw(i["commitment"])), raw(i["box"]))
    read = Opening.from_record(record)
    return {
        "envelope": encode(read.envelope).decode(),
        "part": encode(read.part).decode(),
        "commitment": commitment(read.salt, read.envelope, read.part).hex(),
        "previous": previous(read.salt2, read.previous).hex(),
    }


# grant.md, release.md, access-request.md


def _policy(i: Values) -> ReleasePolicy:
    keepers = tuple(map(raw, i["keepers"]))
    return ReleasePolicy(
        k=i["k"], n=i["n"], keepers=keepers, subsets=subsets_of(i["k"], i["n"]), blobs=()
    )


def wrap(i: Values) -> Values:
    """All secrets of a grant from its epoch secrets, and one wrap."""
    epoch, gid, rekey, policy = secret(i["epoch"]), raw(i["gid"]), i["rekey"], _policy(i)
    a, seeds = shares.share_a(epoch, gid, rekey), shares.seeds(epoch, gid, rekey, policy)
    ids = (raw(i["doc"]), raw(i["ver"]), raw(i["ct_root"]))
    b = shares.ShareB(seeds, i["act"], gid, rekey).shares(*ids)
    return {
        "grant_key": shares.grant_key(secret(i["epoch_first"]), gid).reveal().hex(),
        "end_key": shares.end_key(secret(i["epoch_first"]), gid).reveal().hex(),
        "share_a": a.reveal().hex(),
        "subsets": [subset_name(policy, subset).hex() for subset in policy.subsets],
        "seeds": [seed.reveal().hex() for seed in seeds],
        "share_b": [share.hex() for share in b],
        "wrap": _wrapper(i, a).wrap(secret(i["document_key"]), b, *ids).hex(),
    }


def unwrap(i: Values) -> Values:
    """Unwrap a row's wrap with A and B."""
    ids = (raw(i["doc"]), raw(i["ver"]), raw(i["ct_root"]))
    b = list(map(raw, i["share_b"]))
    opened = _wrapper(i, secret(i["share_a"])).unwrap(raw(i["wrap"]), b, *ids)
    return {"document_key": opened.reveal().hex()}


def _wrapper(i: Values, a: SecretBytes) -> GrantWrapper:
    ids = {name: raw(i[name]) for name in ("vault", "gid", "recipient")}
    return GrantWrapper(a, rekey=i["rekey"], reading_key=i["reading_key"], **ids)


def rows(i: Values) -> Values:
    """Take rows apart."""
    named = Rows(root=raw(i["root"]), count=i["count"])
    return {"rows": [plain(row) for row in split_rows(raw(i["rows"]), named)]}


def grant_event(i: Values) -> Values:
    """Believe the events of a grant, in order; open the box of the newest."""
    root, state = body(i["trust_root"], TrustRoot), None
    signer, recipient = known(i["signer"], i["registrars"]), known(i["recipient"], i["registrars"])
    for text in i["events"]:
        state = accept(state, body(text, Envelope), [signer], recipient, root)
    if state is None:
        raise ValueError("a vector without events")
    named = {"digest": state.digest.hex(), "j": state.event.j, "rekey": state.event.rekey}
    a, grant_key = open_a_box(opener(i["reading_seed"]), state.event, state.a_box)
    return named | {"share_a": a.reveal().hex(), "grant_key": grant_key.reveal().hex()}


def a_box(i: Values) -> Values:
    """Open an event's box for its recipient."""
    event: GrantEvent = body(i["event"], GrantEvent)
    a, grant_key = open_a_box(opener(i["reading_seed"]), event, event.a_box or b"")
    return {"share_a": a.reveal().hex(), "grant_key": grant_key.reveal().hex()}


def policy_blob(i: Values) -> Values:
    """Open a keeper's policy blob."""
    sealed = body(i["blob"], SealedPolicy)
    return {"value": plain(open_policy(opener(i["seed"]), sealed, i["origin"], raw(i["gid"])))}


def release(i: Values) -> Values:
    """Open a keeper's answer."""
    of = (raw(i["digest"]), i["index"], raw(i["keeper"]))
    return {"value": plain(open_release(opener(i["seed"]), raw(i["box"]), *of))}


def access_request(i: Values) -> Values:
    """Check a request against the reader's chain, and the team's if there is one."""
    team = known(i["team"], i["registrars"]) if i["team"] else None
    request = body(i["request"], Envelope)
    read = check_request(request, known(i["reader"], i["registrars"]), team)
    return {"digest": request.digest.hex(), "recipient": read.recipient.hex()}


# trust-root.md, identity-chain.md, vault-chain.md


def trust_root_(i: Values) -> Values:
    """Believe a first trust root by its card, or without one, and follow the others."""
    chain = [body(text, Envelope) for text in i["chain"]]
    ref = read_card(i["card"]).root if i["card"] else None
    accepted = trust_root.advance(trust_root.first(chain[0], card=ref), chain[1:])
    return {"value": plain(accepted.ref)}


def identity_chain(i: Values) -> Values:
    """Fold a chain at a head of the directory."""
    at = known(i["chain"], i["registrars"], i["size"])
    state = at.state
    return {
        "ref": plain(at.ref),
        "root": state.root.hex(),
        "devices": sorted(key.hex() for key in state.devices),
        "reading_key": state.reading_key,
        "unlock_keys": sorted(key.hex() for key in state.unlock_keys),
        "keyring": (state.keyring or b"").hex(),
        "certificates": [plain(entry.statement) for entry in state.certificates.values()],
        "waiting": sorted(state.waiting),
        "hard_stops": list(state.hard_stops),
    }


def vault_chain(i: Values) -> Values:
    """Found a record and follow its links."""
    signer = known(i["signer"], i["registrars"])
    head = found(body(i["genesis"], Envelope), [signer]).head
    view = VaultView(head=head, documents={}, grants={}, blocked={})
    for text in i["links"]:
        changes = follow(view, body(text, Envelope), [signer])
        view = VaultView(
            head=changes.head,
            documents={**view.documents, **changes.documents},
            grants={**view.grants, **changes.grants},
            blocked={**view.blocked, **changes.blocked},
        )
    return {
        "vault": view.head.vault.hex(),
        "n": view.head.n,
        "link": view.head.link.hex(),
        "epoch": view.head.keys.epoch,
        "documents": [plain(entry) for entry in view.documents.values()],
        "grants": [plain(entry) for entry in view.grants.values()],
        "blocked": sorted(key.hex() for key, blocked in view.blocked.items() if blocked),
    }


# checkpoint.md, receipt.md


def checkpoint(i: Values) -> Values:
    """Open a checkpoint and count its cosigners."""
    note = i["note"].encode()
    head = open_checkpoint(note, LogKey(i["origin"], VerifyKey(raw(i["log_key"]))))
    cosigners = [CosignerKey(name, VerifyKey(raw(key))) for name, key in i["cosigners"].items()]
    times = {key.hex(): time for key, time in cosignatures(note, cosigners).items()}
    return {"size": head.size, "root": head.root.hex(), "cosigned": times}


def receipt(i: Values) -> Values:
    """Verify a receipt for a leaf."""
    read = Receipt.decode(i["receipt"].encode())
    head = read.verify(raw(i["leaf"]), LogKey(i["origin"], VerifyKey(raw(i["log_key"]))))
    return {"index": read.index, "size": head.size}


RUNS: dict[str, Callable[[Values], Values]] = {
    "canonical-json": canonical_json,
    "pae": pae,
    "sign": sign,
    "envelope": envelope,
    "pad": pad,
    "unpad": unpad,
    "padded-length": padded_length,
    "sealing-key": sealing_key,
    "box": box,
    "kit": kit,
    "keyring": keyring,
    "card": card,
    "content": content_,
    "content-open": content_open,
    "descriptor": descriptor,
    "listing": listing,
    "self-wrap": self_wrap,
    "slots": slots,
    "leaf": leaf,
    "parsed-leaf": parsed_leaf,
    "opening": opening,
    "wrap": wrap,
    "unwrap": unwrap,
    "rows": rows,
    "grant-event": grant_event,
    "a-box": a_box,
    "policy-blob": policy_blob,
    "release": release,
    "access-request": access_request,
    "trust-root": trust_root_,
    "identity-chain": identity_chain,
    "vault-chain": vault_chain,
    "checkpoint": checkpoint,
    "receipt": receipt,
}
