"""A log whose beginning is gone, at a real server and keeper: everybody goes on, and says from where entries are gone.

And a server that says so of entries that are not old: nobody believes it.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from crypto.checkpoint import open_checkpoint
from crypto.errors import NotFound, NotProven
from crypto.pruning import RETENTION
from crypto.secret_bytes import SecretBytes
from crypto.tiles import WIDTH
from crypto.wire.messages import LogBeginning, Openings
from tests.adversary.story import TEXTS, Story, told
from tests.support import aged_log
from tests.support.instance import Instance, running
from vault_client import log_beginning
from vault_client.audit_report import AuditReport
from vault_client.device_store import DeviceStore
from vault_client.patient import Patient
from vault_client.public_log import verify_logs
from vault_server.fsck import check
from vault_server.settings import Settings

OLD = RETENTION + 2 * 24 * 3600


class Service:
    """A server that can be stopped and started again, at one address."""

    def __init__(self, data: Path) -> None:
        self._data, self._port, self._running = data, 0, ExitStack()
        self.instance: Instance

    def start(self) -> Instance:
        """Start it."""
        self.instance = self._running.enter_context(running(self._data, self._port))
        self._port = urlsplit(self.instance.url).port or 0
        return self.instance

    def stop(self) -> None:
        """Stop it."""
        self._running.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A server whose first log is nearly one bundle long when the story begins."""
    service = Service(tmp_path / "data")
    service.start()
    service.stop()
    asyncio.run(aged_log.lengthen(tmp_path / "data", WIDTH - 8))
    service.start()
    yield service
    service.stop()


def readings(report: AuditReport) -> list[int]:
    """Where someone read."""
    return [entry.index for entry in report.entries if entry.kind == "access"]


async def cross_the_bundle(story: Story) -> None:
    """Read, then change the record until the log has a second bundle: links and readings are on both sides."""
    assert await story.read() == TEXTS[0]
    for number in range(6):
        await story.add(b"more" * 50, f"more-{number}.txt")
    await story.patient.extend(story.grant.entry.gid, [story.documents[-1].doc])
    await story.reader.sync()
    await story.read(1)


async def nothing_new_is_called_gone(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that calls a reading's entry gone shows no head that dates it so, and is refused; and the twin."""
    instance, vault = story.instance, story.patient_vault
    note = await vault.honest.checkpoint(story.origin)
    head = open_checkpoint(note, story.patient.service.root.log_key_of(story.origin))
    now = int(time.time())

    async def tile(origin: str, path: str) -> bytes:
        if path.startswith("tile/entries/000"):
            raise NotFound("A tile")
        return await vault.honest.tile(origin, path)

    vault.forge("tile", tile)
    vault.tamper(
        "openings",
        lambda said: Openings(
            openings=tuple(each for each in said.openings if each.index >= WIDTH), more=said.more
        ),
    )
    recent = aged_log.dated(instance, head, now - RETENTION + 3600)
    other = type(head)(head.origin, head.size, bytes(32))
    lies = {
        "nothing": LogBeginning(minimum=0, note=None),
        "no head": LogBeginning(minimum=WIDTH, note=None),
        "a head of now": LogBeginning(minimum=WIDTH, note=note),
        "a head that is not old enough": LogBeginning(minimum=WIDTH, note=recent),
        "a head that is too small": LogBeginning(
            minimum=2 * WIDTH, note=aged_log.dated(instance, head, now - OLD)
        ),
        "a head of another log": LogBeginning(minimum=WIDTH, note=aged_log.dated(instance, other, now - OLD)),
    }
    for lie in lies.values():
        vault.replay("log_beginning", lie)
        before = story.trusted()
        with pytest.raises(NotProven):
            await story.patient.log()
        assert story.trusted() == before
    # The twin asks for no date: what was read in the first bundle is never shown, and nothing is raised.
    vault.replay("log_beginning", lies["a head of now"])
    with monkeypatch.context() as twin:
        twin.setattr(log_beginning, "check_beginning", lambda *_: head)
        hidden = await story.patient.log()
    vault.be_honest()
    assert hidden.alarms == ()
    assert len(readings(hidden)) == 1
    for name in ("audit", "gone"):  # as a device that has not looked yet
        story.patient._store.delete(name)


async def test_everybody_goes_on_where_a_log_begins_late(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit of whoever was away, ``log verify``, ``--fsck``, readers and a restore from the kit.

    Before anything is old, a server that calls it gone is refused.
    """
    async with told(service.instance, tmp_path) as story:
        await cross_the_bundle(story)
        await nothing_new_is_called_gone(story, monkeypatch)
        service.stop()
        await aged_log.prune(service.instance, WIDTH, int(time.time()) - OLD)
        await check(Settings(data=service.instance.data))
        instance = service.start()

        report = await story.patient.log()
        assert (report.alarms, report.gone) == ((), WIDTH)
        assert min(entry.index for entry in report.entries) >= WIDTH
        assert len(readings(report)) == 1
        checked = await verify_logs(instance.url, instance.card)
        assert [log.begins for log in checked.logs] == [0, WIDTH]
        # A reader whose grant is in the part that is gone, at a keeper that has all it has seen.
        assert await story.read(0) == TEXTS[0]
        report = await story.patient.log()
        assert (report.alarms, len(readings(report))) == ((), 2)

        exported = await story.patient.export(tmp_path / "export")
        assert [(finding.what, finding.path) for finding in exported.findings] == [
            ("unchecked", f"what the log said before entry {min(entry.index for entry in report.entries)}")
        ]
        assert [entry.index for entry in exported.entries] == [entry.index for entry in report.entries]

        kit, folder = story.kits[0], tmp_path / "restored"
        store = DeviceStore.create_with_key(folder, SecretBytes.random())
        how = {"kit": kit.kit, "card": instance.card, "identity": kit.identity, "vault": story.patient.vault}
        async with await Patient.restore(store, folder, **how) as restored:
            assert len(restored.documents()) == len(story.documents)
            report = await restored.log()
            assert (report.alarms, report.gone) == ((), WIDTH)
            assert {grant.end_in_force for grant in restored.grants()} == {False}
