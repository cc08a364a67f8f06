"""What a keeper is told, and that it is told for one event, one keeper and one trust root."""

import msgspec
import pytest

from crypto import labels
from crypto.encoding import encode, number, pae
from crypto.errors import CannotOpen, Malformed
from crypto.grants import SealedPolicy
from crypto.padding import pad_record
from crypto.sealed.policy_blob import open_policy, seal_policy
from crypto.sealing import key_hash, seal
from tests.support.grants import GrantedDocument, GrantMaker, policy_over
from tests.support.people import LOG, Person, Service, fresh
from tests.support.vaults import Vault


@pytest.fixture(scope="module")
def maker():
    """A grant over four keepers, with one event made."""
    service = Service(k=3, n=4)
    made = GrantMaker(Vault(service, [Person(service)]), Person(service), k=3, n=4)
    made.first = made.event(GrantedDocument.fresh())
    return made


def keys_by_name(maker):
    """The keepers' private keys by key hash."""
    return {key_hash(keys.unsealing.public): keys.unsealing for keys in maker.service.keepers}


def test_each_keeper_opens_its_own_blob(maker):
    """Every keeper reads its blob, with just the seeds of the subsets it is in, and no other keeper's."""
    policy = policy_over(maker.service, 3, 4)
    keys = keys_by_name(maker)
    for place, sealed in enumerate(maker.first.blobs):
        blob = open_policy(keys[sealed.keeper], sealed, LOG, maker.gid)
        assert blob == maker.blob(policy, place)
        assert len(blob.seeds) == 3
        for name, key in keys.items():
            if name != sealed.keeper:
                with pytest.raises(CannotOpen):
                    open_policy(key, sealed, LOG, maker.gid)


@pytest.mark.parametrize("field", ["j", "trust_root", "box"])
def test_a_blob_is_bound_to_what_stands_beside_it(maker, field):
    """Another event number, trust root or box in clear: CannotOpen."""
    sealed = maker.first.blobs[0]
    key = keys_by_name(maker)[sealed.keeper]
    other = {"j": 1, "trust_root": fresh(), "box": maker.first.blobs[1].box}[field]
    assert open_policy(key, sealed, LOG, maker.gid)
    with pytest.raises(CannotOpen):
        open_policy(key, msgspec.structs.replace(sealed, **{field: other}), LOG, maker.gid)


def test_a_blob_is_bound_to_its_grant(maker):
    """Asked about another grant or another log, CannotOpen."""
    sealed = maker.first.blobs[0]
    key = keys_by_name(maker)[sealed.keeper]
    for origin, gid in ((LOG, fresh()), (LOG + "1", maker.gid)):
        with pytest.raises(CannotOpen):
            open_policy(key, sealed, origin, gid)


@pytest.mark.parametrize("change", [{"j": 4}, {"gid": fresh()}, {"origin": "elsewhere.example/coffre/log/0"}])
def test_a_blob_that_contradicts_its_binding_is_refused(maker, change):
    """What was sealed for one event and speaks of another, grant or log cannot be opened."""
    keys = maker.service.keepers[0].unsealing
    honest = maker.blob(policy_over(maker.service, 3, 4), 0)
    root = maker.service.accepted.ref.digest
    assert open_policy(keys, seal_policy(honest, keys.public, root), LOG, maker.gid) == honest
    lying = msgspec.structs.replace(honest, **change)
    info = pae(labels.POLICY, LOG.encode(), maker.gid, number(honest.j), key_hash(keys.public), root)
    box = seal(keys.public, info, pad_record(encode(lying)))
    sealed = SealedPolicy(keeper=key_hash(keys.public), j=honest.j, trust_root=root, box=box)
    with pytest.raises(CannotOpen):
        open_policy(keys, sealed, LOG, maker.gid)


def test_something_else_in_the_box_is_refused(maker):
    """A box that opens but holds no padded record, or another record, is refused."""
    key = maker.service.keepers[0].unsealing
    root = maker.service.accepted.ref.digest
    info = pae(labels.POLICY, LOG.encode(), maker.gid, number(0), key_hash(key.public), root)
    for content, error in ((b"{}", CannotOpen), (pad_record(b"{}"), Malformed)):
        box = seal(key.public, info, content)
        with pytest.raises(error):
            open_policy(
                key, SealedPolicy(keeper=key_hash(key.public), j=0, trust_root=root, box=box), LOG, maker.gid
            )


def test_blobs_do_not_print(maker):
    """Neither blob nor seed shows what it holds."""
    blob = maker.blob(policy_over(maker.service, 3, 4), 0)
    assert repr(blob) == "PolicyBlob(…)"
    assert repr(blob.seeds) == "(Seed(…), Seed(…), Seed(…))"
