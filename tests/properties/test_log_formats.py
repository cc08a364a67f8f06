"""What holds for every tree, note, receipt and tile: proofs at any size, one text per meaning, no byte to spare."""

from functools import reduce

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
from crypto.errors import CoffreError, Malformed, NotProven
from crypto.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from crypto.receipt import AddCheckpoint, Receipt
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from crypto.tiles import Tile, decode_bundle, encode_bundle, parse_tile_path, subtree_reader, tile_path

KEY, COSIGNER = (SigningKey(SecretBytes(bytes([number]) * 32)) for number in (1, 2))
ORIGIN = "vault.example/coffre/log/7"
LOG = LogKey(ORIGIN, KEY.public)
KEEPER = CosignerKey("keeper.example/one", COSIGNER.public)

# In a tree whose leaves are all the same, a subtree's hash depends on its level only: trees of any size for nothing.
SAME = [leaf_hash(b"same")]
for _ in range(63):
    SAME.append(node_hash(SAME[-1], SAME[-1]))


class Counted:
    """The subtrees of that tree, counting the questions."""

    def __init__(self):
        self.asked = 0

    def __call__(self, level, index):
        self.asked += 1
        return SAME[level]


def same_root(size):
    return Frontier(size, [SAME[level] for level in range(63, -1, -1) if size >> level & 1]).root()


sizes = st.one_of(
    st.integers(1, 600), st.integers(1, 2**63 - 1), st.integers(0, 62).map(lambda level: 1 << level)
)
hashes = st.binary(min_size=32, max_size=32)
one_line = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)
names = one_line.filter(lambda name: "+" not in name and not any(map(str.isspace, name)))
checkpoints = st.builds(Checkpoint, names, st.integers(1, 2**63 - 1), hashes)


@given(sizes, st.data())
def test_inclusion_holds_at_any_size(size, data):
    """A proof is made with at most two questions a level, and verifies."""
    index = data.draw(st.integers(0, size - 1))
    subtrees = Counted()
    path = inclusion_path(index, size, subtrees)
    assert subtrees.asked <= 2 * size.bit_length()
    verify_inclusion(SAME[0], index, size, path, same_root(size))
    with pytest.raises(NotProven):
        verify_inclusion(SAME[1], index, size, path, same_root(size))


@given(sizes, st.data())
def test_consistency_holds_at_any_size(new, data):
    """A proof is made with at most two questions a level, and verifies."""
    old = data.draw(
        st.one_of(st.integers(1, new), st.integers(0, new.bit_length() - 1).map(lambda level: 1 << level))
    )
    subtrees = Counted()
    path = consistency_path(old, new, subtrees)
    assert subtrees.asked <= 2 * new.bit_length()
    verify_consistency(old, same_root(old), new, same_root(new), path)
    if old < new:
        with pytest.raises(NotProven):
            verify_consistency(old, EMPTY_ROOT, new, same_root(new), path)


@given(st.integers(1, 256**6), st.data())
def test_proofs_are_read_from_the_tiles_of_any_tree(size, data):
    """Every tile asked for is one of the tree, and the proof made from them is that made from the tree."""

    def read(tile):
        assert tile.n * 256 + tile.width <= size >> 8 * tile.level
        return SAME[8 * tile.level] * tile.width

    index = data.draw(st.integers(0, size - 1))
    expected = inclusion_path(index, size, Counted())
    assert inclusion_path(index, size, subtree_reader(size, read)) == expected
    expected = consistency_path(index, size, Counted())
    assert consistency_path(index, size, subtree_reader(size, read)) == expected


@given(st.lists(st.tuples(st.booleans(), hashes), max_size=40))
def test_a_frontier_equals_its_leaves(steps):
    """However leaves and subtrees are mixed, the root is that over all leaves below."""
    frontier, leaves = Frontier(), []
    for doubled, leaf in steps:
        level = int(doubled and frontier.size % 2 == 0)
        added = [leaf] * (1 << level)
        frontier.append_subtree(reduce(node_hash, added), level)
        leaves += added
        assert (frontier.size, frontier.root()) == (len(leaves), root_of(leaves))


