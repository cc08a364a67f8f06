"""The identity chain, rule by rule: each broken alone is refused, beside an honest twin that passes."""

import msgspec
import pytest

from crypto import identity_chain, identity_state, labels
from crypto.errors import BadSignature, BrokenChain, CoffreError, Malformed, NotPermitted, NotProven
from crypto.identity_chain import LONGEST_CERTIFICATE, SEVEN_DAYS, RegistrarKey, extend, fold
from crypto.identity_links import (
    AddDevice,
    AddMember,
    Certify,
    Chain,
    Complete,
    Delegate,
    EndDelegation,
    Operation,
    ReadingKey,
    Recover,
    RemoveMember,
    RemoveUnlockKey,
    Reset,
    RevokeDevice,
    Root,
    RotateRoot,
    Stop,
    UnlockKey,
    UseRoot,
    Withdraw,
    identity_id,
    root_use,
)
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealing import key_hash
from crypto.signing import SigningKey, sign
from tests.support.people import DAY, NOW, Device, Person, Service, certificate, fresh, keyring_step

replace = msgspec.structs.replace
SERVICE = Service()
REGISTRARS = SERVICE.registrars
NOTHING = bytes(32)
BAD_SEALING = b"\xff" * 1216


@pytest.fixture
def person():
    """Somebody with link 0 only."""
    return Person(SERVICE)


@pytest.fixture
def team():
    """A team with link 0 only."""
    return Person(SERVICE, kind="team")


def state_of(person):
    """What a person's chain says now."""
    return person.known().state


def extended(person, *steps, signers=(), time=NOW, **changes):
    """The state after a link that is not published."""
    return extend(state_of(person), person.link(*steps, signers=signers, **changes), time, REGISTRARS)


def refused(error, person, *steps, **how):
    """The link is refused with ``error``, and the state is what it was."""
    before = state_of(person)
    with pytest.raises(error):
        extended(person, *steps, **how)
    assert state_of(person) == before


# Link 0


def founding(person, *operations, signers=None, **changes):
    """Link 0 of ``person`` again, with other operations, fields or signers."""
    body = msgspec.json.decode(person.links[0].envelope.body, type=type(person.body(keyring_step())))
    body = replace(body, operations=operations or body.operations, **changes)
    keys = signers or (person.kit.root, person.device.signing, person.recovery)
    return sign(labels.IDENTITY_LINK, body, *keys)


def operations_of(person):
    """The operations of link 0."""
    return msgspec.json.decode(
        person.links[0].envelope.body, type=type(person.body(keyring_step()))
    ).operations


def test_an_honest_first_link_founds_an_identity(person):
    """Link 0 gives root, device, reading key, unlock keys, and the id that is its hash."""
    state = extend(None, founding(person), NOW, REGISTRARS)
    assert state.identity == person.identity == identity_id(person.links[0].envelope)
    assert state.root == person.kit.root.public.raw
    assert set(state.devices) == {person.device.id}
    assert state.reading_keys == {0: person.reading[0].public}
    assert set(state.unlock_keys) == {
        key_hash(person.device.unsealing.public),
        key_hash(person.kit.unlock.public),
    }
    assert (state.n, state.reading_key, state.hard_stops) == (0, 0, ())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"n": 1}, BrokenChain),
        ({"prev": NOTHING}, BrokenChain),
        ({"identity": NOTHING}, BrokenChain),
        ({"view": SERVICE.view}, BrokenChain),
    ],
    ids=["number", "previous", "identity", "view"],
)
def test_a_first_link_stands_alone(person, changes, error):
    """Link 0 has number 0 and names no predecessor, identity or view."""
    with pytest.raises(error):
        extend(None, founding(person, **changes), NOW, REGISTRARS)


@pytest.mark.parametrize("left_out", [0, 1, 4], ids=["root", "device", "reading key"])
def test_a_first_link_is_complete(person, left_out):
    """Without root, device or reading key, link 0 founds nothing."""
    steps = operations_of(person)
    signers = {0: [person.device.signing, person.recovery], 1: [person.kit.root, person.recovery]}.get(
        left_out
    )
    with pytest.raises((BrokenChain, NotPermitted)):
        extend(
            None,
            founding(person, *(step for n, step in enumerate(steps) if n != left_out), signers=signers),
            NOW,
            REGISTRARS,
        )


def test_a_first_link_without_any_device_founds_nothing(person):
    """Nor does one that leaves out the device's unlock key as well."""
    root, _, _, kit, reading = operations_of(person)
    signers = [person.kit.root, person.recovery]
    with pytest.raises(NotPermitted):
        extend(None, founding(person, root, kit, reading, signers=signers), NOW, REGISTRARS)


def test_a_keyring_does_not_stand_in_for_a_reading_key(person):
    """A first link that names a keyring but no reading key founds nothing."""
    with pytest.raises(NotPermitted):
        extend(None, founding(person, *operations_of(person)[:4], keyring_step()), NOW, REGISTRARS)


