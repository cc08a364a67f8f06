"""The server and the keeper hold nothing of what they store: their files and output are searched after a whole story.

Searched for: every 16-byte run of a document, and every 8-byte run of its title and file name, of the patient's name,
of a passphrase, and of every secret key of a person, as it is, in hexadecimal and in base64. Excepted: runs of fewer than
6 distinct bytes, which stand for nothing, runs of documents that a fresh installation holds too, and Kv, the scan key,
which the server holds by design.
"""

import asyncio
import base64
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vault_client.demo.cast import Cast, assembled
from vault_client.demo.instance import running
from vault_client.demo.narration import Narration
from vault_client.demo.sources import Source, sources_of
from vault_client.demo.story import tell
from vault_client.demo.told import Told
from vault_client.patient import newest

DOCUMENT_RUN, SECRET_RUN, DISTINCT = 16, 8, 6
BASE64_RUN = 10  # characters: what 8 bytes fill for certain
KV_HELD_BY_DESIGN = "scan_key"


@dataclass(frozen=True)
class Played:
    """A story that was played, its ended instance, and what must not be found in it."""

    data: Path
    fresh: Path
    told: Told
    documents: tuple[bytes, ...]
    secrets: dict[str, bytes]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The demo's story with the smaller of its own documents, and a fresh installation beside it."""
    return asyncio.run(play(tmp_path_factory.mktemp("story"), tmp_path_factory.mktemp("fresh")))


async def play(folder: Path, fresh: Path) -> Played:
    """Play the story in ``folder``, and start and end another instance in ``fresh``."""
    sources = [each for each in sources_of(None, folder) if each.path.stat().st_size < 150_000]
    text = folder / "documents" / "Résultats confidentiels.txt"
    text.write_text("Un texte que personne d'autre ne doit lire, et dont nul ne doit voir un morceau.\n" * 40)
    sources.append(Source(text.name, text, None))
    told = Told()
    async with assembled(folder) as cast:
        await tell(cast, sources, Narration(quiet=True), told)
        secrets = secrets_of(cast)
    for source in sources:
        secrets[f"file name {source.name}"] = source.name.encode()
    async with running(fresh):
        pass
    return Played(folder, fresh, told, tuple(source.path.read_bytes() for source in sources), secrets)


def secrets_of(cast: Cast) -> dict[str, bytes]:
    """Everything that must stay with the people, by what it is; Kv is left out by name."""
    found: dict[str, bytes] = {}
    for number, passphrase in enumerate(cast.passphrases):
        found[f"passphrase {number}"] = passphrase.encode()
    for number, own in enumerate([cast.patient.own, *(doctor.sdk.own for doctor in cast.doctors)]):
        keys = {"signing": own.profile.signing, "sealing": own.profile.sealing}
        keys |= {f"reading {each.number}": each.seed for each in own.profile.keyring.reading_keys}
        found |= {f"{name} key {number}": key for name, key in keys.items()}
    replica = cast.patient.replica
    person = replica.local.keyring.person
    if person is None:
        raise ValueError("the demo's patient has no name")
    found |= {"person's name": person.name.encode(), "person's salt": person.salt}
    for epoch in replica.local.keyring.epochs:
        for name in epoch.__struct_fields__:
            value = getattr(epoch, name)
            if isinstance(value, bytes) and name != KV_HELD_BY_DESIGN:
                found[f"epoch {epoch.epoch} {name}"] = value
    for document in replica.documents():
        title = document.descriptor.title
        found[f"title {title}"] = title.encode()
        found[f"document key {newest(document.document).ver.hex()}"] = replica.document_key(document).reveal()
    for doctor in cast.doctors:
        for grant in doctor.sdk.grants.all():
            found |= {f"share A {grant.gid.hex()}": grant.share_a, f"Kg {grant.gid.hex()}": grant.grant_key}
    return found


def runs(data: bytes, length: int) -> Iterator[bytes]:
    """Every run of ``length`` bytes."""
    return (data[at : at + length] for at in range(len(data) - length + 1))


