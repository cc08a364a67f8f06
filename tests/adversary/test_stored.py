"""What the operator, or whoever steals the database, finds at the server."""

import asyncio
import base64
import types

import pytest

from crypto.errors import CannotOpen
from crypto.pieces import ciphertext_length
from crypto.wire.messages import CiphertextQuery
from tests.adversary.story import TEXTS, Story
from tests.support.instance import Instance
from vault_client import own_versions, vault_parts
from vault_client.local_vault import newest
from vault_client.practitioner import TREATMENT
from vault_client.remains import remains_of
from vault_server.settings import Settings

TITLE = "Sérologie-VIH-confidentielle"
TEXT = b"the patient's diagnosis, in a sentence that stands nowhere else"


def everything(instance: Instance) -> bytes:
    """Every byte in the folders of the server and its keeper."""
    settings = Settings(data=instance.data)
    folders = (settings.server_folder, settings.keeper_folder)
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def forms(secret: bytes) -> list[bytes]:
    """A secret as it is, in hexadecimal, and in base64 at each of the three offsets."""
    shifted = [base64.b64encode(bytes(offset) + secret) for offset in range(3)]
    inner = [text[4:-4] if offset else text[:-4] for offset, text in enumerate(shifted)]
    return [secret, secret.hex().encode(), *inner]


def found(instance: Instance, secrets: dict[str, bytes]) -> set[str]:
    """The names of those secrets that lie at the server in any form."""
    data = everything(instance)
    return {name for name, secret in secrets.items() if any(form in data for form in forms(secret))}


async def known_secrets(story: Story) -> dict[str, bytes]:
    """All that the server must not know of this story."""
    replica, own, reader = story.patient.replica, story.patient.own.profile, story.reader.own.profile
    (grant,) = list(story.reader.grants.all())
    keys = replica.epoch()
    secrets = {
        "epoch secret": keys.secret,
        "log key": keys.log_key,
        "deposit key": keys.deposit_key,
        "share A": grant.share_a,
        "grant key": grant.grant_key,
        "title": TITLE.encode(),
        "text": TEXT,
        "purpose": b"a reason given to the patient alone",
        "category": b"text/plain",
    }
    for name, profile in (("patient", own), ("reader", reader)):
        secrets[f"{name}'s signing key"] = profile.signing
        secrets[f"{name}'s device key"] = profile.sealing
        secrets[f"{name}'s reading key"] = profile.keyring.reading_keys[0].seed
    for number, document in enumerate(replica.documents()):
        secrets[f"document key {number}"] = replica.document_key(document).reveal()
    return secrets


async def test_the_server_holds_nothing_that_can_be_read(story: Story, instance: Instance) -> None:
    """A03, A04, A53, A66: no title, text, type, purpose or key of anybody lies at the server or its keeper."""
    await story.add(TEXT * 100, f"{TITLE}.txt")
    await story.patient.extend(story.grant.entry.gid, [story.documents[-1].doc])
    await story.reader.sync()
    await story.reader.listing()
    purpose = type(TREATMENT)(
        code="TREAT", role="", organisation="", name="", reason="a reason given to the patient alone"
    )
    await story.reader.read(story.listed(2), story.destination, purpose=purpose)
    assert story.listed(2).document.title.startswith(TITLE)
    assert story.destination.read_bytes() == TEXT * 100
    assert found(instance, await known_secrets(story)) == set()
    # That the search finds what is there: the scan key is given to the server, in its database.
    assert found(instance, {"scan key": story.patient.replica.epoch().scan_key}) == {"scan key"}


async def test_an_unsealed_title_would_be_found(
    story: Story, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the page: a client that seals no descriptor leaves the title at the server."""
    title = "Une-autre-sérologie-confidentielle"
    unsealed = types.SimpleNamespace(seal=lambda key, context, record: record, open=own_versions.content.open)
    with monkeypatch.context() as twin:
        twin.setattr(own_versions, "content", unsealed)
        with pytest.raises(CannotOpen):
            await story.add(TEXT, f"{title}.txt")
    assert found(instance, {"title": title.encode()}) == {"title"}


async def test_what_stays_of_a_deleted_document(story: Story, instance: Instance) -> None:
    """Its entries stay in the log, 97 bytes each that hold nothing of it; no ciphertext, key or description stays anywhere."""
    patient, document = story.patient, story.documents[1]
    await story.read(1)
    report = await patient.log()
    local = patient.replica.document(document.doc)
    version = newest(local.document)
    query = CiphertextQuery(vault=patient.vault, request=None, ver=version.ver, start=0)
    ciphertext = b"".join([chunk async for chunk in patient.service.api.ciphertext(query)])
    descriptor = (await vault_parts.fetched(patient.service, patient.vault, [version.descriptor])).popitem()[
        1
    ]
    secrets = {"ciphertext": ciphertext[-32:], "wrap": local.self_wrap, "descriptor": descriptor}
    assert {name for name, secret in secrets.items() if secret in everything(instance)} == set(secrets)
    await patient.delete(document.doc)
    for _ in range(100):  # the write-ahead log is cut right after the answer
        if not {name for name, secret in secrets.items() if secret in everything(instance)}:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the server still has what was deleted")
    remains = await remains_of(patient.service, story.origin, report, document.doc)
    assert remains is not None
    assert (remains.entries, len(remains.leaf)) == (
        4,
        97,
    )  # added; the link that shared it, and its event; read
    ids = (document.doc, version.ver, version.ct_root, patient.vault, patient.own.identity)
    assert not any(part[:8] in remains.leaf for part in ids)


async def test_sizes_say_little_and_equal_documents_nothing(story: Story) -> None:
    """A64, A65: lengths close to each other look the same, and the same document twice shares nothing."""
    lengths = {}
    for number, size in enumerate((100, 2000, 4096, 200_000, 200_700)):
        document = await story.add(bytes(size), f"size-{number}.bin")
        lengths[size] = newest(story.patient.replica.document(document.doc).document).length
    assert lengths[100] == lengths[2000] == lengths[4096] == ciphertext_length(4096)
    assert lengths[200_000] == lengths[200_700]

    again = await story.add(TEXTS[0], "again.txt")
    one, two = (story.patient.replica.document(doc).document for doc in (story.documents[0].doc, again.doc))
    first, second = newest(one), newest(two)
    assert one.doc != two.doc
    assert not {first.ver, first.ct_root, first.self_wrap, first.descriptor} & {
        second.ver,
        second.ct_root,
        second.self_wrap,
        second.descriptor,
    }