@pytest.mark.parametrize("left_out", [0, 1, 2], ids=["root", "device", "recovery key"])
def test_a_first_link_is_signed_by_all_it_names(person, left_out):
    """Root, device and recovery key each sign link 0, and nobody else does."""
    keys = [person.kit.root, person.device.signing, person.recovery]
    with pytest.raises(BadSignature):
        extend(None, founding(person, signers=keys[:left_out] + keys[left_out + 1 :]), NOW, REGISTRARS)
    with pytest.raises(BadSignature):
        extend(None, founding(person, signers=[*keys, SigningKey.generate()]), NOW, REGISTRARS)


def test_a_second_root_is_refused(person):
    """``root`` stands first in link 0 and nowhere else."""
    root = Root(kind="person", key=person.kit.root.public.raw, random=fresh())
    with pytest.raises(NotPermitted):
        extend(None, founding(person, *operations_of(person), root), NOW, REGISTRARS)
    refused(NotPermitted, person, root, signers=[person.kit.root])


def test_unsound_keys_found_nothing(person):
    """A root key of small order, or a sealing key that is none, is Malformed."""
    steps = operations_of(person)
    for at, change in ((0, {"key": NOTHING}), (1, {"sealing": BAD_SEALING}), (4, {"key": BAD_SEALING})):
        bad = (*steps[:at], replace(steps[at], **change), *steps[at + 1 :])
        signers = [person.device.signing, person.recovery] if at == 0 else None
        with pytest.raises(Malformed):
            extend(None, founding(person, *bad, signers=signers), NOW, REGISTRARS)


# Order


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 2},
        {"n": 0},
        {"prev": NOTHING},
        {"prev": None},
        {"identity": NOTHING},
        {"view": None},
    ],
    ids=lambda change: repr(change)[:18],
)
def test_a_link_follows_the_one_before(person, changes):
    """Number, predecessor, identity and view must be those of the next link of this chain."""
    assert extended(person, keyring_step()).n == 1
    refused(BrokenChain, person, keyring_step(), **changes)


def test_another_type_of_envelope_is_no_link(person):
    """A link's body signed under another label is refused."""
    envelope = sign(labels.VAULT_LINK, person.body(keyring_step()), person.device.signing)
    with pytest.raises(BadSignature):
        extend(state_of(person), envelope, NOW, REGISTRARS)


# Who may sign


def test_devices_and_root_sign_links(person):
    """A live device signs, with the root or not; a stranger, a recovery key alone or an added stranger does not."""
    step = keyring_step()
    for signers in ([person.device.signing], [person.device.signing, person.kit.root]):
        assert extended(person, step, signers=signers).keyring == step.keyring
    stranger = SigningKey.generate()
    for signers in ([stranger], [person.recovery], [person.device.signing, stranger]):
        refused(BadSignature, person, step, signers=signers)


def test_a_revoked_device_signs_nothing(person):
    """After its revocation a device is a stranger; before, it is not."""
    second = Device()
    person.add(second.added, signers=[person.device.signing, second.signing])
    assert extended(person, keyring_step(), signers=[second.signing])
    person.add(RevokeDevice(device=second.id))
    assert second.id not in state_of(person).devices
    refused(BadSignature, person, keyring_step(), signers=[second.signing])
    refused(NotPermitted, person, RevokeDevice(device=second.id))


def test_a_new_device_signs_with_an_old_one(person):
    """A device is added by a live one and by itself: neither alone suffices, and it is added once."""
    second = Device()
    both = [person.device.signing, second.signing]
    assert second.id in extended(person, second.added, signers=both).devices
    refused(BadSignature, person, second.added, signers=[person.device.signing])
    refused(BadSignature, person, second.added, signers=[second.signing])
    refused(NotPermitted, person, second.added, second.added, signers=both)
    refused(NotPermitted, person, person.device.added, signers=[person.device.signing])


@pytest.mark.parametrize(
    "change", [{"signing": NOTHING}, {"sealing": BAD_SEALING}], ids=["signing", "sealing"]
)
def test_a_device_has_sound_keys(person, change):
    """A device whose signing or sealing key is none is Malformed."""
    second = Device()
    signers = [person.device.signing] if "signing" in change else [person.device.signing, second.signing]
    refused(Malformed, person, replace(second.added, **change), signers=signers)


# Reading and unlock keys


def test_reading_keys_are_numbered_in_order(person):
    """The next number is accepted, with its keyring; the same, a later one, and a key that is none are not."""
    public, ring = UnsealingKey.generate().public, fresh()
    state = extended(person, ReadingKey(number=1, key=public, keyring=ring))
    assert (state.reading_key, state.reading_keys[1], state.keyring) == (1, public, ring)
    for number in (0, 2):
        refused(NotPermitted, person, ReadingKey(number=number, key=public, keyring=ring))
    refused(Malformed, person, ReadingKey(number=1, key=BAD_SEALING, keyring=ring))
    person.new_reading_key()
    assert extended(person, ReadingKey(number=2, key=public, keyring=ring)).reading_key == 2
    refused(NotPermitted, person, ReadingKey(number=1, key=public, keyring=ring))


