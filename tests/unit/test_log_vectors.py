"""The tree, the notes and the tiles against vectors that nobody here wrote.

Each test notes how many it ran; the run's last lines give the sums.
"""

import base64
import json

import pytest

from crypto.checkpoint import (
    Checkpoint,
    CosignerKey,
    LogKey,
    add_cosignature,
    claimed_origin,
    cosign,
    cosignatures,
    open_checkpoint,
    open_note,
    sign_note,
)
from crypto.errors import BadSignature, CoffreError, Malformed, NotProven
from crypto.merkle import (
    EMPTY_ROOT,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from crypto.receipt import AddCheckpoint
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey, VerifyKey
from crypto.tiles import (
    Tile,
    decode_bundle,
    decode_tile,
    parse_tile_path,
    subtree_reader,
    tile_path,
    tiles_of,
)


@pytest.fixture
def count(record_property):
    """Notes that ``number`` vectors of ``kind`` have run."""

    def note(kind, number=1):
        record_property(kind, number)

    return note


def load(path):
    return json.loads(path.read_text("utf-8"))


def hashes(encoded):
    return [base64.b64decode(each) for each in encoded or []]


def test_hashes_of_rfc6962(shared_vectors, count):
    """Leaf, node and empty-tree hashes are those of the transparency-dev tests."""
    cases = load(shared_vectors / "merkle" / "rfc6962-hashes.json")["cases"]
    for case in cases:
        got = {
            "empty_root": lambda _: EMPTY_ROOT,
            "leaf": lambda case: leaf_hash(bytes.fromhex(case["data_hex"])),
            "node": lambda case: node_hash(bytes.fromhex(case["left_hex"]), bytes.fromhex(case["right_hex"])),
        }[case["op"]](case)
        assert got.hex() == case["want"], case["desc"]
    count("hashes", len(cases))


def test_inclusion_proofs_of_transparency_dev(shared_vectors, count):
    """Each inclusion proof is accepted or refused as upstream says."""
    cases = load(shared_vectors / "merkle" / "inclusion.json")
    for case in cases:
        arguments = (
            base64.b64decode(case["leafHash"]),
            case["leafIdx"],
            case["treeSize"],
            hashes(case["proof"]),
            base64.b64decode(case["root"]),
        )
        if case["wantErr"]:
            with pytest.raises(NotProven):
                verify_inclusion(*arguments)
        else:
            verify_inclusion(*arguments)
    count("inclusion", len(cases))


def test_consistency_proofs_of_transparency_dev(shared_vectors, count):
    """Each consistency proof is accepted or refused as upstream says."""
    cases = load(shared_vectors / "merkle" / "consistency.json")
    for case in cases:
        arguments = (
            case["size1"],
            base64.b64decode(case["root1"]),
            case["size2"],
            base64.b64decode(case["root2"]),
            hashes(case["proof"]),
        )
        if case["wantErr"]:
            with pytest.raises(NotProven):
                verify_consistency(*arguments)
        else:
            verify_consistency(*arguments)
    count("consistency", len(cases))


def test_notes_of_c2sp_and_go(shared_vectors, count):
    """Each note opens under exactly the known keys that upstream names, or is refused."""
    cases = load(shared_vectors / "note" / "signed-note.json")["notes"]
    for case in cases:
        note = base64.b64decode(case["note_b64"])
        known = [LogKey.parse(vkey) for vkey in case["vkeys"]] or [
            LogKey("nobody", SigningKey.generate().public)
        ]
        if case["want"] == "ok":
            assert {key.name for key in known} == set(case["verified_names"])
            for key in known:
                assert open_note(note, key) == note.decode().rpartition("\n\n")[0] + "\n"
        else:
            with pytest.raises(CoffreError):
                open_note(note, known[0])
    count("notes", len(cases))


def test_verifier_keys_of_go(shared_vectors, count):
    """Each verifier key is read, and written again to the same text, or refused."""
    cases = load(shared_vectors / "note" / "signed-note.json")["vkeys"]
    for case in cases:
        if case["want"] == "ok":
            assert LogKey.parse(case["vkey"]).vkey == case["vkey"]
        else:
            with pytest.raises(Malformed):
                LogKey.parse(case["vkey"])
    count("verifier keys", len(cases))


def test_signatures_of_go(shared_vectors, count):
    """The same key over the same text gives the same note, to the byte."""
    cases = load(shared_vectors / "note" / "signed-note.json")["sign"]
    for case in cases:
        name, _, encoded = case["skey"].removeprefix("PRIVATE+KEY+").split("+", 2)
        key = SigningKey(SecretBytes(base64.b64decode(encoded)[1:]))
        assert sign_note(case["text"], name, key) == case["want_note"].encode()
    count("signing", len(cases))


def test_record_hash_and_tile_paths_of_go(shared_vectors, count):
    """Go's leaf hash is ours; its tile paths, without the height that C2SP drops, are read or refused as there."""
    vectors = load(shared_vectors / "tlog" / "golang-tlog.json")
    assert leaf_hash(vectors["record_hash"]["data"].encode()) == base64.b64decode(
        vectors["record_hash"]["want_b64"]
    )
    for case in vectors["tile_paths"]:
        _, height, rest = case["path"].split("/", 2)
        path = f"tile/{rest}"
        if case.get("want") == "reject":
            with pytest.raises(Malformed):
                parse_tile_path(path)
        else:
            width = 256 if case["w"] == 1 << int(height) else case["w"]
            assert parse_tile_path(path) == (case["l"], case["n"], width)
            assert tile_path(Tile(case["l"], case["n"], width)) == path
    count("tile paths and record hash", 1 + len(vectors["tile_paths"]))


def test_the_log_of_tessera(shared_vectors, count):
    """Every checkpoint, tile and entry bundle of a real log fits every other, and every proof made from it holds."""
    folder = shared_vectors / "tlog" / "tessera-log"
    log = LogKey.parse((folder / "LOG.vkey").read_text("utf-8").strip())
    heads = {}
    for path in folder.glob("checkpoint*"):
        head = open_checkpoint(path.read_bytes(), log)
        assert path.suffix in {"", f".{head.size}"}
        heads[head.size] = head
    assert sorted(heads) == list(range(16))

    files = {str(path.relative_to(folder)): path for path in folder.glob("tile/**/*") if path.is_file()}
    for name, path in files.items():
        tile = parse_tile_path(name)
        assert tiles_of(tile.width) == [(0, tile.width)]
        leaves = (
            [leaf_hash(entry) for entry in decode_bundle(path.read_bytes(), tile.width)]
            if tile.level == "entries"
            else decode_tile(path.read_bytes(), tile.width)
        )
        assert root_of(leaves) == heads[tile.width].root

    for size in range(1, 16):
        reader = subtree_reader(size, lambda tile: files[tile_path(tile)].read_bytes())
        for index in range(size):
            leaf = reader(0, index)
            verify_inclusion(leaf, index, size, inclusion_path(index, size, reader), heads[size].root)
        for old in range(size + 1):
            path = consistency_path(old, size, reader)
            verify_consistency(old, heads[old].root, size, heads[size].root, path)
    count("checkpoints of tessera", len(list(folder.glob("checkpoint*"))))
    count("tiles and bundles of tessera", len(files))


class Witness:
    """As much of tlog-witness as formats and proofs decide: the status of a request, and the head it leaves."""

    def __init__(self, log, name, key):
        self.log, self.name, self.key = log, name, key
        self.head = Checkpoint(log.name, 0, EMPTY_ROOT)

    def answer(self, body):
        try:
            request = AddCheckpoint.decode(body)
        except Malformed:
            return 400, b""
        if claimed_origin(request.note) != self.log.name:
            return 404, b""
        try:
            head = open_checkpoint(request.note, self.log)
        except BadSignature:
            return 403, b""
        if request.old > head.size:
            return 400, b""
        if request.old != self.head.size:
            return 409, b"%d\n" % self.head.size
        try:
            verify_consistency(self.head.size, self.head.root, head.size, head.root, request.path)
        except NotProven:
            return 422, b""
        self.head = head
        return 200, cosign(head, self.name, self.key, 1_750_000_000)


def test_the_exchanges_of_litewitness(shared_vectors, count):
    """Each add-checkpoint is answered as by that witness, and its body is written again to the same bytes.

    Two answers are other refusals than there. An unknown log is 404, as tlog-witness says now. A wrong signature whose
    base64 has stray bits in its last character does not reach the signature check; written properly, it is 403.
    """
    vectors = load(shared_vectors / "tlog" / "witness-add-checkpoint.json")
    exchanges = vectors["exchanges"]
    first = AddCheckpoint.decode(exchanges[0]["body"].encode())
    log = LogKey(claimed_origin(first.note), VerifyKey(bytes.fromhex(vectors["log_public_key_hex"])))
    key = SigningKey.generate()
    witness = Witness(log, vectors["witness_name"], key)
    for exchange in exchanges:
        body = exchange["body"].encode()
        status, answer = witness.answer(body)
        if "invalid signature" in exchange["assert"]:
            assert status == 400
            encoded = body.rpartition(b" ")[2].strip()
            body = body.replace(encoded, base64.b64encode(base64.b64decode(encoded)))
            status, answer = witness.answer(body)
        assert status == (404 if "unknown log" in exchange["assert"] else exchange["status"])
        request = AddCheckpoint.decode(body)
        assert request.encode() == body
        if status == 409:
            assert exchange["assert"] == f'body == "{answer.decode().strip()}\\n"'
        if status == 200:
            cosigner = CosignerKey(witness.name, key.public)
            note = add_cosignature(request.note, answer, cosigner)
            assert cosignatures(note, [cosigner]) == {key.public.key_id: 1_750_000_000}
            assert open_checkpoint(note, log) == witness.head
    count("exchanges of litewitness", len(exchanges))
