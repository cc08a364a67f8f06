"""Grant events and their rows against any single change."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import CoffreError, Malformed
from crypto.grants import Row, Rows, rows_root, split_rows
from tests.strategies import bodies, edits, flips
from tests.support.grants import GrantedDocument, GrantMaker
from tests.support.people import Person, Service
from tests.support.vaults import Vault

SERVICE = Service(k=3, n=4)
MAKER = GrantMaker(Vault(SERVICE, [Person(SERVICE)]), Person(SERVICE), 3, 4)
EVENT = MAKER.event(*(GrantedDocument.fresh() for _ in range(3)))

tables = st.lists(bodies(Row), max_size=8, unique_by=lambda row: (row.doc, row.ver)).map(
    lambda rows: sorted(row.to_bytes() for row in rows)
)


@settings(deadline=None)
@given(tables)
def test_rows_survive_the_journey(table):
    """Any rows in order come back from their bytes."""
    named = Rows(root=rows_root(table), count=len(table))
    assert [row.to_bytes() for row in split_rows(b"".join(table), named)] == table


@settings(deadline=None)
@given(tables.filter(bool), st.data())
def test_one_edit_spoils_rows(table, data):
    """Rows with one byte changed, left out, doubled or put in are not those that were signed."""
    joined = b"".join(table)
    edited = data.draw(edits(joined))
    if edited == joined:
        return
    with pytest.raises(Malformed):
        split_rows(edited, Rows(root=rows_root(table), count=len(table)))


@settings(deadline=None)
@given(tables.filter(lambda table: len(table) > 1), st.randoms(use_true_random=False))
def test_rows_have_one_order(table, random):
    """The same rows in another order are refused, even under a root made for that order."""
    shuffled = list(table)
    random.shuffle(shuffled)
    named = Rows(root=rows_root(shuffled), count=len(table))
    if shuffled == table:
        assert list(split_rows(b"".join(shuffled), named))
        return
    with pytest.raises(Malformed):
        split_rows(b"".join(shuffled), named)


@settings(max_examples=150, deadline=None)
@given(flips(EVENT.envelope.body))
def test_one_byte_spoils_an_event(changed):
    """An event with one byte of its body changed is not believed."""
    with pytest.raises(CoffreError):
        MAKER.accept(None, msgspec.structs.replace(EVENT.envelope, body=changed))


def test_the_event_itself_is_believed():
    """The honest twin of the changed events is believed."""
    assert MAKER.accept(None, EVENT.envelope).event == EVENT.body