def test_unlock_keys_come_and_go(person):
    """An unlock key is added once, by its hash, and removed once."""
    key = UnsealingKey.generate().public
    step = UnlockKey(kind="passkey", key=key, recovery=None)
    person.add(step)
    assert state_of(person).unlock_keys[key_hash(key)] == step
    refused(NotPermitted, person, step)
    refused(NotPermitted, person, replace(step, kind="contacts"))
    person.add(RemoveUnlockKey(key=key_hash(key)))
    assert key_hash(key) not in state_of(person).unlock_keys
    refused(NotPermitted, person, RemoveUnlockKey(key=key_hash(key)))
    refused(Malformed, person, replace(step, key=BAD_SEALING))


def test_a_recovery_key_signs_where_it_is_added(person):
    """An unlock key with a recovery key is added with that key's signature only."""
    recovery = SigningKey.generate()
    step = UnlockKey(kind="contacts", key=UnsealingKey.generate().public, recovery=recovery.public.raw)
    assert extended(person, step, signers=[person.device.signing, recovery])
    refused(BadSignature, person, step)
    refused(BadSignature, person, step, signers=[recovery])


# Members and delegations


def test_only_a_team_has_members(person, team):
    """Members are added to and removed from a team; a person has none."""
    member = fresh()
    team.add(AddMember(identity=member))
    assert state_of(team).members == {member}
    refused(NotPermitted, team, RemoveMember(identity=fresh()))
    team.add(RemoveMember(identity=member))
    assert state_of(team).members == frozenset()
    refused(NotPermitted, team, RemoveMember(identity=member))
    refused(NotPermitted, person, AddMember(identity=member))


def test_delegations_begin_and_end(person):
    """A delegation is kept until it is ended, and ended once."""
    step = Delegate(identity=fresh(), purposes=("TREAT",), until=NOW + DAY)
    person.add(step)
    assert state_of(person).delegations == {step.identity: step}
    person.add(EndDelegation(identity=step.identity))
    assert state_of(person).delegations == {}
    refused(NotPermitted, person, EndDelegation(identity=step.identity))


# Root, recovery, waiting


def test_the_old_root_rotates_at_once(person):
    """Signed by the old and the new root, a rotation takes effect at once and is no hard stop."""
    new = SigningKey.generate()
    state = extended(person, RotateRoot(key=new.public.raw), signers=[person.kit.root, new])
    assert state.root == new.public.raw
    assert state.hard_stops == ()
    refused(BadSignature, person, RotateRoot(key=new.public.raw), signers=[person.kit.root])
    refused(BadSignature, person, RotateRoot(key=new.public.raw), signers=[new])


def test_a_device_rotates_the_root_after_seven_days(person):
    """Proposed by a device, a rotation waits: on the day it is complete, and a hard stop; a second before it is not."""
    new = SigningKey.generate()
    person.add(RotateRoot(key=new.public.raw), signers=[person.device.signing, new])
    assert state_of(person).root == person.kit.root.public.raw
    assert set(state_of(person).waiting) == {1}
    state = extended(person, Complete(link=1), time=NOW + SEVEN_DAYS)
    assert state.root == new.public.raw
    assert state.waiting == {}
    assert state.hard_stops == (2,)
    refused(NotPermitted, person, Complete(link=1), time=NOW + SEVEN_DAYS - 1)
    refused(BrokenChain, person, Complete(link=1), time=NOW - 1)


def test_the_old_root_makes_a_completed_rotation_continuous(person):
    """Where the root signs the completion of a rotation that a device asked for, nobody is stopped."""
    new = SigningKey.generate()
    person.add(RotateRoot(key=new.public.raw), signers=[person.device.signing, new])
    signers = [person.device.signing, person.kit.root]
    state = extended(person, Complete(link=1), signers=signers, time=NOW + SEVEN_DAYS)
    assert (state.root, state.hard_stops) == (new.public.raw, ())


def test_a_rotation_that_comes_with_another_kit_is_a_hard_stop_too(person):
    """What a device asked for and completed stops whoever pinned the identity, though the root is only part of it."""
    new = SigningKey.generate()
    person.add(RotateRoot(key=new.public.raw), *kit_key(person), signers=[person.device.signing, new])
    state = extended(person, Complete(link=1), time=NOW + SEVEN_DAYS)
    assert (state.root, state.hard_stops) == (new.public.raw, (2,))


def test_the_root_recovers_at_once(person):
    """Signed by the root, a recovery revokes all devices, adds the new one, and is a hard stop."""
    new = Device()
    state = extended(person, Recover(), new.added, signers=[person.kit.root, new.signing])
    assert set(state.devices) == {new.id}
    assert set(state.unlock_keys) == {key_hash(person.kit.unlock.public)}
    assert state.hard_stops == (1,)


def test_a_device_cannot_recover(person):
    """A recovery is for the root or a recovery key: a device's is refused, not made to wait."""
    new = Device()
    refused(BadSignature, person, Recover(), new.added, signers=[person.device.signing, new.signing])


def recovering(person):
    """Publish a recovery by the recovery key: it waits as link 1. Returns the new device."""
    new = Device()
    person.add(Recover(), new.added, signers=[person.recovery, new.signing])
    return new


