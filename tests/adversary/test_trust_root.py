"""A server that claims to be another one, or names itself new keepers."""

import gc
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto import labels, trust_root, trust_root_chain
from crypto.encoding import decode
from crypto.errors import BadSignature, BrokenChain, Distrusted, Full, NotPermitted, NotProven, Stale
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign, sign_encoded
from crypto.statements import Head
from crypto.trust_root import Successor, TrustRoot
from crypto.wire.messages import TrustRootChain
from tests.support.instance import Instance
from tests.support.people import KeeperKeys
from vault_client import trust
from vault_client.device_store import DeviceStore
from vault_client.http_vault import HttpVault
from vault_client.practitioner import Practitioner
from vault_client.public_log import verify_logs
from vault_client.service import Service
from vault_client.shown_trust_roots import TrustRecord
from vault_server.instance import read_key
from vault_server.settings import Settings


def next_root(envelope: Envelope, key: SigningKey, **changes: Any) -> Envelope:
    """A trust root that would follow, signed by ``key``."""
    body = decode(envelope.body, TrustRoot)
    body = msgspec.structs.replace(body, version=body.version + 1, previous=envelope.digest, **changes)
    return sign(labels.TRUST_ROOT, body, key)


def show(monkeypatch: pytest.MonkeyPatch, *chain: Envelope) -> None:
    """Have every server show ``chain``."""

    async def answer(self: HttpVault, query: Any) -> TrustRootChain:
        return TrustRootChain(chain=chain)

    monkeypatch.setattr(HttpVault, "trust_roots", answer)


