"""A keeper's answer: for one request, one leaf, one device, by one keeper."""

import pytest

from crypto import labels
from crypto.encoding import encode, number, pae
from crypto.errors import CannotOpen
from crypto.grants import split_rows
from crypto.sealed.policy_blob import open_policy
from crypto.sealed.release import Release, combine, open_release, release
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealed.wrapping import GrantWrapper, open_a_box
from crypto.sealing import key_hash, seal
from tests.support.grants import GrantedDocument, GrantMaker, request_for
from tests.support.people import LOG, Person, Service, fresh
from tests.support.vaults import Vault

K, N = 3, 4


class Reading:
    """A reader with an event of three documents, and keepers that answer."""

    def __init__(self):
        self.service = Service(K, N)
        self.reader = Person(self.service)
        self.maker = GrantMaker(Vault(self.service, [Person(self.service)]), self.reader, K, N)
        self.documents = [GrantedDocument.fresh() for _ in range(3)]
        self.event = self.maker.event(*self.documents)
        self.digest, self.index = fresh(), 12

    def answers(self, request):
        """Every keeper's sealed answer, by key hash."""
        sealed = {blob.keeper: blob for blob in self.event.blobs}
        made = {}
        for keys in self.service.keepers:
            name = key_hash(keys.unsealing.public)
            blob = open_policy(keys.unsealing, sealed[name], LOG, self.maker.gid)
            made[name] = release(
                blob,
                request,
                self.digest,
                self.index,
                device_key=self.reader.device.unsealing.public,
                keeper=name,
            )
        return made

    def opened(self, answers):
        """The answers as the reader's device opens them."""
        device = self.reader.device.unsealing
        return {
            name: open_release(device, sealed, self.digest, self.index, name)
            for name, sealed in answers.items()
        }


@pytest.fixture(scope="module")
def reading():
    """One honest reading, shared: nothing in it is changed."""
    return Reading()


def unwrapped(reading, act, answers):
    """The document keys that answers for ``act`` open, in the order of the rows."""
    event = reading.event.body
    share_a, _ = open_a_box(reading.reader.reading[0], event, event.a_box)
    wrapper = GrantWrapper(
        share_a,
        vault=event.vault,
        gid=event.gid,
        rekey=event.rekey,
        recipient=reading.reader.identity,
        reading_key=0,
    )
    rows = list(split_rows(reading.event.rows, event.rows))
    asked = sorted(reading.documents, key=lambda entry: (entry.doc, entry.ver))
    request = request_for(reading.reader, reading.event, *asked, act=act)
    chosen = dict(list(reading.opened(reading.answers(request)).items())[:answers])
    together = combine(event.policy, chosen, len(rows))
    return asked, [
        wrapper.unwrap(row.wrap, shares, row.doc, row.ver, row.ct_root)
        for row, shares in zip(rows, together, strict=True)
    ]


def test_enough_answers_open_the_documents(reading):
    """From signed rows, the recipient's box and k answers, every document key comes back."""
    asked, keys = unwrapped(reading, "release", K)
    assert all(key.same_as(entry.key) for key, entry in zip(keys, asked, strict=True))


def test_too_few_answers_open_nothing(reading):
    """With k-1 answers, CannotOpen."""
    with pytest.raises(CannotOpen):
        unwrapped(reading, "release", K - 1)


def test_an_answer_to_list_opens_no_document(reading):
    """Answers to a request to list do not open a document's wrap, from all keepers together."""
    with pytest.raises(CannotOpen):
        unwrapped(reading, "list", N)


def test_an_answer_to_list_opens_the_listing(reading):
    """The listing's wrap in the event opens by answers to act ``list``, and not by others."""
    event, listing = reading.event.body, reading.event.listing
    wrapper = reading.maker.wrapper(reading.reader.known())
    for act, opens in (("list", True), ("release", False)):
        request = request_for(reading.reader, reading.event, listing, act=act)
        (together,) = combine(event.policy, reading.opened(reading.answers(request)), 1)
        ids = (event.listing.doc, event.listing.ver, event.listing.ct_root)
        if opens:
            assert wrapper.unwrap(event.listing.wrap, together, *ids).same_as(listing.key)
        else:
            with pytest.raises(CannotOpen):
                wrapper.unwrap(event.listing.wrap, together, *ids)


def test_an_answer_is_bound_to_request_leaf_device_and_keeper(reading):
    """Taken for another request, leaf, device or keeper, an answer cannot be opened."""
    request = request_for(reading.reader, reading.event, reading.documents[0])
    name, sealed = next(iter(reading.answers(request).items()))
    device, digest, index = reading.reader.device.unsealing, reading.digest, reading.index
    assert open_release(device, sealed, digest, index, name).index == index
    for wrong in (
        (UnsealingKey.generate(), sealed, digest, index, name),
        (device, sealed, fresh(), index, name),
        (device, sealed, digest, index + 1, name),
        (device, sealed, digest, index, fresh()),
        (device, sealed[:-1], digest, index, name),
        (device, sealed[:-1] + bytes([sealed[-1] ^ 1]), digest, index, name),
    ):
        with pytest.raises(CannotOpen):
            open_release(*wrong)


def test_an_answer_speaks_of_its_leaf(reading):
    """An answer that was sealed for one leaf and names another cannot be opened."""
    device, name = reading.reader.device.unsealing, fresh()
    info = pae(labels.RELEASE, reading.digest, number(reading.index), name)
    for index, opens in ((reading.index, True), (reading.index + 1, False)):
        sealed = seal(device.public, info, encode(Release(index=index, subsets=())))
        if opens:
            assert open_release(device, sealed, reading.digest, reading.index, name).index == index
        else:
            with pytest.raises(CannotOpen):
                open_release(device, sealed, reading.digest, reading.index, name)


def test_shares_follow_the_request(reading):
    """A keeper answers one share for each document of the request, in its order, from the request's own fields."""
    first, second = reading.documents[:2]
    one = reading.opened(reading.answers(request_for(reading.reader, reading.event, first, second)))
    two = reading.opened(reading.answers(request_for(reading.reader, reading.event, second, first)))
    for name, answer in one.items():
        for here, there in zip(answer.subsets, two[name].subsets, strict=True):
            assert here.shares == there.shares[::-1]
    assert repr(answer) == "Release(…)"
