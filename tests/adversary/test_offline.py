"""A server that plays dead, and what a profile makes of it."""

from argparse import Namespace
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto import trust_root
from crypto.encoding import decode
from crypto.errors import (
    BadSignature,
    Distrusted,
    Full,
    Malformed,
    NotPermitted,
    NotProven,
    Stale,
    TooMany,
    Unavailable,
    Unreachable,
)
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey
from crypto.trust_root import Successor, TrustRoot
from crypto.wire.messages import Empty
from crypto.wire.vault_api import PREFIX
from tests.adversary.test_trust_root import next_root, show
from tests.support.instance import Instance
from vault_client import __main__ as program
from vault_client import trust
from vault_client.alarms import Alarm
from vault_client.audit import Audit
from vault_client.audit_report import AuditReport
from vault_client.commands import profiles
from vault_client.commands.output import Screen
from vault_client.commands.patient_documents import get, list_documents
from vault_client.commands.patient_documents import show as show_document
from vault_client.commands.patient_grants import grants
from vault_client.commands.patient_log import log
from vault_client.device_store import DeviceStore
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.patient import Patient, PatientDocument
from vault_client.service import Service
from vault_client.shown_trust_roots import TrustRecord
from vault_client.trust import BelievedHead
from vault_server.instance import read_key
from vault_server.settings import Settings

TEXT = b"Haemoglobin 13.9 g/dL. " * 200
LATER = 3 * 365 * 24 * 3600

LOG = Namespace(all=False, evidence=None, disclose_keys=False, seen=False)


class Line:
    """Every connection of this process. While it is cut nobody answers but ``reached``; ``asked`` are the paths that were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_cut = False
        self.reached: set[str] = set()
        self.asked: list[str] = []
        real, line = HttpTransport.stream, self

        async def stream(
            self: HttpTransport, method: str, path: str, **rest: Any
        ) -> AsyncGenerator[bytes, None]:
            if line.is_cut and self.url not in line.reached:
                raise Unreachable("Nobody answers.")
            line.asked.append(path)
            async for chunk in real(self, method, path, **rest):
                yield chunk

        monkeypatch.setattr(HttpTransport, "stream", stream)


class Profile:
    """A patient's profile with one document, closed. ``resume`` opens it as a new process would."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.folder, self.key = folder / "profile", SecretBytes.random()
        self.source, self.out = folder / "result.txt", folder / "out.txt"
        self.source.write_bytes(TEXT)
        self.card = instance.card
        self.doc = b""

    async def begin(self) -> None:
        """Enrol, and add the document."""
        store = DeviceStore.create_with_key(self.folder, self.key)
        async with await Patient.begin(
            store, self.folder, card=self.card, keep_kit=lambda _: None
        ) as patient:
            self.doc = (await patient.add(self.source)).doc
            patient.files.copies.keep_only(())  # as on a device that did not make it

    async def resume(self) -> Patient:
        """Open it again."""
        return await Patient.resume(DeviceStore.open_with_key(self.folder, self.key), self.folder)


@pytest.fixture
async def profile(instance: Instance, tmp_path: Path) -> Profile:
    """A profile of the honest server, closed."""
    made = Profile(instance, tmp_path)
    await made.begin()
    return made


