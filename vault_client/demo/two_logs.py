"""A log that is taken back: from an older backup first, then with three of the four keepers in league with the operator.

Whoever took part gets an older copy of what they held. The real server and the real keepers then run on these copies, at
the addresses of the service, and sign a second version of the log.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from crypto.errors import NotProven, Stale
from languages.catalogue import spoken
from vault_client.demo.cast import Cast
from vault_client.demo.client_commands import answer_of
from vault_client.demo.narration import Narration
from vault_client.demo.refusals import Attempt, attempted
from vault_client.demo.told import Proof, Told

COLLUDING = 3
_DATABASE = "keeper.db"


@dataclass(frozen=True)
class EarlierCopies:
    """What an operator kept of an earlier hour: a backup of the server, and the folders of some keepers."""

    backup: Path
    keepers: tuple[Path, ...]


async def copied(cast: Cast) -> EarlierCopies:
    """Copies of the running service as it is now."""
    folders = cast.instance.keeper_folders[:COLLUDING]
    keepers = tuple(_copied_keeper(folder) for folder in folders)
    backup = cast.folder / "backup.tar"
    await cast.instance.back_up(backup)
    return EarlierCopies(backup, keepers)


async def older_backup(cast: Cast, copies: EarlierCopies, narration: Narration, told: Told) -> Path:
    """The operator puts the backup back, and the server refuses to serve it. Returns where the backup was put."""
    narration.scene("backup")
    instance, restored = cast.instance, cast.folder / "restored"
    restored.mkdir(mode=0o700)
    await instance.stop(instance.server)
    await instance.restore(copies.backup, restored)
    narration.say("restored")
    server = instance.server_on(restored)
    told.note(await attempted("older-backup", instance.start(server), Stale), narration)
    await instance.stop(server)
    return restored


async def two_logs(
    cast: Cast, restored: Path, copies: EarlierCopies, narration: Narration, told: Told
) -> None:
    """Three keepers forget, so that the backup is served: one practitioner gets another log than Camille."""
    narration.scene("fork")
    instance, patient, doctor = cast.instance, cast.patient, cast.doctors[1]
    origin = patient.replica.origin
    ours = patient.service.believed(origin).head
    await instance.stop(*instance.keepers[:COLLUDING])
    await instance.start(*(instance.keeper_on(*each) for each in enumerate(copies.keepers)))
    await instance.start(instance.server_on(restored))
    narration.say("colluding")
    told.note(await _shown("rollback", cast), narration)
    (document, *_) = doctor.sdk.documents()
    while (theirs := doctor.sdk.service.believed(origin).head).size <= ours.size:
        destination = doctor.folder / "of-the-second-log"
        await doctor.sdk.read(document, destination)
        destination.unlink()
    narration.say("second-log", name=doctor.name)
    told.note(await _shown("fork", cast), narration)
    await _evidence(cast, narration, told)
    heads = {(head.size, head.root.hex()) for head in (ours, theirs)}
    proven = {proof.code: proof.heads for proof in told.evidence if proof.proven}
    told.require(proven.keys() == {"ROLLBACK", "FORK"}, "not every alarm left evidence that proves it")
    if told.require(
        proven.get("FORK") == heads, "the evidence does not show what the two devices were shown"
    ):
        narration.say("undeniable")


async def _shown(attempt: str, cast: Cast) -> Attempt:
    """Camille's device looks at the log that the service shows now."""
    return await attempted(attempt, cast.patient.log(), NotProven)


async def _evidence(cast: Cast, narration: Narration, told: Told) -> None:
    """Camille writes the evidence to files, and somebody else checks them, knowing the instance card alone."""
    await cast.patient.close()
    folder = cast.folder / "evidence"
    words = ["patient", "log", "--home", str(cast.folder / "patient"), "--evidence", str(folder)]
    _, written = await answer_of(words, cast.passphrases[0])
    for file in map(Path, written.get("evidence", ())):
        checking = ["evidence", "verify", str(file), "--card", str(cast.instance.card_file)]
        code, checked = await answer_of(checking)
        proven = checked["proven"] if code == 0 else []
        heads = {(head["size"], head["root"]) for head in checked.get("heads", ())}
        told.evidence.append(Proof(file.name, checked.get("code", ""), proven, heads))
        narration.say("evidence", code=told.evidence[-1].code)
        for sentence in (checked.get("claimed", ""), *proven):
            narration.show(spoken(sentence))


def _copied_keeper(folder: Path) -> Path:
    """A copy of a running keeper's folder: its keys, and its store as it stands at one moment."""
    copy = folder.with_name(f"{folder.name}-earlier")
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(f"{_DATABASE}*", "output.log"))
    store = f"{(folder / _DATABASE).absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(store, uri=True)) as live,
        closing(sqlite3.connect(copy / _DATABASE)) as file,
    ):
        live.backup(file)
    return copy