async def test_a_server_is_the_one_on_its_card(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20, A31: another service at the address of the card, or one that shows nothing, is not believed."""
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        wrong = msgspec.structs.replace(instance.card.root, digest=bytes(32))
        card = msgspec.structs.replace(instance.card, root=wrong)
        with pytest.raises(NotPermitted):
            await Service.connect(store, card=card)
        with monkeypatch.context() as lie:
            show(lie)
            with pytest.raises(NotProven):
                await Service.connect(store, card=instance.card)
        assert store.get("trust", TrustRecord) is None

        with monkeypatch.context() as twin:
            real = trust_root_chain.first
            twin.setattr(trust_root_chain, "first", lambda envelope, *, card: real(envelope, card=None))
            async with await Service.connect(store, card=card) as service:
                assert service.accepted.ref == instance.card.root


async def test_the_card_decides_after_an_enrolment_that_was_cut_short(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20: what a first enrolment believed does not stand in for the card of the next, while nobody is enrolled."""
    folder, key = tmp_path / "device", SecretBytes.random()
    DeviceStore.create_with_key(folder, key).close()
    wrong = msgspec.structs.replace(instance.card.root, digest=bytes(32))
    card = msgspec.structs.replace(instance.card, root=wrong)

    def no_place(_: object) -> None:
        raise Full("There is no room for the kit.")

    async def cut_short_then_by_card() -> Practitioner:
        store = DeviceStore.open_with_key(folder, key)
        with pytest.raises(Full):
            await Practitioner.begin(store, folder, url=instance.url, keep_kit=no_place)
        store = DeviceStore.open_with_key(folder, key)
        return await Practitioner.begin(store, folder, card=card, keep_kit=lambda _: None)

    with pytest.raises(NotPermitted):
        await cut_short_then_by_card()
    with monkeypatch.context() as twin:
        twin.setattr(Service, "forget", staticmethod(lambda _: None))
        async with await cut_short_then_by_card() as deceived:
            assert not deceived.service.record.pinned
    store = DeviceStore.open_with_key(folder, key)
    with pytest.raises(NotPermitted, match="coffre practitioner list"):
        await Practitioner.begin(store, folder, card=card, keep_kit=lambda _: None)


async def test_a_server_cannot_name_its_own_keepers(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22, A31, A58: a new trust root that the old one's keys did not sign, or an older one, changes nothing.

    The stored one stands, so that a lie closes no profile, and the server is distrusted.
    """
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        async with await Service.connect(store, card=instance.card) as service:
            first = service.record.envelope
        before = store.get("trust", TrustRecord)
        mine = SigningKey.generate()
        forged = next_root(first, mine, root_keys=(mine.public.raw,))
        lies = {
            "signed by its own new key": (forged, BadSignature),
            "signed by a key it does not name": (next_root(first, mine), BadSignature),
            "the first again": (first, BrokenChain),
        }
        for envelope, error in lies.values():
            with monkeypatch.context() as lie:
                show(lie, first, envelope)
                assert isinstance(await distrusted(store, before), error)
        for shown in ((), (forged,)):
            with monkeypatch.context() as lie:
                show(lie, *shown)
                cause = await distrusted(store, before)
                assert isinstance(cause, NotPermitted)
                assert "Another service" in str(cause)

        with monkeypatch.context() as twin:
            show(twin, first, forged)
            twin.setattr(trust_root_chain, "_check_signed", lambda *_: None)
            async with await Service.connect(store) as service:
                assert service.accepted.ref.version == 2


@pytest.mark.parametrize("is_twin", [False, True])
async def test_a_trust_root_that_cannot_be_gone_on_with_is_not_stored(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_twin: bool
) -> None:
    """A58: a root, though truly signed, whose keeper has an address that no client uses closes no profile.

    The twin stores it before it looks at the address, and does not open again.
    """
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        async with await Service.connect(store, card=instance.card) as service:
            first, (keeper,) = service.record.envelope, service.root.keepers
        before, mine = store.get("trust", TrustRecord), SigningKey.generate()
        named = next_root(first, mine, keepers=(msgspec.structs.replace(keeper, url="ftp://keeper.example"),))
        show(monkeypatch, first, named)
        monkeypatch.setattr(
            trust_root_chain, "_check_signed", lambda *_: None
        )  # as if its operator had signed it
        if is_twin:
            assert before is not None
            store.put("trust", msgspec.structs.replace(before, envelope=named))
            with pytest.raises(NotPermitted, match="https"):
                await Service.connect(store)
            return
        assert isinstance(await distrusted(store, before), NotPermitted)


async def distrusted(store: DeviceStore, before: TrustRecord | None) -> BaseException | None:
    """Why the server is not believed by the profile of ``store``, which goes on believing what it did ``before``."""
    async with await Service.connect(store) as service:
        assert service.record == store.get("trust", TrustRecord) == before
        assert "ALARM" in service.alarm
        with pytest.raises(Distrusted) as refused:
            await service.follow()
        assert str(refused.value) == service.alarm
        return service.distrust


async def test_an_expired_trust_root_is_not_gone_on_with(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A40: a server that withholds the newest trust root is believed until the old one expires, and no longer."""
    later = int(time.time()) + 3 * 365 * 24 * 3600
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        with pytest.raises(Stale):
            await Service.connect(store, card=instance.card, clock=lambda: later)
        gc.collect()  # a connection left open would be a warning, and so an error
        assert store.get("trust", TrustRecord) is None
        with monkeypatch.context() as twin:
            twin.setattr(trust_root, "check_expiry", lambda *_: None)
            async with await Service.connect(store, card=instance.card, clock=lambda: later) as service:
                assert service.root.expiry < later


async def test_an_old_client_says_that_it_must_be_updated(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client older than the trust root allows does nothing and keeps nothing, with a profile or from outside."""
    card = instance.card
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        with monkeypatch.context() as old:
            old.setattr(trust, "VERSION", "0.0.9")
            with pytest.raises(NotPermitted, match="Update Coffre"):
                await Service.connect(store, card=card)
            gc.collect()
            assert store.get("trust", TrustRecord) is None
        async with await Service.connect(store, card=card):
            assert store.get("trust", TrustRecord) is not None
    assert await verify_logs(card.url, card)
    monkeypatch.setattr(trust, "VERSION", "0.0.9")
    with pytest.raises(NotPermitted, match="Update Coffre"):
        await verify_logs(card.url, card)


async def test_nobody_begins_under_logs_that_took_others_places(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a truly signed successor of the directory, a new device keeps nothing, and the public check says why it stops."""
    card = instance.card
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        async with await Service.connect(store, card=card) as service:
            first, origin = service.record.envelope, service.root.directory_origin
        Service.forget(store)
        lost = Successor(old_origin=origin, last_head=Head(size=1, root=bytes(32)), new_origin=f"{origin}/1")
        show(monkeypatch, first, next_root(first, operators_key(instance), successors=(lost,)))
        with pytest.raises(NotPermitted, match="goes on with others"):
            await Service.connect(store, card=card)
        gc.collect()
        assert store.get("trust", TrustRecord) is None
    with pytest.raises(NotPermitted, match="goes on with others"):
        await verify_logs(card.url, card)


def operators_key(instance: Instance) -> SigningKey:
    """The key that signs this service's trust roots."""
    return read_key(Settings(data=instance.data).operator_folder / "root.key")


async def test_a_keeper_is_not_dropped_without_retiring(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22, A58: a truly signed root that leaves the keeper out of an earlier grant, or shortens its duty, is not believed.

    The control retires it and names another; the twin does not compare the two.
    """
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        async with await Service.connect(store, card=instance.card) as service:
            first, (keeper,) = service.record.envelope, service.root.keepers
        before, key = store.get("trust", TrustRecord), operators_key(instance)
        other = KeeperKeys().named("other")
        dropped = next_root(first, key, keepers=(other,))
        year = int(time.time()) + 366 * 24 * 3600
        retired = next_root(first, key, keepers=(msgspec.structs.replace(keeper, retired_until=year), other))
        shortened = next_root(
            retired, key, keepers=(msgspec.structs.replace(keeper, retired_until=year - 1), other)
        )
        back = next_root(retired, key, keepers=(keeper,))
        for chain in ((dropped,), (retired, shortened), (retired, back)):
            with monkeypatch.context() as lie:
                show(lie, first, *chain)
                assert isinstance(await distrusted(store, before), NotPermitted)
        with monkeypatch.context() as twin:
            twin.setattr(trust_root_chain, "_check_continuity", lambda *_: None)
            show(twin, first, dropped)
            assert len(trust_root_chain.advance(accepted(first), [dropped]).root.keepers) == 1
        show(monkeypatch, first, retired)
        async with await Service.connect(store) as service:
            assert service.accepted.ref.version == 2
            assert set(service.keepers) == {keeper.key_hash, other.key_hash}


def accepted(envelope: Envelope) -> trust_root.Accepted:
    """A first root as it is believed."""
    return trust_root_chain.first(envelope, card=None)


async def test_too_few_signatures_of_either_version_are_too_few(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A58: once two keys must sign, one of them signs nothing any more, and the step there needs both."""
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        async with await Service.connect(store, card=instance.card) as service:
            first = service.record.envelope
        before, key, second = store.get("trust", TrustRecord), operators_key(instance), SigningKey.generate()
        both = {"root_keys": (key.public.raw, second.public.raw), "threshold": 2}
        alone = next_root(first, key, **both)
        agreed = sign_encoded(labels.TRUST_ROOT, alone.body, key, second)
        later = next_root(agreed, key)
        for chain in ((alone,), (agreed, later), (agreed, next_root(agreed, second, threshold=1))):
            with monkeypatch.context() as lie:
                show(lie, first, *chain)
                assert isinstance(await distrusted(store, before), BadSignature)
        show(monkeypatch, first, agreed, sign_encoded(labels.TRUST_ROOT, later.body, key, second))
        async with await Service.connect(store) as service:
            assert service.accepted.ref.version == 3


async def test_an_older_root_is_not_gone_back_to(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A58: who has followed version 2 is not shown version 1 again, nor another version 2 by the same key."""
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        async with await Service.connect(store, card=instance.card) as service:
            first = service.record.envelope
        key = operators_key(instance)
        second, other = next_root(first, key, threshold=1), next_root(first, key, minimum_client="0.0.1")
        with monkeypatch.context() as honest:
            show(honest, first, second)
            async with await Service.connect(store) as service:
                assert service.accepted.ref.version == 2
        before = store.get("trust", TrustRecord)
        for shown in ((first,), (other,), ()):
            with monkeypatch.context() as lie:
                show(lie, *shown)
                assert isinstance(await distrusted(store, before), NotPermitted)
        show(monkeypatch, second)
        async with await Service.connect(store) as service:
            assert service.alarm == ""


async def test_a_root_is_withheld_from_one_client_until_its_old_one_expires_and_no_longer(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A40: a server keeps the renewed root from one profile: it is believed while the old one lasts, then distrusted."""
    with DeviceStore.create_with_key(tmp_path / "device", SecretBytes.random()) as store:
        async with await Service.connect(store, card=instance.card) as service:
            first, expiry = service.record.envelope, service.root.expiry
        renewed = next_root(first, operators_key(instance), expiry=expiry + 1000)
        with monkeypatch.context() as lie:
            show(lie, first)
            async with await Service.connect(store, clock=lambda: expiry - 1) as service:
                assert (service.alarm, service.accepted.ref.version) == ("", 1)
            async with await Service.connect(store, clock=lambda: expiry) as service:
                assert isinstance(service.distrust, Stale)
            with monkeypatch.context() as twin:
                twin.setattr(trust_root, "check_expiry", lambda *_: None)
                async with await Service.connect(store, clock=lambda: expiry) as service:
                    assert service.alarm == ""
        show(monkeypatch, first, renewed)
        async with await Service.connect(store, clock=lambda: expiry) as service:
            assert (service.alarm, service.accepted.ref.version) == ("", 2)
