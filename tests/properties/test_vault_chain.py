"""The vault chain against a plain model: any operations, in any order, in links of one to four."""

import copy

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crypto.encoding import decode, encode
from crypto.errors import CoffreError, Refusal
from crypto.signing import Envelope
from crypto.vault_chain import VaultView, follow
from crypto.vault_links import (
    AddVersion,
    Block,
    End,
    Grant,
    Mask,
    PolicyPart,
    ProfilePart,
    Reseal,
    Rotate,
    SnapshotPart,
    Tombstone,
)
from tests.strategies import edits, flips
from tests.support.people import Person, Service
from tests.support.vaults import Epoch, Vault

SERVICE = Service()
PATIENT = Person(SERVICE)
DOCS = [bytes([n]) * 16 for n in range(2)]
VERS = [bytes([n]) * 16 for n in range(3)]
GIDS = [bytes([n]) * 32 for n in range(2)]
WHO = [bytes([n]) * 32 for n in range(2)]
HASH = bytes(32)
ROTATIONS = [Epoch(number).step for number in range(4)]

operations = st.one_of(
    st.builds(
        AddVersion,
        doc=st.sampled_from(DOCS),
        ver=st.sampled_from(VERS),
        ct_root=st.just(HASH),
        length=st.just(5),
        epoch=st.integers(0, 2),
        self_wrap=st.just(HASH),
        descriptor=st.just(HASH),
    ),
    st.builds(Tombstone, doc=st.sampled_from(DOCS)),
    st.builds(Mask, doc=st.sampled_from(DOCS), masked=st.booleans()),
    st.builds(
        Grant,
        gid=st.sampled_from(GIDS),
        j=st.integers(0, 2),
        event=st.just(HASH),
        recipient=st.sampled_from(WHO),
        rekey=st.integers(0, 1),
        epoch=st.integers(0, 1),
    ),
    st.builds(End, gid=st.sampled_from(GIDS)),
    st.builds(Block, identity=st.sampled_from(WHO), blocked=st.booleans()),
    st.integers(0, 3).map(lambda number: ROTATIONS[number]),
    st.just(Reseal(keyring=HASH)),
    st.sampled_from([PolicyPart(part=HASH), ProfilePart(part=HASH), SnapshotPart(part=HASH)]),
)


class Model:
    """What the rules say, written a second time in plain sets and numbers."""

    def __init__(self):
        self.epoch, self.versions, self.deleted, self.masked = 0, {}, set(), set()
        self.grants, self.ended, self.blocked = {}, set(), set()

    def apply(self, step) -> bool:
        """Apply one operation; False when it is not allowed."""
        match step:
            case AddVersion(doc=doc, ver=ver):
                allowed = (
                    doc not in self.deleted
                    and ver not in self.versions.get(doc, [])
                    and step.epoch == self.epoch
                )
                if allowed:
                    self.versions.setdefault(doc, []).append(ver)
                return allowed
            case Tombstone(doc=doc):
                allowed = doc in self.versions and doc not in self.deleted
                self.deleted |= {doc} if allowed else set()
                return allowed
            case Mask(doc=doc, masked=masked):
                if doc not in self.versions or doc in self.deleted:
                    return False
                self.masked = self.masked | {doc} if masked else self.masked - {doc}
                return True
            case Grant(gid=gid, j=j, recipient=recipient, rekey=rekey, epoch=epoch):
                if recipient in self.blocked or gid in self.ended or epoch != self.epoch:
                    return False
                if gid not in self.grants:
                    allowed = (j, rekey) == (0, 0)
                else:
                    last_j, last_recipient, last_rekey, last_epoch = self.grants[gid]
                    allowed = (j, recipient) == (last_j + 1, last_recipient) and (
                        rekey == last_rekey + 1 or (rekey == last_rekey and epoch == last_epoch)
                    )
                if allowed:
                    self.grants[gid] = (j, recipient, rekey, epoch)
                return allowed
            case End(gid=gid):
                allowed = gid in self.grants and gid not in self.ended
                self.ended |= {gid} if allowed else set()
                return allowed
            case Block(identity=identity, blocked=blocked):
                self.blocked = self.blocked | {identity} if blocked else self.blocked - {identity}
                return True
            case Reseal() | PolicyPart() | ProfilePart() | SnapshotPart():
                return True
            case _:
                allowed = step.epoch == self.epoch + 1
                self.epoch += allowed
                return allowed


