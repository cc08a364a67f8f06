"""Several keepers of which a few are silent, slow, lying or wrong: nothing changes, and nobody waits for them."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from crypto.checkpoint import (
    AHEAD,
    TEN_MINUTES,
    Checkpoint,
    CosignerKey,
    cosign,
    cosignatures,
    sign_checkpoint,
)
from crypto.errors import Damaged, Stale, Unreachable
from crypto.signing import SigningKey
from tests.contract.in_process import START
from vault_server import cosigning
from vault_server.cosigning import Behind, Cosigning, OtherRoot

LOG, ORIGIN = SigningKey.generate(), "vault.example/coffre/log/0"


@dataclass
class Scripted:
    """A keeper that cosigns whatever it is shown; ``does`` is what it does instead."""

    name: str
    signing: SigningKey = field(default_factory=SigningKey.generate)
    does: Exception | bytes | None = None
    ahead: int = 0
    slow: asyncio.Event | None = None
    asked: int = 0
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> CosignerKey:
        """Its cosigning key."""
        return CosignerKey(self.name, self.signing.public)

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign."""
        self.asked += 1
        self.is_asked.set()
        if self.slow is not None:
            await self.slow.wait()
        if isinstance(self.does, Exception):
            raise self.does
        text = body[body.index(ORIGIN.encode()) :].partition(b"\n\n")[0].decode() + "\n"
        return self.does or cosign(Checkpoint.parse(text), self.name, self.signing, START + self.ahead)


class Service:
    """``n`` keepers of which ``k`` must cosign, and the newest head that is stored."""

    def __init__(self, k: int, n: int) -> None:
        self.keepers = [Scripted(f"keeper-{place}") for place in range(n)]
        self.durable = head(7)
        self.tiles: Any = SimpleNamespace(prove=self._no_proof)
        self.cosigning = Cosigning(self.keepers, k, self.tiles, lambda: START)

    async def _no_proof(self, *_: object) -> list[bytes]:
        return []

    async def cosigned(self) -> set[str]:
        """Who cosigned the newest head."""
        note = sign_checkpoint(self.durable, LOG)
        whole = await asyncio.wait_for(self.cosigning.cosigned(note, self.durable, lambda: self.durable), 10)
        return {keeper.name for keeper in self.keepers if cosignatures(whole, [keeper.key])}


def head(size: int) -> Checkpoint:
    """A head of the log."""
    return Checkpoint(ORIGIN, size, bytes([size]) * 32)


@pytest.mark.parametrize(("k", "n"), [(3, 4), (4, 5), (5, 7)])
async def test_keepers_below_the_threshold_change_nothing(k: int, n: int) -> None:
    """Of n keepers n - k do not answer, hang, or answer nonsense: the head has its k cosignatures, none of them theirs."""
    for wrong in ({"does": Unreachable("gone")}, {"does": b"nonsense"}, {"slow": asyncio.Event()}):
        service = Service(k, n)
        for keeper in service.keepers[: n - k]:
            vars(keeper).update(wrong)
        assert await service.cosigned() == {keeper.name for keeper in service.keepers[n - k :]}
        service.keepers[-1].does = Unreachable("gone")
        if "slow" not in wrong:
            with pytest.raises(Unreachable):
                await service.cosigned()
        await service.cosigning.close()


async def test_an_idle_head_gets_new_times_from_several_keepers() -> None:
    """The same head, shown again, bears the time of the second asking by each keeper that answers."""
    service = Service(3, 4)
    await service.cosigned()
    service.keepers[0].does = Unreachable("gone")
    for keeper in service.keepers:
        keeper.ahead = 300
    note = sign_checkpoint(service.durable, LOG)
    whole = await service.cosigning.cosigned(note, service.durable, lambda: service.durable)
    times = cosignatures(whole, [keeper.key for keeper in service.keepers])
    assert sorted(times.values()) == [START + 300] * 3
    await service.cosigning.close()


async def test_a_retired_keeper_sees_every_head_and_decides_nothing() -> None:
    """It is told; what it answers, refuses, claims or delays changes neither the head's cosignatures nor when they are there."""
    for wrong in ({}, {"does": Behind(9)}, {"does": OtherRoot()}, {"slow": asyncio.Event()}):
        service, retired = Service(3, 4), Scripted("retired")
        vars(retired).update(wrong)
        service.cosigning = Cosigning(service.keepers, 3, service.tiles, lambda: START, [retired])
        assert len(await service.cosigned()) >= 3
        await asyncio.wait_for(retired.is_asked.wait(), 10)
        service.keepers[0].does = service.keepers[1].does = Unreachable("gone")
        with pytest.raises(Unreachable):
            await service.cosigned()
        await service.cosigning.close()


