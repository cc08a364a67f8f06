"""Two implementations of the log's formats, written apart: each verifies what the other made, and refuses alike."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.checkpoint import (
    Checkpoint,
    CosignerKey,
    LogKey,
    cosign,
    cosignatures,
    open_checkpoint,
    parse_note,
    sign_checkpoint,
)
from crypto.errors import CoffreError, NotProven
from crypto.merkle import (
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from crypto.receipt import AddCheckpoint, Receipt
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from crypto.tiles import Tile, decode_tile, parse_tile_path, subtree_reader, tile_path
from tests.interop import log_second as second

ORIGIN, KEEPER = "vault.example/coffre/log/7", "keeper.example/one"
LOG_SEED, KEEPER_SEED = bytes([1]) * 32, bytes([2]) * 32
LOG_KEY, KEEPER_KEY = (SigningKey(SecretBytes(seed)) for seed in (LOG_SEED, KEEPER_SEED))
LOG, COSIGNER = LogKey(ORIGIN, LOG_KEY.public), CosignerKey(KEEPER, KEEPER_KEY.public)
SECOND_LOG, SECOND_COSIGNER = second.Key(LOG.vkey), second.Key(COSIGNER.vkey)
TIME = 1_790_000_000

ENTRIES = [b"leaf %d" % number for number in range(33)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def subtree(level, index):
    return root_of(LEAVES[index << level : (index + 1) << level])


def head_of(size):
    return Checkpoint(ORIGIN, size, root_of(LEAVES[:size]))


def note_of(size):
    head = head_of(size)
    return sign_checkpoint(head, LOG_KEY) + cosign(head, KEEPER, KEEPER_KEY, TIME)


def second_note_of(size):
    note = second.sign(ORIGIN, size, second.root(LEAVES[:size]), LOG_SEED)
    return second.cosign(note, KEEPER, KEEPER_SEED, TIME)


def accepts(check, *arguments):
    """Whether ``check`` holds for this implementation or the other; anything but its own refusal is a fault."""
    try:
        check(*arguments)
    except (CoffreError, second.Refused):
        return False
    return True


def test_both_make_the_same_keys_and_notes():
    """Verifier keys, heads of all sizes and cosignatures are the same bytes."""
    assert second.vkey(ORIGIN, 1, LOG_SEED) == LOG.vkey
    assert second.vkey(KEEPER, 4, KEEPER_SEED) == COSIGNER.vkey
    for size in range(len(LEAVES) + 1):
        assert second_note_of(size) == note_of(size)


def test_each_opens_the_others_checkpoints():
    """A head signed and cosigned by one is read as the same head, key and time by the other."""
    for size in (0, 1, 20, 33):
        assert second.open_checkpoint(note_of(size), SECOND_LOG) == (ORIGIN, size, root_of(LEAVES[:size]))
        assert second.cosigners(note_of(size), [SECOND_COSIGNER]) == {KEEPER_KEY.public.raw: TIME}
        assert open_checkpoint(second_note_of(size), LOG) == head_of(size)
        assert cosignatures(second_note_of(size), [COSIGNER]) == {KEEPER_KEY.public.key_id: TIME}


def test_each_verifies_the_others_proofs():
    """Inclusion and consistency of every small tree, made by one, hold for the other."""
    for new in range(1, len(LEAVES) + 1):
        new_root = root_of(LEAVES[:new])
        for index in range(new):
            second.check_inclusion(LEAVES[index], index, new, inclusion_path(index, new, subtree), new_root)
            verify_inclusion(LEAVES[index], index, new, second.path(index, LEAVES[:new]), new_root)
        for old in range(new + 1):
            old_root = root_of(LEAVES[:old])
            second.check_consistency(old, old_root, new, new_root, consistency_path(old, new, subtree))
            verify_consistency(old, old_root, new, new_root, second.proof(old, LEAVES[:new]))


def test_each_reads_the_others_receipts_and_requests():
    """A receipt and an add-checkpoint made by one are read, verified and written alike by the other."""
    note = note_of(33)
    for index in (0, 7, 31, 32):
        ours = Receipt(index, tuple(inclusion_path(index, 33, subtree)), note).encode()
        theirs = second.write_receipt(index, second.path(index, LEAVES), note)
        assert ours == theirs
        assert second.check_receipt(ours, ENTRIES[index], SECOND_LOG) == (ORIGIN, 33, root_of(LEAVES))
        assert Receipt.decode(theirs).verify(ENTRIES[index], LOG) == head_of(33)
        assert not accepts(second.check_receipt, ours, ENTRIES[index - 1], SECOND_LOG)
        with pytest.raises(NotProven):
            Receipt.decode(theirs).verify(ENTRIES[index - 1], LOG)
    for old in (0, 1, 20, 32, 33):
        request = AddCheckpoint(old, tuple(consistency_path(old, 33, subtree)), note)
        assert second.write_request(old, second.proof(old, LEAVES), note) == request.encode()
        assert second.read_request(request.encode()) == (old, list(request.path), note)


def test_proofs_come_from_the_others_tiles():
    """Tiles cut by the second implementation carry the names and the proofs of the first."""
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(700)]

    def read(place):
        name, content = second.tile(place.level, place.n, leaves)
        assert (name, parse_tile_path(name)) == (tile_path(place), place)
        assert len(decode_tile(content, place.width)) == place.width
        return content

    top = second.root(leaves)
    for index in (0, 255, 256, 511, 512, 699):
        path = inclusion_path(index, 700, subtree_reader(700, read))
        second.check_inclusion(leaves[index], index, 700, path, top)
    for n in (0, 999, 1000, 1234067, 2**55 - 1):
        assert second.tile_name(3, n, 112) == tile_path(Tile(3, n, 112))


@given(st.data())
def test_both_refuse_the_same_proofs(data):
    """Proofs for their leaf and tree or others, whole or with a hash missing or added: both accept or both refuse."""
    size = data.draw(st.integers(1, 33))
    place = data.draw(st.integers(0, size - 1))
    claimed_size = data.draw(st.just(size) | st.integers(0, 34))
    claimed_place = data.draw(st.just(place) | st.integers(0, 34))
    cut = data.draw(st.integers(0, 6))
    put = data.draw(st.just([]) | st.lists(st.sampled_from([LEAVES[0], b"short"]), max_size=1))
    left_out = data.draw(st.integers(0, 1) if put else st.just(0))

    def damaged(hashes):
        return [*hashes[:cut], *put, *hashes[cut + left_out :]]

    top, old_top = second.root(LEAVES[:size]), second.root(LEAVES[:place])
    proof = (LEAVES[place], claimed_place, claimed_size, damaged(second.path(place, LEAVES[:size])), top)
    assert accepts(verify_inclusion, *proof) == accepts(second.check_inclusion, *proof)
    proof = (claimed_place, old_top, claimed_size, top, damaged(second.proof(place, LEAVES[:size])))
    assert accepts(verify_consistency, *proof) == accepts(second.check_consistency, *proof)


@given(st.data())
def test_both_refuse_the_same_texts(data):
    """One byte changed, put in or left out of a receipt: both read it alike, or both refuse."""
    text = Receipt(5, tuple(inclusion_path(5, 33, subtree)), note_of(33)).encode()
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.one_of(st.sampled_from(b" \n+=0A\r"), st.integers(0, 255)))
    text = (
        text[:at]
        + data.draw(st.sampled_from([b"", bytes([byte])]))
        + text[at + data.draw(st.integers(0, 1)) :]
    )
    assert accepts(Receipt.decode, text) == accepts(second.read_receipt, text)
    assert accepts(lambda: Receipt.decode(text).verify(ENTRIES[5], LOG)) == accepts(
        second.check_receipt, text, ENTRIES[5], SECOND_LOG
    )
    note = text.partition(b"\n\n")[2]
    assert accepts(parse_note, note) == accepts(second.read_note, note)
    assert accepts(cosignatures, note, [COSIGNER]) == accepts(second.cosigners, note, [SECOND_COSIGNER])


@pytest.mark.parametrize(
    "raw", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\xff" * 32]
)
def test_both_refuse_unsound_keys(raw):
    """Points of small order and non-canonical encodings are no keys."""
    name = b"log.example"
    identified = second.hashlib.sha256(name + b"\n\x01" + raw).hexdigest()[:8]
    vkey = f"{name.decode()}+{identified}+{second.to64(bytes([1]) + raw)}"
    assert not accepts(second.Key, vkey)
    assert not accepts(LogKey.parse, vkey)


def test_the_examples_of_the_pages_hold():
    """What the format pages print is what both implementations write."""
    pages = Path(__file__).resolve().parents[2] / "docs" / "format"
    tree, checkpoint, receipt = (
        (pages / name).read_text("utf-8") for name in ("tree.md", "checkpoint.md", "receipt.md")
    )
    assert re.findall(r"^[0-9a-f]{64}$", tree, re.MULTILINE) == [leaf.hex() for leaf in LEAVES[:5]]
    assert second.root(LEAVES[:5]).hex() in tree
    note = second_note_of(5)
    assert f"```\n{note.decode()}```" in checkpoint
    assert f"{LOG.vkey}\n{COSIGNER.vkey}\n" in checkpoint
    shown = Receipt(2, tuple(inclusion_path(2, 5, subtree)), note).encode().decode()
    asked = second.write_request(3, second.proof(3, LEAVES[:5]), note).decode()
    assert f"```\n{shown}```" in receipt
    assert f"```\n{asked}```" in receipt
