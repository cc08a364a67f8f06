"""The identity chain against a plain model, and against any single change."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crypto.encoding import decode, encode
from crypto.errors import CoffreError, Refusal
from crypto.identity_chain import extend, known_at
from crypto.identity_links import Chain, ReadingKey, RemoveUnlockKey, RevokeDevice, UnlockKey
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealing import key_hash
from tests.strategies import edits
from tests.support.people import NOW, Device, Person, Service, fresh, keyring_step

SERVICE = Service()
SOMEONE = Person(SERVICE)
SOMEONE.new_reading_key()
ENCODED = encode(SOMEONE.chain)
POOL = [Device() for _ in range(3)]
UNLOCK = [UnsealingKey.generate().public for _ in range(2)]
READING = UnsealingKey.generate().public


@settings(max_examples=300, deadline=None)
@given(edits(ENCODED))
def test_one_edit_never_makes_another_chain_of_the_same_name(edited):
    """A disclosed chain with one edit is refused, or it folds to the same keys under the same identity.

    The second happens where only the place in the log or a blinding value was changed, which the log itself decides;
    whatever the last leaf covers gives another reference.
    """
    if edited == ENCODED:
        return
    honest = SOMEONE.known()
    try:
        chain = decode(edited, Chain)
        found = known_at(chain, 2**40, SERVICE.directory.origin, SERVICE.registrars)
    except CoffreError:
        return
    assert found.ref.identity == honest.ref.identity
    assert found.state == honest.state
    if found.ref == honest.ref:
        assert chain.links[-1].disclosure.leaf(chain.links[-1].envelope) == SOMEONE.links[-1].disclosure.leaf(
            SOMEONE.links[-1].envelope
        )


class Chains(RuleBasedStateMachine):
    """Links in any order, by any signers, beside sets that say what must hold."""

    @initialize()
    def begin(self):
        """One person, whose first device is number 0 of the pool's."""
        self.person = Person(SERVICE)
        self.devices, self.gone = {self.person.device.id}, set()
        self.unlock = set(self.person.known().state.unlock_keys)
        self.reading = 1
        self.state = self.person.known().state

    def attempt(self, step, signers, allowed):
        """Extend, and compare with what the model says."""
        envelope = self.person.link(step, signers=signers)
        try:
            state = extend(self.state, envelope, NOW, SERVICE.registrars)
        except Refusal:
            assert not allowed
            return False
        assert allowed
        self.person.add(step, signers=signers)
        # What was published is signed anew, and Ed25519 signs alike: the head is the same.
        self.state = state
        assert state.head == self.person.head.digest
        return True

    def signer(self, number):
        """A device of the pool, or the first one."""
        return [self.person.device, *POOL][number]

    @rule(new=st.integers(0, 2), by=st.integers(0, 3), with_itself=st.booleans())
    def add_device(self, new, by, with_itself):
        """A device comes when a live one and itself sign, and it has never been there."""
        device, signer = POOL[new], self.signer(by)
        signers = {signer.id: signer.signing} | ({device.id: device.signing} if with_itself else {})
        new = device.id not in self.devices | self.gone
        allowed = signer.id in self.devices and device.id in signers and new
        if self.attempt(device.added, list(signers.values()), allowed):
            self.devices.add(device.id)

    @rule(old=st.integers(0, 3), by=st.integers(0, 3), root=st.booleans())
    def revoke_device(self, old, by, root):
        """A device goes for good when a live one signs, with the root or not, and it is there."""
        device, signer = self.signer(old), self.signer(by)
        signers = [signer.signing, self.person.kit.root] if root else [signer.signing]
        allowed = signer.id in self.devices and device.id in self.devices
        if self.attempt(RevokeDevice(device=device.id), signers, allowed):
            self.devices.discard(device.id)
            self.gone.add(device.id)
            self.unlock.discard(key_hash(device.added.sealing))

    @rule(number=st.integers(0, 4), by=st.integers(0, 3))
    def new_reading_key(self, number, by):
        """A reading key comes when its number is the next."""
        signer = self.signer(by)
        allowed = signer.id in self.devices and number == self.reading
        if self.attempt(ReadingKey(number=number, key=READING, keyring=fresh()), [signer.signing], allowed):
            self.reading += 1

    @rule(which=st.integers(0, 1), there=st.booleans())
    @precondition(lambda self: self.person.device.id in self.devices)
    def unlock_key(self, which, there):
        """An unlock key comes when it is not there and goes when it is."""
        name = key_hash(UNLOCK[which])
        step = (
            UnlockKey(kind="passkey", key=UNLOCK[which], recovery=None)
            if there
            else RemoveUnlockKey(key=name)
        )
        if self.attempt(step, [self.person.device.signing], there != (name in self.unlock)):
            self.unlock ^= {name}

    @rule(by=st.integers(0, 3))
    def change_nothing(self, by):
        """The smallest link is for live devices only."""
        signer = self.signer(by)
        self.attempt(keyring_step(), [signer.signing], signer.id in self.devices)

    @invariant()
    def agrees(self):
        """State, model and the folded chain say the same."""
        assert set(self.state.devices) == self.devices
        assert self.state.retired == self.gone
        assert set(self.state.unlock_keys) == self.unlock
        assert len(self.state.reading_keys) == self.reading

    def teardown(self):
        """The disclosed chain folds to the state that was built link by link."""
        assert self.person.known().state == self.state


Chains.TestCase.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestChains = Chains.TestCase


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40))
def test_an_earlier_head_shows_an_earlier_chain(size):
    """At any head of the directory a chain is what stood there: never a later link, and nothing before its first."""
    places = [link.disclosure.index for link in SOMEONE.links]
    if size <= places[0]:
        with pytest.raises(CoffreError):
            SOMEONE.known(size)
        return
    assert SOMEONE.known(size).ref.n == sum(place < size for place in places) - 1