async def test_a_slow_keeper_is_asked_for_one_head_at_a_time() -> None:
    """While it looks at one head others go by; what it says of it late counts for nothing else, and it comes back."""
    service = Service(3, 4)
    slow = service.keepers[0]
    slow.slow = asyncio.Event()
    for size in range(7, 12):
        service.durable = head(size)
        assert slow.name not in await service.cosigned()
    assert slow.asked == 1
    slow.slow.set()
    service.keepers[1].does = Unreachable("gone")
    assert slow.name in await service.cosigned()
    await service.cosigning.close()


@pytest.mark.parametrize("claim", [Behind(8), OtherRoot()], ids=["longer", "other"])
@pytest.mark.parametrize(("k", "n", "stops"), [(1, 1, 1), (3, 4, 2), (4, 5, 2), (5, 7, 3)])
async def test_so_many_keepers_must_contradict_that_the_others_are_too_few(
    claim: Exception, k: int, n: int, stops: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """One keeper's word stops a server with one keeper; of several so many that k can no longer cosign."""
    service = Service(k, n)
    for count, keeper in enumerate(service.keepers[:stops], 1):
        keeper.does = claim
        if count < stops:
            assert len(await service.cosigned()) >= k
            assert f"The keeper {keeper.name} does not cosign {ORIGIN}" in capsys.readouterr().err
            await service.cosigned()
            assert "does not cosign" not in capsys.readouterr().err  # said once
    with pytest.raises(Stale if isinstance(claim, Behind) else Damaged, match="The server stopped"):
        await service.cosigned()
    await service.cosigning.close()


async def test_a_claim_stands_until_its_keeper_cosigns() -> None:
    """A keeper that contradicted and then fell silent is still none of the others; once it cosigns, it is one again."""
    service = Service(3, 4)
    first, second = service.keepers[:2]
    first.does = OtherRoot()
    await service.cosigned()
    first.does = Unreachable("gone")
    second.does = OtherRoot()
    with pytest.raises(Damaged):
        await service.cosigned()
    first.does = None
    assert first.name in await service.cosigned()
    await service.cosigning.close()


async def test_one_keepers_word_would_stop_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twin: without counting the claims, one lying keeper of four ends the service for everybody."""

    def any_claim(self: Cosigning, origin: str, held: Checkpoint) -> None:
        if any(origin in keeper.claims for keeper in self._keepers):
            raise Stale("an older copy")

    monkeypatch.setattr(Cosigning, "_check_not_contradicted", any_claim)
    service = Service(3, 4)
    service.keepers[0].does = Behind(1 << 60)
    with pytest.raises(Stale):
        await service.cosigned()
    await service.cosigning.close()


async def test_a_keeper_that_has_gone_on_contradicts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked late for a head that was overtaken, a keeper knows the newer one, which is stored here: that is no claim."""
    service = Service(1, 1)
    keeper = service.keepers[0]
    keeper.slow, keeper.does = asyncio.Event(), Behind(9)
    asking = asyncio.create_task(service.cosigned())
    await keeper.is_asked.wait()
    service.durable = head(9)
    keeper.slow.set()
    with pytest.raises(Unreachable):
        await asking
    keeper.does = None
    assert await service.cosigned() == {keeper.name}
    assert capsys.readouterr().err == ""
    await service.cosigning.close()


@pytest.mark.parametrize("off", [AHEAD + 1, TEN_MINUTES, -TEN_MINUTES - 1])
async def test_a_keeper_that_dates_wrong_is_not_counted(off: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its time, clients would refuse the head: one more keeper is waited for. With two such keepers none is shown."""
    said: list[str] = []
    monkeypatch.setattr(cosigning, "log_event", lambda event, **_: said.append(event))
    service = Service(3, 4)
    service.keepers[0].ahead = off
    last = service.keepers[3]
    last.slow = asyncio.Event()
    asking = asyncio.create_task(service.cosigned())
    await last.is_asked.wait()
    await asyncio.sleep(0)
    assert not asking.done()
    last.slow.set()
    assert {keeper.name for keeper in service.keepers[1:]} <= await asking
    service.keepers[0].ahead, service.keepers[1].ahead = -TEN_MINUTES * 9, TEN_MINUTES * 9
    with pytest.raises(Unreachable):
        await service.cosigned()
    assert said == ["the keepers' clocks differ too much from each other"]
    await service.cosigning.close()
