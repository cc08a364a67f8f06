"""Who may be granted and what may be answered, rule by rule: each broken alone, beside an honest twin."""

import msgspec
import pytest

from crypto.errors import NotFound, NotPermitted, Stale
from crypto.vault_chain import GrantEntry
from tests.support.grants import GrantedDocument, GrantMaker, request_for
from tests.support.people import DAY, NOW, Person, Service, fresh
from tests.support.vaults import Vault
from vault_server.rules import GrantedRow, check_answerable, check_recipient, check_time

replace = msgspec.structs.replace
SERVICE = Service()
PATIENT, READER, STRANGER = Person(SERVICE), Person(SERVICE), Person(SERVICE)
SERVICE.certify(READER)
DOCUMENTS = [GrantedDocument.fresh(), GrantedDocument.fresh()]
MADE = GrantMaker(Vault(SERVICE, [PATIENT]), READER).event(*DOCUMENTS)
HONEST = {
    "request": request_for(READER, MADE, *DOCUMENTS),
    "shown": [READER.known().state],
    "never_granted": ("insurer",),
    "entry": GrantEntry(
        gid=MADE.body.gid,
        recipient=READER.identity,
        j=0,
        event=MADE.envelope.digest,
        rekey=0,
        epoch_first=0,
        epoch=0,
        ended=False,
    ),
    "event": MADE.body,
    "rows": {each.ver: GrantedRow(each.doc, each.ct_root, 0) for each in DOCUMENTS},
    "closed": (),
    "now": NOW,
}
ENTRY, EVENT, REQUEST, ROWS = (HONEST[name] for name in ("entry", "event", "request", "rows"))
FIRST = DOCUMENTS[0]


def with_row(row):
    """The rows with another one for the first document."""
    return {**ROWS, FIRST.ver: row}


def asking_rekey(number):
    """The request for the first document as of another rekey."""
    return replace(REQUEST, documents=(replace(REQUEST.documents[0], rekey=number), REQUEST.documents[1]))


def test_a_request_within_its_grant_is_answered():
    """Nothing is raised for what the grant allows, to the last second before it expires."""
    check_answerable(**HONEST)
    check_answerable(**{**HONEST, "now": EVENT.expiry - 1})
    check_answerable(**{**HONEST, "closed": (fresh(16),)})


@pytest.mark.parametrize(
    "changes",
    [
        {"entry": replace(ENTRY, ended=True)},
        {"event": replace(EVENT, origin="vault.example/coffre/log/1")},
        {"entry": replace(ENTRY, recipient=STRANGER.identity)},
        {"event": replace(EVENT, excluded=(READER.identity,))},
        {"event": replace(EVENT, acts=("list",))},
        {"now": EVENT.expiry},
        {"shown": [READER.known().state, STRANGER.known().state]},
        {"never_granted": ("demo",)},
        {"rows": {}},
        {"rows": with_row(GrantedRow(fresh(16), FIRST.ct_root, 0))},
        {"rows": with_row(GrantedRow(FIRST.doc, fresh(), 0))},
        {"rows": with_row(GrantedRow(FIRST.doc, FIRST.ct_root, 1))},
        {"entry": replace(ENTRY, rekey=1)},
        {"request": asking_rekey(1)},
        {"closed": (DOCUMENTS[1].doc,)},
    ],
    ids=[
        "ended",
        "another log",
        "another recipient",
        "a member left out",
        "another act",
        "expired",
        "a team without certificate",
        "a scheme never granted",
        "not granted",
        "another document",
        "other content",
        "a row of another rekey",
        "a newer rekey",
        "asked for another rekey",
        "masked",
    ],
)
def test_anything_else_is_not_found(changes):
    """Whatever is wrong, the answer is the same."""
    with pytest.raises(NotFound):
        check_answerable(**{**HONEST, **changes})


def test_a_recipient_is_certified():
    """A certificate in force is needed, of a scheme that may be granted."""
    state = READER.known().state
    check_recipient(state, ("insurer",), NOW)
    for refused, never, now in (
        (STRANGER.known().state, (), NOW),
        (state, ("demo",), NOW),
        (state, (), NOW + 365 * DAY),
    ):
        with pytest.raises(NotPermitted):
            check_recipient(refused, never, now)


def test_a_request_is_of_its_time():
    """Ten minutes either way, and not a second more."""
    for signed in (NOW - 600, NOW + 600):
        check_time(signed, NOW)
    for signed in (NOW - 601, NOW + 601):
        with pytest.raises(Stale):
            check_time(signed, NOW)
