"""A server that claims to be another one, or names itself new keepers."""

import gc
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto import labels, trust_root
from crypto.encoding import decode
from crypto.errors import BadSignature, BrokenChain, NotPermitted, NotProven, Stale
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.trust_root import TrustRoot
from crypto.wire.messages import TrustRootChain
from tests.support.instance import Instance
from vault_client.device_store import DeviceStore
from vault_client.http_vault import HttpVault
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


async def test_a_server_cannot_name_its_own_keepers(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22, A31, A58: a new trust root that the old one's keys did not sign, or an older one, changes nothing."""
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
                with pytest.raises(error):
                    await Service.connect(store)
            assert store.get("trust", TrustRecord) == before
        for shown in ((), (forged,)):
            with monkeypatch.context() as lie:
                show(lie, *shown)
                with pytest.raises(NotPermitted, match="Another service"):
                    await Service.connect(store)
            assert store.get("trust", TrustRecord) == before

        with monkeypatch.context() as twin:
            show(twin, first, forged)
            twin.setattr(trust_root, "_check", lambda *_: None)
            async with await Service.connect(store) as service:
                assert service.accepted.ref.version == 2


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