@pytest.fixture
def line(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> Line:
    """The line to the server, whole at first."""
    return Line(monkeypatch)


async def test_what_is_here_is_read_without_the_server(profile: Profile, line: Line) -> None:
    """A41: list and read while nobody answers; what needs the server says that it is away; then all goes on."""
    async with await profile.resume() as patient:
        assert (await patient.fetch_replica()).fetched == 1
        checked = await patient.log()
    line.is_cut = True
    async with await profile.resume() as patient:
        assert patient.service.is_offline
        assert [document.here for document in patient.documents()] == [True]
        await patient.get(profile.doc, profile.out)
        assert profile.out.read_bytes() == TEXT
        assert patient.last_log() == checked
        for impossible in (patient.sync(), patient.log(), patient.delete(profile.doc)):
            with pytest.raises(Unreachable):
                await impossible
        line.is_cut = False
        assert not (await patient.log()).alarms
        assert not patient.service.is_offline


async def test_what_is_not_here_says_so_at_once(
    profile: Profile, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document without a copy is not waited for while the server is away, and is fetched once it is back."""
    monkeypatch.setattr("vault_client.transfer.WAITS", (1 << 20,))
    line.is_cut = True
    async with await profile.resume() as patient:
        with pytest.raises(Unreachable):
            await patient.get(profile.doc, profile.out)
        line.is_cut = False
        assert (await patient.get(profile.doc, profile.out)).here
    line.is_cut = True
    async with await profile.resume() as patient:
        await patient.get(profile.doc, profile.out)


async def test_to_play_dead_first_is_no_way_around_the_trust_root(
    profile: Profile, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22, A31, A58: whoever answers after a dead start is asked for the trust root first, and for nothing else."""
    with DeviceStore.open_with_key(profile.folder, profile.key) as store:
        before = store.get("trust", TrustRecord)
    mine = SigningKey.generate()
    forged = next_root(before.envelope, mine, root_keys=(mine.public.raw,))
    for chain, error in (
        ((before.envelope, forged), BadSignature),
        ((forged,), NotPermitted),
        ((), NotPermitted),
    ):
        line.is_cut = True
        async with await profile.resume() as patient:
            line.is_cut, line.asked = False, []
            with monkeypatch.context() as lie:
                show(lie, *chain)
                for asking in (patient.sync(), patient.log(), patient.get(profile.doc, profile.out)):
                    with pytest.raises(Distrusted) as refused:
                        await asking
                    assert isinstance(refused.value.__cause__, error)
            assert patient._store.get("trust", TrustRecord) == before
            assert patient.service.is_offline
            with pytest.raises(Distrusted):
                await patient.sync()  # what it shows later makes nothing good
            assert line.asked == []
        async with await profile.resume() as patient:
            await patient.sync()  # the honest server is believed afterwards
            assert line.asked[0] == f"{PREFIX}/trust_roots"

    line.is_cut = True
    with monkeypatch.context() as twin:
        twin.setattr(Service, "follow", _nothing)
        async with await profile.resume() as patient:
            line.is_cut, line.asked = False, []
            show(twin, forged)
            await patient.sync()
            assert line.asked
            assert patient.service.record == before


async def _nothing(_: Service) -> None:
    """What does not look at the trust root."""


LIES: dict[str, Callable[[Envelope, Envelope], list[Envelope]]] = {
    "another service's": lambda first, forged: [forged],
    "none": lambda first, forged: [],
    "one that nobody signed who had to": lambda first, forged: [first, forged],
}


@pytest.mark.parametrize("lie", [*LIES, "garbage"])
async def test_a_lying_server_is_no_worse_than_a_dead_one(
    profile: Profile, line: Line, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    """A22, A41: what is here is read, changes wait, an alarm is said, and nothing is sent, whatever is shown later.

    The control is a server that plays dead: just as much can be read. The twin goes on with whoever answers after a
    lie, and is then asked.
    """
    async with await profile.resume() as patient:
        await patient.fetch_replica()
        checked = await patient.log()
    first = patient.service.record.envelope
    mine = SigningKey.generate()
    forged = next_root(first, mine, root_keys=(mine.public.raw,))

    async def untouched(patient: Patient) -> list[PatientDocument]:
        """What can be read; and what was asked meanwhile: nothing but the trust root."""
        line.asked = []
        await patient.get(profile.doc, profile.out)
        assert profile.out.read_bytes() == TEXT
        profile.out.unlink()
        assert patient.last_log() == checked
        for impossible in (
            patient.sync(),
            patient.log(),
            patient.mask(profile.doc),
            patient.add(profile.source),
        ):
            with pytest.raises(Unreachable):
                await impossible
        await patient.send_waiting()
        assert isinstance(patient.outcome.unreached, Unreachable)
        assert patient.outcome.refused == []
        return patient.documents()

    line.is_cut = True
    async with await profile.resume() as patient:
        control = await untouched(patient)
        assert (patient.service.alarm, len(patient.waiting())) == ("", 2)
        for queued in patient.waiting():
            patient.take_back(queued.id)
    line.is_cut = False

    async def resumed_after_the_lie() -> Patient:
        with monkeypatch.context() as lying:
            if lie == "garbage":
                lying.setattr(HttpVault, "trust_roots", raising(Malformed("No JSON.")))
            else:
                show(lying, *LIES[lie](first, forged))
            return await profile.resume()

    async with await resumed_after_the_lie() as patient:
        assert await untouched(patient) == control
        assert line.asked == []
        assert "ALARM" in patient.service.alarm
        assert patient.service.record.envelope == first
        assert len(patient.waiting()) == 2
    async with await resumed_after_the_lie() as twin:
        twin.service.distrust = None
        await twin.sync()
        assert line.asked
    async with await profile.resume() as patient:
        await patient.send_waiting()
        assert (patient.waiting(), len(patient.documents()), patient.service.alarm) == ([], 2, "")


async def test_a_server_that_only_says_that_it_cannot_is_no_liar(
    profile: Profile, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too busy, or out of order, when asked for the trust root: it is away, without an alarm, and believed later."""
    for error in (TooMany("Later."), Unavailable("The server stopped."), Full("No room.")):
        with monkeypatch.context() as busy:
            busy.setattr(HttpVault, "trust_roots", raising(error))
            async with await profile.resume() as patient:
                assert (patient.service.is_offline, patient.service.alarm) == (True, "")
                busy.undo()
                await patient.sync()
                assert not patient.service.is_offline


def raising(error: Exception) -> Any:
    """An operation that ends in ``error``."""

    async def answer(*_: object) -> None:
        raise error

    return answer


async def test_a_dead_server_does_not_make_a_trust_root_live_longer(
    profile: Profile, line: Line, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A40: under an expired trust root the profile opens and reads, says so, and believes nothing new, of keepers neither.

    The server that answers at last with a renewed one is gone on with; with the expired one it is distrusted.
    """
    with DeviceStore.open_with_key(profile.folder, profile.key) as store:
        first = store.get("trust", TrustRecord).envelope
    async with await profile.resume() as patient:
        await patient.fetch_replica()
        (keeper,) = patient.service.root.live_keepers
        chain = patient.own.profile.chain
    line.is_cut, line.reached = True, {keeper.url}
    real = trust_root.check_expiry
    monkeypatch.setattr(trust_root, "check_expiry", lambda accepted, now: real(accepted, now + LATER))
    async with await profile.resume() as patient:
        assert patient.service.is_offline
        assert "has expired" in patient.service.standstill
        assert "ALARM" not in patient.service.standstill
        await patient.get(profile.doc, profile.out)
        assert profile.out.read_bytes() == TEXT
        with pytest.raises(Unreachable):
            await patient.sync()
        with pytest.raises(Stale):
            await patient.service.prove_chain(chain)
        with monkeypatch.context() as twin:
            twin.setattr(trust_root, "check_expiry", lambda *_: None)
            assert await patient.service.prove_chain(chain)

        key = read_key(Settings(data=instance.data).operator_folder / "root.key")
        renewed = next_root(first, key, expiry=decode(first.body, TrustRoot).expiry + LATER)
        line.is_cut = False
        with monkeypatch.context() as honest:
            show(honest, first, renewed)
            await patient.service.follow()
        assert (patient.service.standstill, patient.service.accepted.ref.version) == ("", 2)
    with DeviceStore.open_with_key(profile.folder, profile.key) as store:
        record = store.get("trust", TrustRecord)
        store.put("trust", msgspec.structs.replace(record, envelope=first))
    async with await profile.resume() as patient:
        assert isinstance(patient.service.distrust, Stale)
        assert "ALARM" in patient.service.standstill


async def test_a_service_that_asks_for_a_newer_client_is_no_liar(
    profile: Profile, line: Line, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on the device is read, nothing is sent, and Coffre is to be updated: no alarm. Unsigned, it is a lie like others."""
    with DeviceStore.open_with_key(profile.folder, profile.key) as store:
        before = store.get("trust", TrustRecord)
    async with await profile.resume() as patient:
        await patient.fetch_replica()
    key = read_key(Settings(data=instance.data).operator_folder / "root.key")
    first, newest = before.envelope, {"minimum_client": "999.0.0"}
    with monkeypatch.context() as honest:
        show(honest, first, next_root(first, key, **newest))
        async with await profile.resume() as patient:
            assert (patient.service.alarm, patient.service.distrust) == ("", None)
            assert "Update Coffre" in patient.service.standstill
            await patient.get(profile.doc, profile.out)
            line.asked = []
            with pytest.raises(Distrusted, match="Update Coffre"):
                await patient.sync()
            assert line.asked == []
            assert patient._store.get("trust", TrustRecord) == before
            honest.undo()
            await patient.sync()  # the operator took it back, or a newer client is there
    with monkeypatch.context() as lie:
        show(lie, first, next_root(first, SigningKey.generate(), **newest))
        async with await profile.resume() as patient:
            assert "ALARM" in patient.service.standstill


def known_heads(patient: Patient) -> dict[str, BelievedHead]:
    """The heads that the device holds, by log."""
    return {head.origin: head for _, head in patient._store.scan("head", BelievedHead)}


async def test_a_service_whose_logs_were_lost_is_no_liar(
    profile: Profile, line: Line, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trust root that names successors: the device's documents are read, its heads kept, nothing is sent, and no alarm."""
    async with await profile.resume() as patient:
        await patient.fetch_replica()
        before, heads = patient._store.get("trust", TrustRecord), known_heads(patient)
    key = read_key(Settings(data=instance.data).operator_folder / "root.key")
    origin = decode(before.envelope.body, TrustRoot).directory_origin
    lost = Successor(old_origin=origin, last_head=heads[origin].head, new_origin=f"{origin}/1")
    following = next_root(before.envelope, key, successors=(lost,))
    with monkeypatch.context() as honest:
        show(honest, before.envelope, following)
        async with await profile.resume() as patient:
            assert (patient.service.alarm, patient.service.distrust) == ("", None)
            assert "goes on with others" in patient.service.standstill
            await patient.get(profile.doc, profile.out)
            line.asked = []
            with pytest.raises(Distrusted, match="goes on with others"):
                await patient.sync()
            assert line.asked == []
            assert (patient._store.get("trust", TrustRecord), known_heads(patient)) == (before, heads)
    with monkeypatch.context() as twin:
        show(twin, before.envelope, following)
        twin.setattr(trust, "check_usable", lambda _: None)
        async with await profile.resume() as patient:
            service = (
                patient.service
            )  # nothing that it knew of the lost directory is compared with the new one
            assert service.believed(service.root.directory_origin).head.size == 0


async def test_a_newer_trust_root_is_followed_before_anything_is_asked(
    profile: Profile, line: Line, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the service changed while this device was offline is in force at the first answer: keepers, hosts and all."""
    with DeviceStore.open_with_key(profile.folder, profile.key) as store:
        first = store.get("trust", TrustRecord).envelope
    key = read_key(Settings(data=instance.data).operator_folder / "root.key")
    second = next_root(first, key, expiry=decode(first.body, TrustRoot).expiry + 1)
    line.is_cut = True
    async with await profile.resume() as patient:
        line.is_cut = False
        with monkeypatch.context() as honest:
            show(honest, first, second)
            await patient.service.follow()
        assert patient.service.accepted.ref.version == 2
        assert patient._store.get("trust", TrustRecord).envelope == second


async def test_a_server_that_is_away_keeps_nobody_from_the_keepers(profile: Profile, line: Line) -> None:
    """A44: the keepers of the stored trust root are asked without the server; an end must reach them."""
    line.is_cut = True
    async with await profile.resume() as patient:
        (keeper,) = patient.service.root.live_keepers
        with pytest.raises(Unreachable):
            await patient.service.ask_keepers(lambda _, each: each.card(Empty()), 1)
        line.reached = {keeper.url}
        answers = await patient.service.ask_keepers(lambda _, each: each.card(Empty()), 1)
        assert [card.name for card in answers.values()] == [keeper.name]
        assert patient.service.is_offline


@pytest.fixture
def commands_use(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patient's commands open the profile of the test."""

    @asynccontextmanager
    async def opened(*_: object) -> AsyncGenerator[tuple[Patient, DeviceStore]]:
        async with await profile.resume() as patient:
            yield patient, patient._store

    monkeypatch.setattr(profiles, "patient", opened)


@pytest.mark.usefixtures("commands_use")
async def test_the_commands_say_that_the_server_is_away(
    line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lists are shown with a word about their age; the log too, dated, but as not checked: that is no success."""
    online, offline = Screen(as_json=True), Screen(as_json=True)
    line.is_cut = True
    with pytest.raises(Unreachable, match="never checked on this device"):
        await log(LOG, offline)
    line.is_cut = False
    await list_documents(Namespace(), online)
    await log(LOG, online)
    assert online.result["offline"] is False
    line.is_cut = True
    await list_documents(Namespace(), offline)
    await grants(Namespace(grant=None), Screen(as_json=False))
    assert profiles.OFFLINE in capsys.readouterr().out
    with pytest.raises(Unreachable, match="was not checked now"):
        await log(LOG, offline)
    assert offline.result.pop("offline") is True
    needs_the_server = {"offline", "keyed_anew", "not_keyed_anew"}
    assert offline.result == {
        name: each for name, each in online.result.items() if name not in needs_the_server
    }

    report = Audit.last

    def alarmed(self: Audit) -> AuditReport | None:
        found = report(self)
        alarm = Alarm(code="CHAIN", index=1, text="An entry does not follow.", leaf=b"", opening=None)
        return found and msgspec.structs.replace(found, alarms=(alarm,))

    monkeypatch.setattr(Audit, "last", alarmed)
    with pytest.raises(NotProven, match=r"does not hold: 1 alarm.*not checked now"):
        await log(LOG, offline)


@pytest.mark.usefixtures("commands_use")
@pytest.mark.parametrize("lies", [False, True])
async def test_whatever_is_shown_of_this_device_alone_says_so(
    profile: Profile,
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lies: bool,
) -> None:
    """``show``, ``get``, ``list`` and ``grants`` without a server say so, to people and programs; a lie is an alarm."""
    commands = (show_document, get, list_documents, grants)

    async def run(*, as_json: bool) -> list[dict[str, Any]]:
        results = []
        for command in commands:
            screen = Screen(as_json=as_json)
            await command(Namespace(document=profile.doc.hex(), output=profile.out, grant=None), screen)
            profile.out.unlink(missing_ok=True)
            results.append(screen.result)
        return results

    for result in await run(as_json=True):
        assert result["offline"] is False
        assert "distrusted" not in result
    if lies:
        show(monkeypatch)
    else:
        line.is_cut = True
    for result in await run(as_json=True):
        assert result["offline"] is True
        assert ("ALARM" in result.get("distrusted", "")) is lies
    await run(as_json=False)
    said = capsys.readouterr().out
    assert said.count(profiles.LAST_KNOWN) == len(commands)
    assert said.count(profiles.OFFLINE) == (0 if lies else len(commands))
    assert said.count("ALARM: the server") == (len(commands) if lies else 0)


def test_a_distrusted_server_ends_in_the_exit_code_of_a_refusal() -> None:
    """Nobody takes an alarm for a server that is merely away: 1, not 3."""
    assert program._failed(Distrusted("ALARM"), Screen(as_json=True)) == program.REFUSED
    assert program._failed(Unreachable("away"), Screen(as_json=True)) == program.UNAVAILABLE
