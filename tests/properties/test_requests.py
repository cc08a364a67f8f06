"""Access requests against any single change."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import labels
from crypto.encoding import decode, encode
from crypto.errors import CoffreError, Malformed
from crypto.requests import AccessRequest, check_request, read_request
from crypto.signing import Envelope, sign
from tests.strategies import bodies, edits, flips
from tests.support.grants import GrantedDocument, GrantMaker, request_for
from tests.support.people import NOW, Person, Service
from tests.support.vaults import Vault

SERVICE = Service()
READER = Person(SERVICE)
KNOWN = READER.known()
DOCUMENTS = [GrantedDocument.fresh() for _ in range(2)]
EVENT = GrantMaker(Vault(SERVICE, [Person(SERVICE)]), READER).event(*DOCUMENTS)
REQUEST = sign(labels.ACCESS_REQUEST, request_for(READER, EVENT, *DOCUMENTS), READER.device.signing)


def test_the_request_itself_is_read():
    """The honest twin of the changed requests is read."""
    assert len(check_request(REQUEST, KNOWN, None, NOW).documents) == 2


@settings(max_examples=150, deadline=None)
@given(flips(REQUEST.body))
def test_one_byte_spoils_a_request(changed):
    """A request with one byte of its body changed opens nothing."""
    with pytest.raises(CoffreError):
        check_request(msgspec.structs.replace(REQUEST, body=changed), KNOWN, None, NOW)


@settings(max_examples=150, deadline=None)
@given(edits(encode(REQUEST)))
def test_one_edit_spoils_a_signed_request(edited):
    """A signed request with one edit anywhere does not parse or is not accepted."""
    if edited == encode(REQUEST):
        return
    with pytest.raises(CoffreError):
        check_request(decode(edited, Envelope), KNOWN, None, NOW)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_request_is_read_as_it_was_written(data):
    """A request of any content is read back unchanged, unless it names a version twice."""
    request = data.draw(bodies(AccessRequest))
    names = [(entry.doc, entry.ver) for entry in request.documents]
    signed = sign(labels.ACCESS_REQUEST, request, READER.device.signing)
    if len(set(names)) != len(names):
        with pytest.raises(Malformed):
            read_request(signed)
        request = msgspec.structs.replace(request, documents=request.documents[:1])
        signed = sign(labels.ACCESS_REQUEST, request, READER.device.signing)
    assert read_request(signed) == request
