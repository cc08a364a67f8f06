"""Every reader of bytes from elsewhere, in one table: what it reads, what writes the same again, and honest input.

Readers of what was sealed to a key are given a key that opens everything: anybody can seal to a public key, so what
lies inside a box is anybody's too.
"""

import base64
import tarfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from litestar import Request
from msgspec.structs import replace

from crypto import (
    access_log,
    checkpoint,
    descriptors,
    encoding,
    erasures,
    grants,
    labels,
    padding,
    pieces,
    requests,
    sealing,
    tiles,
)
from crypto.checkpoint import Checkpoint, CosignerKey, LogKey, cosign, sign_checkpoint
from crypto.deposits import Deposited
from crypto.encoding import Body
from crypto.evidence import Evidence, KeeperEvidence, read_evidence
from crypto.exports import ExportManifest, read_manifest
from crypto.padding import pad_record
from crypto.receipt import AddCheckpoint, Receipt
from crypto.sealed import content, held_ends, keyring, policy_blob, recovery, release, standing, wrapping
from crypto.sealed.local_records import LocalRecords
from crypto.sealed.recovery import Kit
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, read, sign, verify_keys
from crypto.statements import RootRef
from crypto.trust_root import InstanceCard, read_card
from crypto.wire import cards, notices
from crypto.wire.problems import Problem, error_of
from tests.strategies import bodies
from tests.support.deposits import DepositMaker
from tests.support.grants import GrantedDocument, GrantMaker
from tests.support.people import LOG, Person, Service
from tests.support.vaults import Vault
from vault_server import leaves_file, limits
from vault_server.archive import NEEDED, ArchiveWriter, members
from vault_server.cosigning import Behind
from vault_server.http_client import HttpAnswer, HttpClient
from vault_server.http_exchange import AnyRequest, length_of
from vault_server.keepers import HttpKeeper
from vault_server.media_types import TREE_SIZE
from vault_server.routes.gate import QUERY_HEADER, query_header

Honest = st.SearchStrategy[bytes]


@dataclass(frozen=True)
class Parser:
    """``name``: of the function that reads. ``write``: gives the bytes that were read again; absent where nothing does.

    ``samples``: honest input of a reader that looks at bytes itself, without a library; it is fuzzed by coverage too.
    """

    name: str
    read: Callable[[bytes], Any]
    honest: Honest
    write: Callable[[Any], bytes] | None = None
    samples: tuple[bytes, ...] = ()


# Stands before what is in a box where a box of that length at least is asked for.
BOX: Final = bytes(1136)


class OpensEverything(UnsealingKey):
    """Takes what it is given for what was inside: the plaintext of a stranger's box."""

    __slots__ = ()

    def open(self, info: bytes, sealed: bytes) -> bytes:
        """What a stranger sealed."""
        return sealed.removeprefix(BOX)


def headed(name: str, data: bytes) -> AnyRequest:
    """A request with one header, of any bytes."""
    return Request({"type": "http", "headers": [(name.encode(), data)], "query_string": b""})


def text(data: bytes) -> str:
    """Bytes as a program is given them for text: an argument, a line of a terminal, a file."""
    return data.decode("utf-8", "surrogateescape")


def by_hand(
    name: str, read: Callable[[bytes], Any], *samples: bytes, write: Callable[[Any], bytes] | None = None
) -> Parser:
    """A reader that looks at bytes itself."""
    return Parser(name, read, st.sampled_from(samples), write, samples)


KEY, KEEPER = (SigningKey(SecretBytes(bytes([number]) * 32)) for number in (1, 2))
LOG_KEY, COSIGNER = LogKey(LOG, KEY.public), CosignerKey("keeper.example/one", KEEPER.public)
HEAD = Checkpoint(LOG, 3, bytes(range(32)))
NOTE = sign_checkpoint(HEAD, KEY) + cosign(HEAD, COSIGNER.name, KEEPER, 1_790_000_000)
RECEIPT = Receipt(1, (bytes(32), bytes(32)), NOTE).encode()
PROOF = AddCheckpoint(2, (bytes(32),), NOTE).encode()
BUNDLE = tiles.encode_bundle([b"one", b"", b"three"])
ROOT = RootRef(version=1, digest=bytes(32))

