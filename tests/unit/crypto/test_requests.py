"""Access requests, rule by rule, each beside an honest twin that passes."""

import msgspec
import pytest

from crypto import labels
from crypto.encoding import encode, pae
from crypto.errors import BadSignature, Malformed, NotPermitted
from crypto.identity_links import AddMember, Delegate, EndDelegation, RemoveMember, RevokeDevice
from crypto.requests import MAX_DOCUMENTS, Purpose, check_request, purpose_info, read_request
from crypto.signing import sign, sign_encoded
from tests.support.grants import GrantedDocument, GrantMaker, request_for
from tests.support.people import LOG, NOW, Device, Person, Service, fresh
from tests.support.vaults import Vault

replace = msgspec.structs.replace
SERVICE = Service()
READER, OTHER, TEAM = Person(SERVICE), Person(SERVICE), Person(SERVICE, kind="team")
TEAM.add(AddMember(identity=READER.identity))
DOCUMENTS = [GrantedDocument.fresh() for _ in range(2)]
EVENT = GrantMaker(Vault(SERVICE, [Person(SERVICE)]), READER).event(*DOCUMENTS)
REQUEST = request_for(READER, EVENT, *DOCUMENTS)


def signed(request=REQUEST, *devices):
    """A request signed by the reader's device, or others."""
    return sign(labels.ACCESS_REQUEST, request, *(device.signing for device in devices or [READER.device]))


def test_an_honest_request_is_read():
    """A request signed by the device it names comes back, and its recipient is the reader."""
    request = check_request(signed(), READER.known(), None, NOW)
    assert request == REQUEST
    assert request.recipient == READER.identity


def test_a_request_is_signed_by_just_its_device():
    """Another device, a second signature, another identity and another label are BadSignature."""
    second = Device()
    READER.add(second.added, signers=[READER.device.signing, second.signing])
    known = READER.known()
    assert check_request(signed(), known, None, NOW)
    assert check_request(signed(replace(REQUEST, device=second.id), second), known, None, NOW)
    for envelope in (
        signed(REQUEST, second),
        signed(REQUEST, READER.device, second),
        signed(replace(REQUEST, device=second.id)),
        signed(replace(REQUEST, identity=OTHER.identity)),
        signed(REQUEST, OTHER.device),
        signed(replace(REQUEST, device=OTHER.device.id), OTHER.device),
        sign(labels.LOGIN, REQUEST, READER.device.signing),
    ):
        with pytest.raises(BadSignature):
            check_request(envelope, known, None, NOW)
    with pytest.raises(BadSignature):
        check_request(signed(), OTHER.known(), None, NOW)


def test_a_revoked_device_asks_for_nothing():
    """A device is live where the reader's chain is folded, or it is refused."""
    reader, second = Person(SERVICE), Device()
    reader.add(second.added, signers=[reader.device.signing, second.signing])
    request = request_for(reader, EVENT, *DOCUMENTS, device=second.id)
    assert check_request(signed(request, second), reader.known(), None, NOW)
    before = SERVICE.directory.frontier.size
    reader.add(RevokeDevice(device=second.id))
    with pytest.raises(BadSignature):
        check_request(signed(request, second), reader.known(), None, NOW)
    assert check_request(signed(request, second), reader.known(before), None, NOW)


def test_a_member_acts_for_its_team():
    """For a team's grant the team is shown and the reader is a member; else NotPermitted."""
    request = replace(REQUEST, team=TEAM.identity)
    checked = check_request(signed(request), READER.known(), TEAM.known(), NOW)
    assert checked.recipient == TEAM.identity
    another = Person(SERVICE, kind="team")
    another.add(AddMember(identity=READER.identity))
    for team in (None, OTHER.known(), another.known(), Person(SERVICE, kind="team").known()):
        with pytest.raises(NotPermitted):
            check_request(signed(request), READER.known(), team, NOW)
    stranger = replace(request_for(OTHER, EVENT, *DOCUMENTS), team=TEAM.identity)
    with pytest.raises(NotPermitted):
        check_request(signed(stranger, OTHER.device), OTHER.known(), TEAM.known(), NOW)