def test_a_recovery_key_recovers_after_seven_days(person):
    """Proposed by a recovery key, a recovery waits seven days, then its new device alone is live."""
    new = recovering(person)
    assert set(state_of(person).devices) == {person.device.id}
    state = extended(person, Complete(link=1), signers=[new.signing], time=NOW + SEVEN_DAYS)
    assert set(state.devices) == {new.id}
    assert state.hard_stops == (2,)
    refused(NotPermitted, person, Complete(link=1), signers=[new.signing], time=NOW + SEVEN_DAYS - 1)
    refused(BadSignature, person, keyring_step(), signers=[new.signing])


def test_a_waiting_recovery_is_stopped(person):
    """Any device or the root stops what waits; the recovery key itself and a stranger do not."""
    new = recovering(person)
    for signers in ([person.device.signing], [person.kit.root]):
        assert extended(person, Stop(link=1), signers=signers).waiting == {}
    refused(BadSignature, person, Stop(link=1), signers=[person.recovery])
    refused(BadSignature, person, Stop(link=1), signers=[new.signing])
    refused(NotPermitted, person, Stop(link=2))
    person.add(Stop(link=1))
    with pytest.raises(BadSignature):
        extended(person, Complete(link=1), signers=[new.signing], time=NOW + SEVEN_DAYS)
    refused(NotPermitted, person, Complete(link=1), signers=[person.recovery], time=NOW + SEVEN_DAYS)


def test_only_who_asked_completes(person):
    """A waiting link is completed by a key that signed it, alone in its link, and as the number it has."""
    new = recovering(person)
    late = NOW + SEVEN_DAYS
    for signers in ([new.signing], [person.recovery]):
        assert extended(person, Complete(link=1), signers=signers, time=late).waiting == {}
    refused(NotPermitted, person, Complete(link=1), signers=[person.device.signing], time=late)
    refused(NotPermitted, person, Complete(link=2), signers=[new.signing], time=late)
    refused(NotPermitted, person, Complete(link=1), keyring_step(), signers=[new.signing], time=late)
    refused(
        NotPermitted, person, keyring_step(), Complete(link=1), signers=[person.device.signing], time=late
    )


def test_what_a_revoked_device_asked_for_lapses(person):
    """A thief's rotation of the root is not completed once the device is revoked, though nobody stopped it."""
    thief, new_root = Device(), SigningKey.generate()
    person.add(thief.added, signers=[person.device.signing, thief.signing])
    person.add(RotateRoot(key=new_root.public.raw), signers=[thief.signing, new_root])
    assert extended(person, Complete(link=2), signers=[new_root], time=NOW + SEVEN_DAYS)
    person.add(RevokeDevice(device=thief.id))
    refused(NotPermitted, person, Complete(link=2), signers=[new_root], time=NOW + SEVEN_DAYS)


def test_what_a_removed_recovery_key_asked_for_lapses(person):
    """A recovery is not completed once the unlock key it came with is removed."""
    new = recovering(person)
    person.add(RemoveUnlockKey(key=key_hash(person.kit.unlock.public)), signers=[person.kit.root])
    refused(NotPermitted, person, Complete(link=1), signers=[new.signing], time=NOW + SEVEN_DAYS)


# Registrars


def test_a_registrar_certifies(person):
    """A certificate within scheme and time counts from its beginning until its end."""
    step = certificate()
    state = extended(person, step, signers=[SERVICE.registrar])
    (entry,) = state.certified(NOW)
    assert (entry.statement, entry.registrar, entry.link) == (step, SERVICE.registrar.public.key_id, 1)
    assert state.certified(step.until - 1)
    assert not state.certified(step.since - 1)
    assert not state.certified(step.until)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "rpps:10001234567"},
        {"subject": "demo"},
        {"subject": "demo:"},
        {"subject": "demo2:1"},
        {"since": NOW + 1, "until": NOW},
        {"until": NOW},
        {"until": NOW + LONGEST_CERTIFICATE + 1},
    ],
    ids=[
        "another scheme",
        "no value",
        "an empty value",
        "a longer scheme",
        "ends before",
        "no time",
        "too long",
    ],
)
def test_a_registrar_keeps_to_its_scheme_and_time(person, change):
    """Another scheme, a subject without a value, no time and more than 400 days are NotPermitted."""
    for honest in ({"until": NOW + LONGEST_CERTIFICATE}, {"until": NOW + 1}, {"subject": "demo:1"}):
        assert extended(person, certificate(**honest), signers=[SERVICE.registrar])
    refused(NotPermitted, person, certificate(**change), signers=[SERVICE.registrar])


def test_only_a_registrar_certifies(person):
    """Nobody certifies themselves; a registrar's link has no further step and no further signer."""
    step, registrar = certificate(), SERVICE.registrar
    for signers in ([person.device.signing], [person.kit.root], [SigningKey.generate()]):
        refused(BadSignature, person, step, signers=signers)
    refused(BadSignature, person, step, signers=[registrar, person.device.signing])
    refused(NotPermitted, person, step, step, signers=[registrar])
    refused(NotPermitted, person, step, keyring_step(), signers=[registrar])
    refused(NotPermitted, person, keyring_step(), step)
    refused(BadSignature, person, keyring_step(), signers=[registrar])