@given(checkpoints, st.integers(0, 2**63 - 1))
def test_a_checkpoint_goes_round(checkpoint, time):
    """What is signed and cosigned is opened as the same head and the same time, and written again alike."""
    log = LogKey(checkpoint.origin, KEY.public)
    note = sign_checkpoint(checkpoint, KEY) + cosign(checkpoint, KEEPER.name, COSIGNER, time)
    assert open_checkpoint(note, log) == checkpoint
    assert cosignatures(note, [KEEPER]) == {COSIGNER.public.key_id: time}
    assert parse_note(note).encode() == note
    assert Checkpoint.parse(checkpoint.text) == checkpoint
    assert LogKey.parse(log.vkey).id == log.id


CHECKPOINT = Checkpoint(ORIGIN, 3, root_of([SAME[0]] * 3))
NOTE = sign_checkpoint(CHECKPOINT, KEY) + cosign(CHECKPOINT, KEEPER.name, COSIGNER, 1_790_000_000)
RECEIPT = Receipt(1, (SAME[0], SAME[0]), NOTE).encode()
REQUEST = AddCheckpoint(2, (SAME[0],), NOTE).encode()


def changed(data):
    """``data`` with one byte changed, left out or put in, at every place hypothesis likes."""
    places = st.integers(0, len(data) - 1)
    return st.one_of(
        st.tuples(places, st.integers(1, 255)).map(
            lambda at: data[: at[0]] + bytes([data[at[0]] ^ at[1]]) + data[at[0] + 1 :]
        ),
        places.map(lambda at: data[:at] + data[at + 1 :]),
        st.tuples(places, st.binary(min_size=1, max_size=1)).map(
            lambda at: data[: at[0]] + at[1] + data[at[0] :]
        ),
    ).filter(lambda result: result != data)


def believed(check, *arguments):
    """What ``check`` returns, or None when it refuses."""
    try:
        return check(*arguments)
    except CoffreError:
        return None


@given(changed(NOTE))
def test_one_changed_byte_never_changes_what_is_believed(note):
    """A note that is one byte off is refused, or at most loses a signer; it never says something else."""
    assert believed(open_checkpoint, note, LOG) in (None, CHECKPOINT)
    assert believed(cosignatures, note, [KEEPER]) in (None, {}, {COSIGNER.public.key_id: 1_790_000_000})


@given(st.one_of(changed(NOTE), st.binary(max_size=200), one_line.map(str.encode)))
def test_a_note_that_parses_is_written_to_the_same_bytes(data):
    """There is one encoding of a note."""
    note = believed(parse_note, data)
    assert note is None or note.encode() == data


@given(st.one_of(changed(RECEIPT), changed(REQUEST), st.binary(max_size=200)))
def test_a_receipt_or_request_that_parses_is_written_to_the_same_bytes(data):
    """There is one encoding of a receipt and of a request."""
    for kind in (Receipt, AddCheckpoint):
        parsed = believed(kind.decode, data)
        assert parsed is None or parsed.encode() == data


@given(changed(RECEIPT))
def test_one_changed_byte_never_shows_another_leaf(data):
    """A receipt that is one byte off is refused, or shows the same leaf under the same head."""
    receipt = believed(Receipt.decode, data)
    if receipt is not None:
        assert believed(receipt.verify, b"same", LOG) in (None, CHECKPOINT)
        assert believed(receipt.verify, b"other", LOG) is None


@given(st.integers(0, 63) | st.just("entries"), st.integers(0, 2**55 - 1), st.integers(1, 256))
def test_a_tile_path_goes_round(level, n, width):
    """Every tile has one path, which names it."""
    assert parse_tile_path(tile_path(Tile(level, n, width))) == (level, n, width)


@given(
    st.one_of(changed(b"tile/0/x001/x234/067.p/112"), changed(b"tile/entries/000"), st.binary(max_size=30))
)
def test_a_tile_path_that_parses_is_written_to_the_same_text(data):
    """There is one path for a tile."""
    path = data.decode("latin-1")
    tile = believed(parse_tile_path, path)
    assert tile is None or tile_path(tile) == path


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_goes_round(entries):
    """Entries come back as they were, and the bundle has no byte to spare."""
    data = encode_bundle(entries)
    assert decode_bundle(data, len(entries)) == entries
    for bad in (data[:-1], data + b"\0"):
        with pytest.raises(Malformed):
            decode_bundle(bad, len(entries))
