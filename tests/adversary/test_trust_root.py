"""A server that claims to be another one, or names itself new keepers."""

import gc
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto import labels, trust_root
from crypto.encoding import decode
from crypto.errors import BadSignature, BrokenChain, Distrusted, Full, NotPermitted, NotProven, Stale
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.trust_root import TrustRoot
from crypto.wire.messages import TrustRootChain
from tests.support.instance import Instance
from vault_client import public_log
from vault_client import service as service_module
from vault_client.device_store import DeviceStore
from vault_client.http_vault import HttpVault
from vault_client.practitioner import Practitioner
from vault_client.public_log import verify_logs
from vault_client.service import Service, TrustRecord


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
            real = trust_root.first
            twin.setattr(trust_root, "first", lambda envelope, *, card: real(envelope, card=None))
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
            twin.setattr(trust_root, "_check", lambda *_: None)
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
        monkeypatch.setattr(trust_root, "_check", lambda *_: None)  # as if its operator had signed it
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
            old.setattr(service_module, "VERSION", "0.0.9")
            with pytest.raises(NotPermitted, match="Update Coffre"):
                await Service.connect(store, card=card)
            gc.collect()
            assert store.get("trust", TrustRecord) is None
        async with await Service.connect(store, card=card):
            assert store.get("trust", TrustRecord) is not None
    assert await verify_logs(card.url, card)
    monkeypatch.setattr(public_log, "VERSION", "0.0.9")
    with pytest.raises(NotPermitted, match="Update Coffre"):
        await verify_logs(card.url, card)