def test_a_registrar_withdraws_its_own(person):
    """A certificate is withdrawn by its link number, once, by a registrar of its scheme."""
    SERVICE.certify(person)
    registrar = SERVICE.registrar
    assert extended(person, Withdraw(link=1), signers=[registrar]).certificates == {}
    refused(NotPermitted, person, Withdraw(link=2), signers=[registrar])
    refused(BadSignature, person, Withdraw(link=1), signers=[person.device.signing])
    other = SigningKey.generate()
    elsewhere = {**REGISTRARS, other.public.key_id: RegistrarKey(other.public, ("rpps",), None)}
    with pytest.raises(NotPermitted):
        extend(state_of(person), person.link(Withdraw(link=1), signers=[other]), NOW, elsewhere)
    person.add(Withdraw(link=1), signers=[registrar])
    refused(NotPermitted, person, Withdraw(link=1), signers=[registrar])


def test_a_retired_registrar_certifies_no_more(person):
    """What a registrar signed before it retired counts; from then on its signature is an unknown one."""
    retired = {name: entry._replace(retired_since=NOW + 1) for name, entry in REGISTRARS.items()}
    link = person.link(certificate(), signers=[SERVICE.registrar])
    assert extend(state_of(person), link, NOW, retired).certificates
    with pytest.raises(BadSignature):
        extend(state_of(person), link, NOW + 1, retired)


def test_a_device_changes_the_kit_in_seven_days_only(person):
    """Adding or removing a kit's unlock key waits unless the root signs; then it can be completed, or stopped."""
    step = RemoveUnlockKey(key=key_hash(person.kit.unlock.public))
    person.add(step)
    assert key_hash(person.kit.unlock.public) in state_of(person).unlock_keys
    refused(NotPermitted, person, Complete(link=1), time=NOW + SEVEN_DAYS - 1)
    done = extended(person, Complete(link=1), time=NOW + SEVEN_DAYS)
    assert key_hash(person.kit.unlock.public) not in done.unlock_keys
    assert done.hard_stops == ()
    at_once = extended(person, step, signers=[person.kit.root])
    assert key_hash(person.kit.unlock.public) not in at_once.unlock_keys


def test_a_revoked_device_gets_no_keyring(person):
    """The sealing key of a revoked device is no unlock key any more."""
    state = extended(person, RevokeDevice(device=person.device.id))
    assert key_hash(person.device.unsealing.public) not in state.unlock_keys
    assert key_hash(person.kit.unlock.public) in state.unlock_keys


def test_a_registrar_resets(person):
    """A reset puts a new root in place, leaves no old key or delegation a right, and is a hard stop."""
    recovering(person)
    assert state_of(person).unlock_keys
    new = SigningKey.generate()
    refused(NotPermitted, person, Reset(key=new.public.raw), signers=[SERVICE.registrar, new])
    SERVICE.certify(person)
    state = extended(person, Reset(key=new.public.raw), signers=[SERVICE.registrar, new])
    assert (state.root, state.devices, state.waiting, state.hard_stops) == (new.public.raw, {}, {}, (3,))
    assert (state.unlock_keys, state.delegations) == ({}, {})
    for signers in ([SERVICE.registrar], [new], [person.device.signing, new], [person.kit.root, new]):
        refused(BadSignature, person, Reset(key=new.public.raw), signers=signers)
    refused(BadSignature, person, Reset(key=SERVICE.registrar.public.raw), signers=[SERVICE.registrar])
    for used in (person.kit.root, person.device.signing):
        refused(NotPermitted, person, Reset(key=used.public.raw), signers=[SERVICE.registrar, used])


def test_a_reset_root_begins_with_a_recovery(person):
    """After a reset the new root adds devices in a link that begins with ``recover``: any other would wait."""
    SERVICE.certify(person)
    new, device = SigningKey.generate(), Device()
    person.add(Reset(key=new.public.raw), signers=[SERVICE.registrar, new])
    signers = [new, device.signing]
    assert set(extended(person, device.added, signers=signers).waiting) == {3}
    state = extended(person, Recover(), device.added, signers=signers)
    assert set(state.devices) == {device.id}
    refused(NotPermitted, person, Recover(), person.device.added, signers=[new, person.device.signing])


# The root alone


def kit_key(person):
    """Steps that put another kit in the place of the kit."""
    new = UnsealingKey.generate().public
    old = key_hash(person.kit.unlock.public)
    return UnlockKey(kind="kit", key=new, recovery=None), RemoveUnlockKey(key=old)