def test_a_former_member_acts_no_more():
    """Membership counts where the team's chain is folded."""
    team = Person(SERVICE, kind="team")
    team.add(AddMember(identity=READER.identity))
    request = replace(REQUEST, team=team.identity)
    assert check_request(signed(request), READER.known(), team.known(), NOW)
    team.add(RemoveMember(identity=READER.identity))
    with pytest.raises(NotPermitted):
        check_request(signed(request), READER.known(), team.known(), NOW)


@pytest.mark.parametrize("kind", ["person", "team"])
def test_a_delegate_acts_until_its_time_is_over(kind):
    """A delegate acts for a team or a person like a member, to the second before ``until`` and not after its end."""
    principal = Person(SERVICE, kind=kind)
    principal.add(Delegate(identity=READER.identity, purposes=("TREAT",), until=NOW + 60))
    request = replace(REQUEST, team=principal.identity)
    checked = check_request(signed(request), READER.known(), principal.known(), NOW + 59)
    assert checked.recipient == principal.identity
    with pytest.raises(NotPermitted):
        check_request(signed(request), READER.known(), principal.known(), NOW + 60)
    stranger = replace(request_for(OTHER, EVENT, *DOCUMENTS), team=principal.identity)
    with pytest.raises(NotPermitted):
        check_request(signed(stranger, OTHER.device), OTHER.known(), principal.known(), NOW)
    principal.add(EndDelegation(identity=READER.identity))
    with pytest.raises(NotPermitted):
        check_request(signed(request), READER.known(), principal.known(), NOW)


ENTRY = REQUEST.documents[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"suite": "coffre-2"},
        {"documents": (ENTRY, ENTRY)},
        {"documents": (ENTRY, replace(ENTRY, rekey=1))},
        {"documents": (ENTRY, replace(ENTRY, ct_root=fresh()))},
        {"documents": ()},
        {"documents": tuple(replace(ENTRY, ver=fresh(16)) for _ in range(MAX_DOCUMENTS + 1))},
    ],
    ids=["suite", "twice", "twice with two rekeys", "twice with two roots", "no document", "257 documents"],
)
def test_a_malformed_request_opens_nothing(changes):
    """Another suite, a version named twice, no document and too many are Malformed."""
    with pytest.raises(Malformed):
        read_request(signed(replace(REQUEST, **changes)))
    with pytest.raises(Malformed):
        check_request(signed(replace(REQUEST, **changes)), READER.known(), None, NOW)


def test_256_documents_are_asked_for_at_once():
    """The largest request is read; two versions of one document are two."""
    many = replace(REQUEST, documents=tuple(replace(ENTRY, ver=fresh(16)) for _ in range(MAX_DOCUMENTS)))
    assert len(read_request(signed(many)).documents) == MAX_DOCUMENTS


def test_an_unknown_act_is_malformed():
    """An act that this suite does not know is refused, not taken for another."""
    body = encode(REQUEST)
    assert body.count(b'"act":"release"') == 1
    for act in (b"open", b"Release", b"", b"list,release"):
        other = body.replace(b'"act":"release"', b'"act":"%b"' % act)
        with pytest.raises(Malformed):
            read_request(sign_encoded(labels.ACCESS_REQUEST, other, READER.device.signing))


def test_a_purpose_is_bound_and_does_not_print():
    """The binding of a sealed purpose is to log, grant and nonce, in this order; its repr shows nothing."""
    gid, nonce = fresh(), fresh(16)
    made = {
        purpose_info(LOG, gid, nonce),
        purpose_info(LOG + "1", gid, nonce),
        purpose_info(LOG, fresh(), nonce),
        purpose_info(LOG, gid, fresh(16)),
    }
    assert len(made) == 4
    assert purpose_info(LOG, gid, nonce) == pae(labels.PURPOSE, LOG.encode(), gid, nonce)
    purpose = Purpose(code="TREAT", role="doctor", organisation="clinic", name="Dr Exemple", reason="fever")
    assert repr(purpose) == "Purpose(…)"