class Records(RuleBasedStateMachine):
    """Links of random operations, each compared with the model."""

    @initialize()
    def begin(self):
        """A new record."""
        self.vault, self.model = Vault(SERVICE, [PATIENT]), Model()

    @rule(steps=st.lists(operations, min_size=1, max_size=4))
    def link(self, steps):
        """A link is followed just when it changes the keyring once at most and each operation is allowed in turn."""
        model = copy.deepcopy(self.model)
        keyrings = [step for step in steps if isinstance(step, Rotate | Reseal)]
        allowed = len(keyrings) < 2 and all(model.apply(step) for step in steps)
        try:
            self.vault.add(*steps)
        except Refusal:
            assert not allowed
            return
        assert allowed
        self.model = model

    @rule(steps=st.lists(operations, min_size=1, max_size=3))
    def look_at_little(self, steps):
        """A view that holds only what the operations name gives the same changes as the whole."""
        envelope, whole = self.vault.link(*steps), self.vault.view
        docs = {step.doc for step in steps if hasattr(step, "doc")}
        gids = {step.gid for step in steps if hasattr(step, "gid")}
        little = VaultView(
            head=whole.head,
            documents={doc: entry for doc, entry in whole.documents.items() if doc in docs},
            grants={gid: entry for gid, entry in whole.grants.items() if gid in gids},
            blocked=whole.blocked,
        )
        outcomes = []
        for view in (whole, little):
            try:
                outcomes.append(follow(view, envelope, self.vault.known))
            except Refusal as refusal:
                outcomes.append(str(refusal))
        assert outcomes[0] == outcomes[1]

    @invariant()
    def agrees(self):
        """The view says what the model says."""
        view = self.vault.view
        assert {
            doc: [v.ver for v in entry.versions] for doc, entry in view.documents.items()
        } == self.model.versions
        assert {doc for doc, entry in view.documents.items() if entry.deleted} == self.model.deleted
        assert {doc for doc, entry in view.documents.items() if entry.masked} == self.model.masked
        assert {
            gid: (entry.j, entry.recipient, entry.rekey, entry.epoch) for gid, entry in view.grants.items()
        } == self.model.grants
        assert {gid for gid, entry in view.grants.items() if entry.ended} == self.model.ended
        assert {who for who, blocked in view.blocked.items() if blocked} == self.model.blocked
        assert view.head.keys.epoch == self.model.epoch


Records.TestCase.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRecords = Records.TestCase

VAULT = Vault(SERVICE, [PATIENT])
LINK = VAULT.link(Block(identity=WHO[0], blocked=True))


def test_the_link_itself_is_followed():
    """The honest twin of the changed links is followed."""
    assert follow(VAULT.view, LINK, VAULT.known).blocked == {WHO[0]: True}


@settings(max_examples=100, deadline=None)
@given(flips(LINK.body))
def test_one_byte_spoils_a_link(changed):
    """A link with one byte of its body changed is refused."""
    with pytest.raises(CoffreError):
        follow(VAULT.view, msgspec.structs.replace(LINK, body=changed), VAULT.known)


@settings(max_examples=100, deadline=None)
@given(edits(encode(LINK)))
def test_one_edit_spoils_a_signed_link(edited):
    """A signed link with one edit anywhere does not parse or is refused."""
    if edited == encode(LINK):
        return
    with pytest.raises(CoffreError):
        follow(VAULT.view, decode(edited, Envelope), VAULT.known)