def test_the_root_alone_does_at_once_only_what_is_its_own(person):
    """The kit, the root, a stop and a recovery are the root's; whatever else it signs without a device waits."""
    root, device = person.kit.root, Device()
    new = SigningKey.generate()
    for steps, signers in (
        (kit_key(person), [root]),
        ((RotateRoot(key=new.public.raw), *kit_key(person)), [root, new]),
        ((*kit_key(person), Recover()), [root]),
        ((Recover(), device.added, keyring_step()), [root, device.signing]),
    ):
        assert extended(person, *steps, signers=signers).waiting == {}
    passkey = UnlockKey(kind="passkey", key=UnsealingKey.generate().public, recovery=None)
    for steps, signers in (
        ((device.added,), [root, device.signing]),
        ((RevokeDevice(device=person.device.id),), [root]),
        ((passkey,), [root]),
        ((passkey,), [root, person.recovery]),
        ((RemoveUnlockKey(key=key_hash(person.device.unsealing.public)),), [root]),
        ((Delegate(identity=fresh(), purposes=(), until=NOW),), [root]),
        ((*kit_key(person), passkey), [root]),
        ((device.added, Recover()), [root, device.signing]),
    ):
        state = extended(person, *steps, signers=signers)
        assert set(state.waiting) == {1}
        assert (state.devices, state.unlock_keys) == (
            state_of(person).devices,
            state_of(person).unlock_keys,
        )
        assert extended(person, *steps, signers=[*signers, person.device.signing]).waiting == {}


def test_what_the_root_alone_asked_for_is_completed_by_it(person):
    """The root completes what it asked for after seven days, while it is the root; a device stops it."""
    root, device, new = person.kit.root, Device(), SigningKey.generate()
    person.add(device.added, signers=[root, device.signing])
    assert extended(person, Stop(link=1)).waiting == {}
    for signer in (root, device.signing):
        refused(NotPermitted, person, Complete(link=1), signers=[signer], time=NOW + SEVEN_DAYS - 1)
        state = extended(person, Complete(link=1), signers=[signer], time=NOW + SEVEN_DAYS)
        assert device.id in state.devices
        assert state.hard_stops == ()
    refused(NotPermitted, person, Complete(link=1), time=NOW + SEVEN_DAYS)
    person.add(RotateRoot(key=new.public.raw), signers=[root, new])
    for signer in (root, new, device.signing):
        refused(CoffreError, person, Complete(link=1), signers=[signer], time=NOW + SEVEN_DAYS)


def test_a_use_of_the_root_is_shown(person):
    """``use_root`` changes nothing; it is signed by the root, alone or with a device, and stands alone."""
    step, root = UseRoot(purpose="fetch the keyring"), person.kit.root
    before = state_of(person)
    for signers in ([root], [root, person.device.signing]):
        after = extended(person, step, signers=signers)
        assert replace(after, n=0, head=before.head) == before
    assert root_use(person.link(step, signers=[root])) == "fetch the keyring"
    assert root_use(person.link(keyring_step())) is None
    for signers in ([person.device.signing], [root, person.recovery], [person.recovery]):
        refused(NotPermitted, person, step, signers=signers)
    refused(BadSignature, person, step, signers=[root, SigningKey.generate()])
    for steps in ((step, step), (step, Stop(link=0)), (keyring_step(), step)):
        refused(NotPermitted, person, *steps, signers=[root, person.device.signing])
    new = SigningKey.generate()
    refused(NotPermitted, person, RotateRoot(key=new.public.raw), step, signers=[person.device.signing, new])


@pytest.mark.parametrize("step", [keyring_step(), UseRoot(purpose="x"), Complete(link=1), certificate()])
def test_what_waits_holds_no_keyring(person, step):
    """A link that waits holds no keyring, no reading key, and nothing that stands elsewhere; at once it may hold one."""
    new = SigningKey.generate()
    rotate = RotateRoot(key=new.public.raw)
    refused(NotPermitted, person, rotate, step, signers=[person.device.signing, new])
    refused(NotPermitted, person, keyring_step(), signers=[person.kit.root])
    reading = ReadingKey(number=1, key=UnsealingKey.generate().public, keyring=fresh())
    refused(NotPermitted, person, Recover(), reading, signers=[person.recovery])
    refused(NotPermitted, person, reading, signers=[person.kit.root])
    at_once = extended(person, rotate, reading, signers=[person.device.signing, person.kit.root, new])
    assert at_once.keyring == reading.keyring


def test_a_recovery_ends_what_waits(person):
    """A recovery by the root, and one that is completed, leave nothing waiting."""
    thief = SigningKey.generate()
    person.add(RotateRoot(key=thief.public.raw), signers=[person.device.signing, thief])
    new = Device()
    assert set(state_of(person).waiting) == {1}
    assert extended(person, Recover(), new.added, signers=[person.kit.root, new.signing]).waiting == {}
    person.add(Recover(), new.added, signers=[person.recovery, new.signing])
    done = extended(person, Complete(link=2), signers=[new.signing], time=NOW + SEVEN_DAYS)
    assert (done.waiting, done.hard_stops) == ({}, (3,))