SECRET = SecretBytes(bytes(32))
UNSEALED, UNSEALING = OpensEverything(SECRET), UnsealingKey(SECRET)
KIT, RECORDS = Kit(SECRET), LocalRecords(SECRET)
DOCUMENT, PADDED = content.seal(SECRET, b"", b"a document"), content.seal_document(SECRET, b"", b"a document")
SEALED = sealing.seal(UNSEALING.public, b"", b"something")

_service = Service()
_person = Person(_service)
_vault = Vault(_service, [_person])
MADE = GrantMaker(_vault, Person(_service)).event(GrantedDocument.fresh(), GrantedDocument.fresh())
EVENT = MADE.body
DEPOSIT_CARD = DepositMaker(_vault, _person).card
PLACE = Deposited(LOG, bytes(32), bytes(32), bytes(16), bytes(16), bytes(32))
STANDING = standing.SealedStanding(keeper=bytes(32), trust_root=bytes(32), box=b"")
CARD = cards.IdentityCard(suite=labels.SUITE, url="https://vault.example", chain=_person.chain)
KIT_FILE = recovery.KitFile(
    suite=labels.SUITE,
    url="https://vault.example",
    root=ROOT,
    identity=bytes(32),
    vault=None,
    text=KIT.to_text(),
)


def _of(kind: type[Body]) -> Honest:
    return bodies(kind).map(encoding.encode)


def _record(kind: type[Body]) -> Honest:
    return _of(kind).map(pad_record)


def _written(body: Body) -> bytes:
    return pad_record(encoding.encode(body))


def _body_of(kind: type[Body], reader: Callable[[Envelope], Any]) -> dict[str, Any]:
    """A reader of the body of an envelope, whose signatures others check."""
    envelope = sign("a label", ROOT, KEY)
    return {
        "read": lambda data: reader(replace(envelope, body=data)),
        "honest": _of(kind),
        "write": encoding.encode,
    }


def _row_bytes(rows: Iterable[grants.Row]) -> bytes:
    return b"".join(row.to_bytes() for row in rows)


def in_a_box(data: bytes) -> bytes:
    """``data`` as the only box of a keyring for the key that opens everything."""
    box = keyring.Box(key=sealing.key_hash(UNSEALED.public), box=BOX + data)
    return encoding.encode(keyring.SealedKeyring(suite=labels.SUITE, boxes=(box,)))


def _opened_into(data: bytes) -> bytes:
    opener = content.Opener(SECRET, b"", data[: pieces.HEADER])
    plain = bytearray(len(data))
    return bytes(plain[: opener.open_into(0, memoryview(data)[pieces.HEADER :], memoryview(plain))])


def _signed(data: bytes) -> RootRef:
    """An envelope from the wire, then its body."""
    return read(encoding.decode(data, Envelope), labels.LOGIN, RootRef, verify_keys(KEY.public.raw))


