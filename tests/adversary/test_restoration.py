"""Restoring from the kit: what a server shows to whoever has nothing but the kit."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from crypto.errors import CoffreError, NotPermitted, NotProven, Unauthenticated
from crypto.identity_links import Chain
from crypto.merkle import EMPTY_ROOT
from crypto.secret_bytes import SecretBytes
from crypto.statements import Head
from crypto.wire.messages import Openings, PartAnswer, PartQuery
from tests.adversary.story import TEXTS, Story
from tests.adversary.twins import Anything
from vault_client import identity_history, identity_recovery, own_identity, vault_restoration
from vault_client.device_store import DeviceStore
from vault_client.http_vault import HttpVault
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner
from vault_client.service import Service
from vault_client.trust import BelievedHead

Lie = Callable[[Any, Any], Any]


class Server:
    """What stands between whoever restores and the honest server. ``asked``: the operations, in order."""

    def __init__(self) -> None:
        self.lies: dict[str, Lie] = {}
        self.asked: list[str] = []


class Cut(Exception):
    """The process is no more."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that can lie to every client made from now on."""
    between, real = Server(), HttpVault._ask

    async def ask(self: HttpVault, name: str, query: Any, answer: Any) -> Any:
        between.asked.append(name)
        return between.lies.get(name, lambda _, said: said)(query, await real(self, name, query, answer))

    monkeypatch.setattr(HttpVault, "_ask", ask)
    return between


class Machine:
    """An empty machine, on which the patient of a story restores, once or again and again."""

    def __init__(self, story: Story, name: str) -> None:
        self._story, self.folder, self._key = story, story.folder / name, SecretBytes.random()
        DeviceStore.create_with_key(self.folder, self._key).close()

    @property
    def store(self) -> DeviceStore:
        """The profile's store, opened."""
        return DeviceStore.open_with_key(self.folder, self._key)

    async def restored(self, **how: Any) -> Patient:
        """The record, restored with the kit's file unless told otherwise."""
        kit, card = self._story.kits[0], self._story.instance.card
        told = {"kit": kit.kit, "card": card, "identity": kit.identity, "vault": self._story.patient.vault}
        return await Patient.restore(self.store, self.folder, **(told | how))

    async def refused(self, *errors: type[CoffreError], **how: Any) -> None:
        """Restoring is refused."""
        with pytest.raises(errors):
            await self.restored(**how)


async def test_a_record_is_restored_whole(story: Story) -> None:
    """The control: documents, grants, names and the log are there, under a new epoch that goes on."""
    await story.read()
    story.destination.unlink()
    async with await Machine(story, "restored").restored() as patient:
        for document, text in zip(story.documents, TEXTS, strict=True):
            await patient.get(document.doc, story.destination)
            assert story.destination.read_bytes() == text
            story.destination.unlink()
        (grant,) = patient.grants()
        assert (grant.name, grant.subject) == (story.grant.name, story.grant.subject)
        given = {each.doc for each in patient.granted(grant.entry.gid)}
        assert given == {each.doc for each in story.documents}
        assert (await patient.log()).alarms == ()
        assert patient.replica.local.head.keys.epoch == 1
        await patient.sync()
        assert (patient.renewal.made, patient.renewal.refused) == ([], {})
        assert await story.reader.sync() == []
        assert story.reader.grants.recovered == {patient.vault}  # the practitioner is told, and asks
        await story.reader.listing()
        assert await story.read(1) == TEXTS[1]
        assert (await patient.revoke(grant.entry.gid)).end_in_force
        assert (await patient.log()).alarms == ()
        past = await patient.identity_history()
        assert [use.what for use in past.kit_uses] == ["fetch the keyring", identity_history.RECOVERED]
        assert [each.until is None for each in past.devices] == [False, True]

    # The device of before: told nothing by the server, and the reason by the keepers' word.
    with pytest.raises(Unauthenticated):
        await story.patient.sync()
    with pytest.raises(NotPermitted, match="recovered with the kit"):
        await story.patient.own.check_not_removed(story.patient.service)