def test_one_link_is_one_hard_stop(person):
    """A completed link that recovers and changes the root stops whoever pinned the identity once."""
    new, root = Device(), SigningKey.generate()
    steps = (Recover(), new.added, RotateRoot(key=root.public.raw))
    person.add(*steps, signers=[person.recovery, new.signing, root])
    done = extended(person, Complete(link=1), signers=[new.signing], time=NOW + SEVEN_DAYS)
    assert (done.root, done.hard_stops) == (root.public.raw, (2,))


# Keys that were used before


def test_a_key_that_was_used_never_returns(person):
    """A revoked or recovered device, a former root, and a key in another part are refused; fresh ones are not."""
    root, second, new = person.kit.root, Device(), SigningKey.generate()
    both = [person.device.signing, second.signing]
    person.add(second.added, signers=both)
    person.add(RevokeDevice(device=second.id))
    person.add(RotateRoot(key=new.public.raw), signers=[root, new])
    assert state_of(person).retired == {second.id, root.public.key_id}
    first, fresh_sealing = person.device.signing, UnsealingKey.generate().public
    for used in (second.signing, root, new):
        added = AddDevice(signing=used.public.raw, sealing=fresh_sealing)
        refused(NotPermitted, person, added, signers=[first, used])
    for used in (second.signing, root, new, first):
        rotate = RotateRoot(key=used.public.raw)
        refused(NotPermitted, person, rotate, signers=list({id(key): key for key in (new, used)}.values()))
        step = UnlockKey(kind="passkey", key=fresh_sealing, recovery=used.public.raw)
        refused(NotPermitted, person, step, signers=list({id(key): key for key in (first, used)}.values()))
    third = Device()
    person.add(Recover(), third.added, signers=[new, third.signing])
    refused(NotPermitted, person, person.device.added, signers=[third.signing, first])
    another = Device()
    assert another.id in extended(person, another.added, signers=[third.signing, another.signing]).devices


# The kit's unlock key


def test_a_device_cannot_take_the_kits_unlock_key_with_it(person):
    """No device is added under the kit's unlock key, so none can be revoked together with it."""
    thief, kit = SigningKey.generate(), person.kit.unlock.public
    added = AddDevice(signing=thief.public.raw, sealing=kit)
    steps = (added, RevokeDevice(device=thief.public.key_id))
    for refused_steps in ((added,), steps):
        refused(NotPermitted, person, *refused_steps, signers=[person.device.signing, thief])
    own = replace(added, sealing=UnsealingKey.generate().public)
    steps = (own, RevokeDevice(device=thief.public.key_id))
    state = extended(person, *steps, signers=[person.device.signing, thief])
    assert key_hash(kit) in state.unlock_keys


def test_a_devices_unlock_key_is_its_sealing_key(person):
    """Kind ``device`` is for a live device's sealing key, and for that no other kind; two devices do not share one."""
    second = Device()
    person.add(second.added, signers=[person.device.signing, second.signing])
    own = UnlockKey(kind="device", key=second.unsealing.public, recovery=None)
    assert key_hash(own.key) in extended(person, own).unlock_keys
    refused(NotPermitted, person, replace(own, key=UnsealingKey.generate().public))
    refused(NotPermitted, person, replace(own, kind="passkey"))
    third = AddDevice(signing=SigningKey.generate().public.raw, sealing=second.unsealing.public)
    key = SigningKey.generate()
    shared = replace(third, signing=key.public.raw)
    refused(NotPermitted, person, shared, signers=[person.device.signing, key])


# Bounds


def test_an_identity_has_bounds(person, team, monkeypatch):
    """One device, unlock key, member or waiting link more than there may be is refused; as many are not."""
    second = Device()
    both = [person.device.signing, second.signing]
    passkey = UnlockKey(kind="passkey", key=UnsealingKey.generate().public, recovery=None)
    reading = ReadingKey(number=1, key=UnsealingKey.generate().public, keyring=fresh())
    member, delegate = AddMember(identity=fresh()), Delegate(identity=fresh(), purposes=(), until=NOW)
    for who, steps, bound, signers in (
        (person, (second.added,), "MAX_DEVICES", both),
        (person, (passkey,), "MAX_UNLOCK_KEYS", ()),
        (person, (reading,), "MAX_READING_KEYS", ()),
        (team, (member, delegate), "MAX_MEMBERS", ()),
    ):
        there = 2 if bound == "MAX_UNLOCK_KEYS" else 1
        monkeypatch.setattr(identity_state, bound, there + 1)
        assert extended(who, *steps, signers=signers)
        monkeypatch.setattr(identity_state, bound, there)
        refused(NotPermitted, who, *steps, signers=signers)
        monkeypatch.undo()
    recovering(person)
    rotate = SigningKey.generate()
    signers = [person.device.signing, rotate]
    assert len(extended(person, RotateRoot(key=rotate.public.raw), signers=signers).waiting) == 2
    monkeypatch.setattr(identity_chain, "MAX_WAITING", 1)
    refused(NotPermitted, person, RotateRoot(key=rotate.public.raw), signers=signers)


# The disclosed chain