class _Answering(HttpClient):
    """A keeper's answer to a checkpoint that it does not follow."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def post(self, path: str, kind: str, body: bytes, limit: int) -> HttpAnswer:
        return HttpAnswer(HTTPStatus.CONFLICT, TREE_SIZE, self._data)


def _known_size(data: bytes) -> int:
    """What the server takes from such an answer."""
    keeper = HttpKeeper(_service.root.keepers[0], 1)
    keeper._client = _Answering(data)
    with suppress(StopIteration), pytest.raises(Behind) as behind:
        keeper.add_checkpoint(b"").send(None)  # it waits for nothing
    return behind.value.size


def _archive() -> bytes:
    """The smallest whole backup."""
    file, manifest = BytesIO(), BytesIO()
    archive = ArchiveWriter(file, manifest)
    with NamedTemporaryFile() as content:
        content.write(b"a file")
        content.flush()
        for name in NEEDED:
            archive.add(name, Path(content.name))
    archive.close()
    return file.getvalue()


def _with_headers(headers: dict[str, str]) -> bytes:
    """The same with an extended header before it, which ours never has."""
    member = tarfile.TarInfo(NEEDED[0])
    member.pax_headers = headers
    return member.tobuf(tarfile.PAX_FORMAT) + ARCHIVE[tarfile.BLOCKSIZE :]


def _members(data: bytes) -> list[tuple[str, bytes]]:
    """Every file of an archive, read in pieces."""
    found = []
    for name, file in members(BytesIO(data)):
        pieces_ = iter(lambda file=file: file.read(100), b"")  # type: ignore[misc]
        found.append((name, b"".join(pieces_)))
    return found


def _leaves(data: bytes) -> list[tuple[bytes, list[list[bytes]]]]:
    """Every log of a file of leaves."""
    return [
        (log.note, [[*log.subtrees()], *log.leaves()])
        for log in leaves_file.logs(BytesIO(data), Path("a file"))
    ]


def _leaves_file() -> bytes:
    """One log of a file of leaves."""
    file = BytesIO()
    writer = leaves_file.LeavesWriter(file)
    writer.add(sign_checkpoint(Checkpoint("a.example/log", 2, bytes(32)), KEY), 0, (), [bytes(97)] * 2)
    writer.close()
    return file.getvalue()


LEAVES = _leaves_file()
ARCHIVE = _archive()
EXTENDED = [
    *tarfile.PAX_FIELDS,
    *(f"GNU.sparse.{word}" for word in ("map", "size", "major", "minor", "realsize", "name")),
]

PARSERS: Final = (
    by_hand(
        "crypto.access_log.parse_leaf",
        access_log.parse_leaf,
        bytes([1]) * 97,
        write=lambda leaf: bytes([2]) + bytes(96) if leaf is None else leaf.to_bytes(),
    ),
    by_hand(
        "crypto.checkpoint.NoteKey.parse",
        lambda data: LogKey.parse(text(data)),
        LOG_KEY.vkey.encode(),
        write=lambda key: key.vkey.encode(),
    ),
    by_hand(
        "crypto.checkpoint.Checkpoint.parse",
        lambda data: Checkpoint.parse(text(data)),
        HEAD.text.encode(),
        write=lambda head: head.text.encode(),
    ),
    by_hand("crypto.checkpoint.parse_note", checkpoint.parse_note, NOTE, write=lambda note: note.encode()),
    by_hand("crypto.checkpoint.open_note", lambda data: checkpoint.open_note(data, LOG_KEY), NOTE),
    by_hand(
        "crypto.checkpoint.open_checkpoint", lambda data: checkpoint.open_checkpoint(data, LOG_KEY), NOTE
    ),
    by_hand(
        "crypto.checkpoint.parse_decimal",
        lambda data: checkpoint.parse_decimal(text(data)),
        *(b"0", b"17", b"9223372036854775807"),
        write=lambda number: b"%d" % number,
    ),
    by_hand(
        "crypto.checkpoint.parse_base64",
        lambda data: checkpoint.parse_base64(text(data)),
        *(b"AAAA", b"AA==", b"AAA="),
        write=base64.b64encode,
    ),
    by_hand("crypto.receipt.Receipt.decode", Receipt.decode, RECEIPT, write=lambda made: made.encode()),
    by_hand(
        "crypto.receipt.AddCheckpoint.decode", AddCheckpoint.decode, PROOF, write=lambda made: made.encode()
    ),
    by_hand(
        "crypto.tiles.parse_tile_path",
        lambda data: tiles.parse_tile_path(text(data)),
        *(b"tile/0/x001/x234/067.p/8", b"tile/entries/000", b"tile/63/005"),
        write=lambda tile: tiles.tile_path(tile).encode(),
    ),
    by_hand(
        "crypto.tiles.decode_bundle",
        lambda data: tiles.decode_bundle(data, 3),
        BUNDLE,
        write=tiles.encode_bundle,
    ),
    by_hand("crypto.tiles.decode_tile", lambda data: tiles.decode_tile(data, 2), bytes(64), write=b"".join),
    by_hand(
        "crypto.grants.split_rows",
        lambda data: tuple(grants.split_rows(data, EVENT.rows)),
        MADE.rows,
        write=_row_bytes,
    ),
    by_hand(
        "crypto.padding.unpad_record",
        padding.unpad_record,
        *(pad_record(b"a record"), pad_record(b"")),
        write=pad_record,
    ),
    by_hand(
        "crypto.sealed.recovery.Kit.from_text",
        lambda data: Kit.from_text(text(data)),
        *(KIT.to_text().encode(), KIT.to_text().lower().replace("-", " ").encode()),
    ),
    by_hand("crypto.sealed.content.open", lambda data: content.open(SECRET, b"", data), DOCUMENT),
    by_hand(
        "crypto.sealed.content.open_document",
        lambda data: content.open_document(SECRET, b"", data, 10),
        PADDED,
    ),
    by_hand("crypto.sealed.content.Opener.open_into", _opened_into, DOCUMENT),
    by_hand(
        "crypto.sealed.local_records.LocalRecords.open",
        lambda data: RECORDS.open(RECORDS.tag("name"), data),
        RECORDS.seal("name", b"body"),
    ),
    by_hand("crypto.sealed.unsealing.UnsealingKey.open", lambda data: UNSEALING.open(b"", data), SEALED),
    by_hand(
        "crypto.sealed.wrapping.open_a_box",
        lambda data: wrapping.open_a_box(UNSEALED, EVENT, data),
        bytes(64),
        write=lambda keys: b"".join(key.reveal() for key in keys),
    ),
    by_hand(
        "crypto.sealed.standing.open_share_a",
        lambda data: standing.open_share_a(UNSEALED, PLACE, data),
        bytes(32),
        write=lambda key: key.reveal(),
    ),
    by_hand(
        "crypto.sealed.standing.open_document_key",
        lambda data: standing.open_document_key(UNSEALED, PLACE, data),
        bytes(32),
        write=lambda key: key.reveal(),
    ),
    by_hand(
        "vault_server.http_exchange.length_of",
        lambda data: length_of(headed("content-length", data), 9),
        b"7",
    ),
    by_hand(
        "vault_server.limits.address_class",
        lambda data: limits.address_class(text(data)),
        *(b"192.0.2.7", b"2001:db8::1", b"fe80::1%eth0", b"::ffff:192.0.2.7"),
    ),
    by_hand(
        "vault_server.keepers.HttpKeeper.add_checkpoint",
        _known_size,
        b"17\n",
        write=lambda size: b"%d\n" % size,
    ),
    by_hand(
        "vault_server.routes.gate.query_header",
        lambda data: query_header(headed(QUERY_HEADER, data), RootRef),
        base64.urlsafe_b64encode(encoding.encode(ROOT)).rstrip(b"="),
        write=lambda body: base64.urlsafe_b64encode(encoding.encode(body)).rstrip(b"="),
    ),
    Parser(
        "vault_server.archive.members",
        _members,
        st.dictionaries(st.sampled_from(EXTENDED), st.text(max_size=8), max_size=2).map(_with_headers)
        | st.just(ARCHIVE),
        None,
        (ARCHIVE,),
    ),
    Parser("vault_server.leaves_file.logs", _leaves, st.just(LEAVES), None, (LEAVES,)),
    # Canonical JSON, by the one decoder; every kind of message is tried beside these.
    Parser("crypto.signing.read", _signed, st.just(encoding.encode(sign(labels.LOGIN, ROOT, KEY)))),
    Parser("crypto.grants.read_event", **_body_of(grants.GrantEvent, grants.read_event)),
    Parser("crypto.erasures.read_erasure", **_body_of(erasures.Erasure, erasures.read_erasure)),
    Parser("crypto.requests.read_request", **_body_of(requests.AccessRequest, requests.read_request)),
    Parser("crypto.trust_root.read_card", lambda data: read_card(text(data)), _of(InstanceCard)),
    Parser(
        "crypto.wire.cards.read_identity_card",
        lambda data: cards.read_identity_card(text(data)),
        st.just(cards.card_text(CARD).encode()),
    ),
    Parser(
        "crypto.sealed.recovery.read_kit_file",
        lambda data: recovery.read_kit_file(text(data)),
        st.just(recovery.kit_file_text(KIT_FILE).encode()),
    ),
    Parser("crypto.exports.read_manifest", read_manifest, _of(ExportManifest), encoding.encode),
    by_hand(
        "crypto.wire.notices.read_notice",
        notices.read_notice,
        notices.NEWS,
        notices.NOTHING,
        write=lambda news: notices.write_notice(news=news),
    ),
    Parser(
        "crypto.evidence.read_evidence",
        lambda data: read_evidence(data)[1],
        st.one_of(
            bodies(Evidence).map(lambda each: encoding.encode(sign(labels.EVIDENCE, each, KEY))),
            bodies(KeeperEvidence).map(lambda each: encoding.encode(sign(labels.KEEPER_EVIDENCE, each, KEY))),
        ),
        encoding.encode,
    ),
    Parser(
        "crypto.wire.problems.error_of",
        lambda data: error_of(encoding.decode(data, Problem)),
        _of(Problem),
    ),
    # Records that anybody may have sealed
    Parser(
        "crypto.access_log.Opening.from_record",
        access_log.Opening.from_record,
        _record(access_log.Opening),
        lambda opening: opening.to_record(),
    ),
    Parser(
        "crypto.descriptors.read_descriptor",
        descriptors.read_descriptor,
        _record(descriptors.Descriptor),
        descriptors.descriptor_record,
    ),
    Parser(
        "crypto.descriptors.read_listing",
        descriptors.read_listing,
        _record(descriptors.ListingBody),
        descriptors.listing_record,
    ),
    Parser(
        "crypto.sealed.keyring.open_keyring",
        lambda data: keyring.open_keyring(
            labels.IDENTITY_KEYRING, keyring.IdentityKeyring, in_a_box(data), UNSEALED
        ),
        _of(keyring.IdentityKeyring),
        encoding.encode,
    ),
    Parser(
        "crypto.sealed.policy_blob.open_policy",
        lambda data: policy_blob.open_policy(UNSEALED, replace(MADE.blobs[0], box=data), LOG, EVENT.gid),
        _record(policy_blob.PolicyBlob),
        _written,
    ),
    Parser(
        "crypto.sealed.held_ends.open_ends",
        lambda data: held_ends.open_ends(UNSEALED, data, bytes(32)),
        _record(held_ends.HeldEnds),
        _written,
    ),
    Parser(
        "crypto.sealed.release.open_release",
        lambda data: release.open_release(UNSEALED, data, bytes(32), 0, bytes(32)),
        _of(release.Release),
        encoding.encode,
    ),
    Parser(
        "crypto.sealed.standing.open_card_secrets",
        lambda data: standing.open_card_secrets(UNSEALED, replace(DEPOSIT_CARD, box=data)),
        _record(standing.CardSecrets),
        _written,
    ),
    Parser(
        "crypto.sealed.standing.open_standing_keys",
        lambda data: standing.open_standing_keys(UNSEALED, EVENT, data),
        _record(standing.StandingKeys),
        _written,
    ),
    Parser(
        "crypto.sealed.standing.open_standing_policy",
        lambda data: standing.open_standing_policy(UNSEALED, replace(STANDING, box=data), LOG, *PLACE[3:]),
        _record(standing.StandingPolicy),
        _written,
    ),
)

# What is called like a reader and is in no row, with the reason.
NOT_HERE: Final = {
    "crypto.encoding.decode": "tried with every kind of message",
    "crypto.encoding.decode_text": "tried by every card and file",
    "crypto.wire.vault_api.VaultApi.open": "an operation, which others implement",
    "crypto.sealed.passphrase.open_key": "takes a second a time; what it opens is opened by crypto.sealed.content.open",
}