async def test_links_that_the_server_leaves_out_stand_in_the_log(
    story: Story, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A38, A39: without the newest link nothing is written; the record is there to be read, and whole with the next run."""

    def shortened(query: Any, said: Any) -> Any:
        kept = tuple(link for link in said.links if link.digest != newest)
        return msgspec.structs.replace(said, links=kept)

    def withheld(query: Any, said: Openings) -> Openings:
        return msgspec.structs.replace(said, openings=said.openings[:-1])

    newest = story.patient.replica.local.head.link
    machine = Machine(story, "restored")
    for lies in ({"links": shortened}, {"links": shortened, "openings": withheld}):
        server.lies = lies
        await machine.refused(NotProven)
        assert "append_link" not in server.asked
    async with await Patient.resume(machine.store, machine.folder) as patient:
        assert len(patient.documents()) == len(TEXTS)
        assert patient.is_restoring
        with pytest.raises(NotPermitted, match="is being restored"):
            await patient.mask(story.documents[0].doc)
        assert "append_link" not in server.asked

    with monkeypatch.context() as twin:
        twin.setattr(vault_restoration, "_check_agreement", lambda *_, **__: None)
        twin.setattr(vault_restoration, "rotate", lambda *_: _nothing())
        async with await Machine(story, "twin").restored() as patient:
            assert patient.grants() == []  # the newest link was the grant: the patient never learns of it

    server.lies = {}
    async with await machine.restored() as patient:
        assert len(patient.grants()) == 1
        assert not patient.is_restoring
    await machine.refused(NotPermitted)  # somebody lives here now


async def test_what_was_deleted_hinders_no_restore(story: Story, server: Server) -> None:
    """The parts of a deleted document are erased, and nobody is accused; those of one that is not are withheld."""
    gone, kept = (document.doc for document in story.documents[:2])
    assert story.patient.replica.deleted_titles() == {}
    await story.patient.delete(gone)
    assert story.patient.replica.deleted_titles() == {gone: story.documents[0].descriptor.title}
    async with await Machine(story, "after a deletion").restored() as patient:
        assert patient.replica.deleted_titles() == {
            gone: ""
        }  # the server erased it, and this device never had it
        assert {each.doc for each in patient.documents()} == {each.doc for each in story.documents} - {gone}
        state = patient.replica.state(gone)
        assert state is not None
        assert state.deleted
        assert (await patient.log()).alarms == ()
        with pytest.raises(NotPermitted):
            await patient.get(gone, story.destination)
        version = patient.replica.document(kept).document.versions[-1]

    def without(query: PartQuery, said: PartAnswer) -> PartAnswer:
        wanted = (version.self_wrap, version.descriptor)
        parts = zip(query.hashes, said.parts, strict=True)
        return PartAnswer(parts=tuple(None if name in wanted else part for name, part in parts))

    server.lies = {"parts": without}
    machine = Machine(story, "withheld")
    await machine.refused(NotProven)
    server.lies = {}
    async with await machine.restored() as patient:
        assert kept in {each.doc for each in patient.documents()}


async def test_a_kit_used_in_the_other_role_removes_no_device(story: Story, server: Server) -> None:
    """A doctor who restores as a patient, or a patient as a doctor, is told before anything is published."""
    (patients, doctors), card = story.kits[:2], story.instance.card
    machine = Machine(story, "other role")
    server.asked.clear()
    await machine.refused(NotPermitted, kit=doctors.kit, identity=doctors.identity, vault=None)
    how = {"kit": patients.kit, "card": card, "identity": patients.identity, "vault": story.patient.vault}
    with pytest.raises(NotPermitted, match="patient restore"):
        await Practitioner.restore(machine.store, machine.folder, **how)
    assert "publish_link" not in server.asked


async def test_the_identity_is_the_kits_and_whole(
    story: Story, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A30: another's chain, a shortened one, an older keyring: nothing is signed with the kit, or nothing believed."""
    older, root = story.patient.own.profile.chain, story.patient.service.root
    known_at, registrars = identity_recovery.known_at, root.registrar_keys()
    named = known_at(older, 1 << 40, root.directory_origin, registrars).state.keyring
    query = PartQuery(vault=None, hashes=(named or b"",))
    (older_keyring,) = (await story.patient.service.api.parts(query)).parts
    async with await Machine(story, "first").restored() as patient:
        reading_keys = len(patient.own.profile.keyring.reading_keys)
        assert reading_keys == 2
    strangers = story.reader.own.profile.chain
    alone = {"identity": None, "vault": None}

    def of_stranger(query: Any, said: Any) -> Any:
        return msgspec.structs.replace(said, identity=strangers.identity)

    server.asked.clear()
    for lies, error in (
        ({"identity_chain": lambda *_: strangers}, NotProven),
        ({"root_login": of_stranger}, NotProven),
        ({"identity_chain": lambda *_: older}, NotProven),
    ):
        server.lies = lies
        await Machine(story, fresh_name()).refused(error)
    server.lies = {"root_login": of_stranger, "identity_chain": lambda *_: strangers}
    await Machine(story, fresh_name()).refused(NotPermitted, **alone)
    assert "publish_link" not in server.asked

    with monkeypatch.context() as twin:  # whoever does not ask the keepers goes on with the shortened chain
        server.lies = {"identity_chain": lambda *_: older}

        async def unasked(self: Service, chain: Chain) -> Any:
            return known_at(chain, 1 << 40, root.directory_origin, registrars)

        twin.setattr(Service, "know", unasked)
        await Machine(story, fresh_name()).refused(CoffreError)
        assert "publish_link" in server.asked

    server.lies = {"parts": lambda query, said: said if query.vault else PartAnswer(parts=(older_keyring,))}
    await Machine(story, fresh_name()).refused(NotProven)
    with monkeypatch.context() as twin:
        twin.setattr(own_identity, "part_hash", lambda _: Anything())
        await Machine(story, fresh_name()).refused(NotPermitted)
        twin.setattr(identity_recovery, "check_identity_keyring", lambda *_: None)
        async with await Machine(story, fresh_name()).restored() as patient:
            assert len(patient.own.profile.keyring.reading_keys) == reading_keys  # one is lost for ever
    server.lies = {}
    async with await Machine(story, fresh_name()).restored(**alone) as patient:
        assert patient.vault == story.patient.vault


async def test_a_cut_leaves_a_restore_that_can_be_repeated(story: Story, server: Server) -> None:
    """Whatever was sent last and not answered, the same run again ends in the whole record."""
    for operation, count in (("publish_link", 1), ("publish_link", 2), ("links", 1), ("append_link", 1)):
        machine, seen = Machine(story, f"{operation}-{count}"), []

        def cut(query: Any, said: Any, seen: list[Any] = seen, count: int = count) -> Any:
            seen.append(query)
            if len(seen) == count:
                raise Cut
            return said

        server.lies = {operation: cut}
        with pytest.raises(Cut):
            await machine.restored()
        server.lies = {}
        before = server.asked.count("publish_link")
        async with await machine.restored() as patient:
            assert len(patient.documents()) == len(TEXTS)
            assert len(patient.grants()) == 1
        # A recover link that arrived is taken up: the kit is not used a second time.
        assert server.asked.count("publish_link") - before == (
            2 if (operation, count) == ("publish_link", 1) else 0
        )


async def test_the_log_goes_on_from_the_head_that_the_keyring_pins() -> None:
    """A48: a log that is shorter than the keyring's head, or another, is not the record's."""

    async def refresh(origin: str) -> BelievedHead:
        return BelievedHead(origin=origin, head=shown[-1], time=5)

    async def consistency(*_: Any) -> list[bytes]:
        return []

    service = SimpleNamespace(refresh=refresh, reader=SimpleNamespace(consistency=consistency))
    pinned = Head(size=4, root=bytes(32))
    shown = [pinned]
    replica = SimpleNamespace(origin="o", local=SimpleNamespace(keyring=SimpleNamespace(head=pinned)))
    await vault_restoration._check_log_goes_on(service, replica)  # type: ignore[arg-type]
    for head in (Head(size=3, root=bytes(32)), Head(size=0, root=EMPTY_ROOT), Head(size=4, root=b"1" * 32)):
        shown.append(head)
        with pytest.raises(NotProven):
            await vault_restoration._check_log_goes_on(service, replica)  # type: ignore[arg-type]


async def _nothing() -> None:
    """Done."""


def fresh_name() -> str:
    """A name for another machine."""
    return SecretBytes.random(8).reveal().hex()