def test_a_chain_folds(person):
    """A disclosed chain folds to its state, and to its earlier state at an earlier head."""
    before = SERVICE.directory.frontier.size
    person.new_reading_key()
    assert person.known().state.reading_key == 1
    assert person.known(before).state.reading_key == 0
    assert (person.known(before).ref.n, person.known().ref.n) == (0, 1)
    assert person.known(before).ref.leaf != person.known().ref.leaf
    with pytest.raises(NotPermitted):
        person.known(0)


def chain_with(person, at, **changes):
    """The chain with a changed disclosure at one link."""
    links = list(person.links)
    links[at] = replace(links[at], disclosure=replace(links[at].disclosure, **changes))
    return Chain(links=tuple(links))


def test_a_chain_stands_where_it_should(person):
    """Indexes that do not grow, another slot and another directory are BrokenChain."""
    person.new_reading_key()
    origin = SERVICE.directory.origin
    assert fold(person.chain, origin, REGISTRARS).n == 1
    for chain in (
        chain_with(person, 1, index=person.links[0].disclosure.index),
        chain_with(person, 0, index=person.links[1].disclosure.index),
        chain_with(person, 1, slot_one=fresh()),
        chain_with(person, 1, slot_one=person.links[0].disclosure.slot_one),
    ):
        with pytest.raises(BrokenChain):
            fold(chain, origin, REGISTRARS)
    with pytest.raises(BrokenChain):
        fold(person.chain, origin + "2", REGISTRARS)
    with pytest.raises(BrokenChain):
        fold(Chain(links=()), origin, REGISTRARS)


def test_a_chain_is_whole(person):
    """A chain without its first, a middle or an exchanged link does not fold."""
    person.new_reading_key()
    person.new_reading_key()
    one, two, three = person.links
    stranger = Person(SERVICE).links[0]
    for links in ((two, three), (one, three), (one, three, two), (stranger, two, three), (one, one)):
        with pytest.raises(BrokenChain):
            fold(Chain(links=links), SERVICE.directory.origin, REGISTRARS)


def test_times_never_fall_along_a_chain(person):
    """A link may have the time of the one before and no earlier one."""
    assert extended(person, keyring_step(), time=NOW).time == NOW
    refused(BrokenChain, person, keyring_step(), time=NOW - 1)
    person.add(keyring_step(), time=NOW + 1)
    early = replace(person.links[1].disclosure.part, time=NOW - 1)
    with pytest.raises(BrokenChain):
        fold(chain_with(person, 1, part=early), SERVICE.directory.origin, REGISTRARS)


@pytest.mark.parametrize(
    "change", [{"prev": bytes([1] * 32)}, {"outcome": "granted"}, {"outcome": "refused"}]
)
def test_the_servers_part_of_a_link_says_nothing_else(person, change):
    """In the directory a link is accepted, and follows no other entry."""
    part = replace(person.links[0].disclosure.part, **change)
    with pytest.raises(BrokenChain):
        fold(chain_with(person, 0, part=part), SERVICE.directory.origin, REGISTRARS)


def test_a_disclosure_speaks_of_its_link(person):
    """A server's part that names another body is NotProven."""
    part = replace(person.links[0].disclosure.part, body=fresh())
    with pytest.raises(NotProven):
        fold(chain_with(person, 0, part=part), SERVICE.directory.origin, REGISTRARS)


def test_delays_are_measured_in_the_leaves(person):
    """The seven days run between the server's times of the two leaves."""
    new = SigningKey.generate()
    person.add(RotateRoot(key=new.public.raw), signers=[person.device.signing, new], time=NOW)
    person.add(Complete(link=1), signers=[new], time=NOW + SEVEN_DAYS)
    assert state_of(person).root == new.public.raw
    early = chain_with(person, 2, part=replace(person.links[2].disclosure.part, time=NOW + SEVEN_DAYS - 1))
    with pytest.raises(NotPermitted):
        fold(early, SERVICE.directory.origin, REGISTRARS)


def test_the_reference_covers_signatures_and_salt(person):
    """How signed bodies name a chain changes with the salt, and with who signed the last link."""
    whole = person.chain.ref
    assert chain_with(person, 0, salt=fresh()).ref.leaf != whole.leaf
    link = person.links[0]
    fewer = replace(link, envelope=replace(link.envelope, signatures=link.envelope.signatures[:1]))
    assert Chain(links=(fewer,)).ref.leaf != whole.leaf
    assert Chain(links=(fewer,)).ref.identity == whole.identity


def test_all_steps_or_none(person):
    """A link whose second step is refused changes nothing by its first."""
    before = state_of(person)
    refused(NotPermitted, person, RevokeDevice(device=person.device.id), RevokeDevice(device=fresh()))
    assert state_of(person) == before


def test_every_step_has_a_test():
    """The steps named in this file are all there are, so that a new one cannot come without its rules."""
    named = {
        AddDevice, AddMember, Certify, Complete, Delegate, EndDelegation, ReadingKey, Recover, RemoveMember,
        RemoveUnlockKey, Reset, RevokeDevice, Root, RotateRoot, Stop, UnlockKey, UseRoot, Withdraw, type(keyring_step()),
    }  # fmt: skip
    assert set(Operation.__subclasses__()) == named