def held(folder: Path) -> list[tuple[str, bytes]]:
    """Names and bytes of what the server and the keepers keep and wrote."""
    return [
        (path.relative_to(folder).as_posix(), path.read_bytes())
        for part in (folder / "server", *folder.glob("keeper-?"))
        for path in sorted(part.rglob("*"))
        if path.is_file()
    ]


def forms(secret: bytes) -> Iterator[bytes]:
    """Every run of a secret: as it is, in hexadecimal, and in base64 wherever it may begin."""
    yield from runs(secret, SECRET_RUN)
    yield from runs(secret.hex().encode(), 2 * SECRET_RUN)
    for shift in range(3):
        # The first and last characters also depend on what stands around.
        encoded = base64.b64encode(bytes(shift) + secret).rstrip(b"=")[4 if shift else 0 : -1]
        yield from runs(encoded, BASE64_RUN)


def search(places: Iterable[tuple[str, bytes]], needles: dict[bytes, str]) -> set[str]:
    """What of ``needles`` is found, and where. The names of files are searched like their content."""
    lengths = {len(needle) for needle in needles}
    return {
        f"{needles[run]} in {name}"
        for name, data in places
        for length in lengths
        for run in {*runs(data, length), *runs(name.encode(), length)} & needles.keys()
    }


def document_needles(played: Played) -> dict[bytes, str]:
    """The runs of the documents, without those that stand for nothing or are in any installation."""
    needles = {
        run: f"document {number}"
        for number, document in enumerate(played.documents)
        for run in runs(document, DOCUMENT_RUN)
        if len(set(run)) >= DISTINCT
    }
    for _, data in held(played.fresh):
        for run in needles.keys() & set(runs(data, DOCUMENT_RUN)):
            del needles[run]
    return needles


def secret_needles(played: Played) -> dict[bytes, str]:
    """The runs of titles, names, passphrases and keys, in every form."""
    return {run: name for name, secret in played.secrets.items() for run in forms(secret)}


def test_the_story_held(played: Played) -> None:
    """The story that is searched is one in which everything happened and held."""
    assert played.told.problems == []
    assert len(played.told.documents) == len(played.documents)


def test_no_run_of_a_document_is_found(played: Played) -> None:
    """Neither server nor keeper holds or wrote 16 bytes of any document."""
    needles = document_needles(played)
    assert len(needles) > 50_000
    assert search(held(played.data), needles) == set()


def test_no_run_of_a_secret_is_found(played: Played) -> None:
    """Neither server nor keeper holds or wrote 8 bytes of a title, a name, a passphrase or a person's key."""
    assert search(held(played.data), secret_needles(played)) == set()


def test_what_is_planted_is_found(played: Played, tmp_path: Path) -> None:
    """The same search finds 16 bytes of a document, 8 of a title, and a key in base64, wherever they are put."""
    for part in ("server", "keeper-1"):
        shutil.copytree(played.data / part, tmp_path / part)
    run = next(run for run in document_needles(played) if run in played.documents[0])
    title = next(secret for name, secret in played.secrets.items() if name.startswith("title"))
    key = next(secret for name, secret in played.secrets.items() if name.startswith("document key"))
    with (tmp_path / "server" / "coffre.db").open("r+b") as store:
        store.seek(1234)
        store.write(run)
    with (tmp_path / "keeper-1" / "output.log").open("ab") as log:
        log.write(b"opened " + title[-SECRET_RUN:] + b"\n" + b'{"key":"' + base64.b64encode(b"?" + key))
    places = held(tmp_path)
    assert search(places, document_needles(played)) == {"document 0 in server/coffre.db"}
    needles = secret_needles(played)
    in_output = {name for name in search(places, needles) if name.endswith("keeper-1/output.log")}
    assert {name.partition(" ")[0] for name in in_output} == {
        needles[title[-SECRET_RUN:]].partition(" ")[0],
        "document",
    }


def test_the_scan_key_is_where_the_design_puts_it(played: Played) -> None:
    """Output was searched too, and the files searched are those of a server that was used."""
    names = [name for name, _ in held(played.data)]
    assert {"server/output.log", "keeper-1/output.log", "server/coffre.db"} <= set(names)
    assert sum(name.startswith("server/ciphertext/") for name in names) >= len(played.documents)
