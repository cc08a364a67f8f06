"""A service whose operator renews its trust root, retires one of four keepers and adds another, as its users live through it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto.errors import Unreachable
from tests.support.instance import served
from tests.support.keeper_program import KeeperProgram, free_port
from vault_client.patient import Patient
from vault_client.practitioner import Practitioner
from vault_client.public_log import verify_logs
from vault_server.__main__ import main
from vault_server.instance import card_file
from vault_server.keeper.keys import CARD
from vault_server.settings import Settings

TEXT = b"Ferritin 80 ug/l. " * 300


@pytest.fixture
def keepers(tmp_path: Path) -> Iterator[list[KeeperProgram]]:
    """Five keepers, not running yet."""
    made = [KeeperProgram.found(tmp_path / f"keeper-{place}", f"keeper-{place}") for place in range(5)]
    yield made
    for keeper in made:
        keeper.stop()


async def opens(reader: Practitioner, gid: bytes, to: Path) -> None:
    """The practitioner opens the document of a grant."""
    (document,) = [each for each in reader.documents() if each.gid == gid]
    await reader.read(document, to)
    check(to)


def check(to: Path) -> None:
    """What was opened is what was shared."""
    assert to.read_bytes() == TEXT
    to.unlink()


async def sign(data: Path, *changes: str) -> None:
    """The operator's command, said yes to."""
    words = ["trust-root", "sign", "--data", str(data), "--yes", *changes]
    assert await asyncio.to_thread(main, words) == 0


def reopened(*people: Patient | Practitioner) -> None:
    """As after a new start of their programs: the trust root is asked for before anything else."""
    for person in people:
        person.service.is_offline = True


async def test_a_keeper_retires_and_another_comes(tmp_path: Path, keepers: list[KeeperProgram]) -> None:
    """What was granted before opens by the retired keeper's answer; what is granted after names live keepers only.

    A grant on its way, with the word of a keeper that has retired since, is taken in all the same.
    """
    data, to, source, port = tmp_path / "data", tmp_path / "out", tmp_path / "letter", free_port()
    card, url = card_file(Settings(data=data)), f"http://127.0.0.1:{port}"
    source.write_bytes(TEXT)
    retired, other, *rest, added = keepers
    for keeper in (retired, other, *rest):
        keeper.serve(url, card)
    with served(data, port, (retired, other, *rest)) as first:
        patient = await first.patient(tmp_path / "patient")
        reader = await first.practitioner(tmp_path / "reader")
        reader_card = await reader.card()
        doc = (await patient.add(source)).doc
        before = (await patient.authorise(reader_card, [doc])).entry.gid
        assert await reader.sync() == []
        await reader.listing()
        on_its_way = (await patient.authorise(reader_card, [doc])).entry.gid
    async with patient, reader:
        await sign(data)
        await sign(data, "--retire-keeper", "keeper-0", "--keeper", str(added.folder / CARD))
        added.serve(url, card)
        with served(data, port):
            reopened(patient, reader)
            assert await reader.sync() == []
            await reader.listing()
            assert reader.service.accepted.ref.version == 3
            await opens(reader, before, to)
            await opens(reader, on_its_way, to)

            other.stop()
            await opens(reader, before, to)  # by keepers 0, 2 and 3
            after = (await patient.authorise(reader_card, [doc])).entry.gid
            names = {blob.keeper for blob in patient.replica.grant(after).blobs}
            assert names == {keeper.key_hash for keeper in patient.service.root.live_keepers}
            assert await reader.sync() == []
            await reader.listing()
            await opens(reader, after, to)  # by keepers 2, 3 and 4

            retired.stop()
            with pytest.raises(Unreachable):
                await opens(reader, before, to)
            await opens(reader, after, to)
            retired.start()
            retired.wait()
            await patient.revoke(before)
            assert patient.replica.grant(before).end_in_force
            assert (await patient.log()).alarms == ()
            await verify_logs(url, first.card)
