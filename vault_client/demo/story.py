"""The story of ``coffre demo``, against real programs over real sockets, with the SDK everybody uses.

What does not hold is collected as a problem in words: the demo succeeds only without any.
"""

import asyncio
import filecmp
import hashlib
from collections.abc import Sequence
from pathlib import Path

from crypto.wire.cards import IdentityCard
from crypto.wire.messages import LinkQuery
from vault_client.audit_report import AuditReport
from vault_client.commands.output import moment
from vault_client.commands.trust_line import keepers
from vault_client.demo import narration as words
from vault_client.demo.cast import Cast, Doctor
from vault_client.demo.narration import Narration
from vault_client.demo.refusals import granted_to, not_granted, revoked, tampered, unlogged, watched
from vault_client.demo.server_view import look
from vault_client.demo.sources import Source
from vault_client.demo.told import Received, Told
from vault_client.granted_document import GrantedDocument
from vault_client.local_vault import LocalGrant
from vault_client.patient import PatientDocument
from vault_client.public_log import verify_logs

_LINK_SHOWN = 160


async def tell(cast: Cast, sources: Sequence[Source], narration: Narration, told: Told) -> None:
    """Play the story with ``cast``, which has just been assembled."""
    told.keepers = keepers(cast.patient.service.root)
    narration.say("ready", url=cast.instance.url)
    narration.say("keepers", needed=told.keepers["needed"], of=told.keepers["of"])
    narration.scene("enrol")
    for doctor in cast.doctors:
        narration.say("certified", name=doctor.name)
    documents = await _add(cast, sources, narration)
    grants = await _share(cast, documents, narration)
    first, second = await _read(cast, sources, documents, narration, told)
    await _views(cast, sources[0], documents[0], (first, second), narration)
    earlier = await watched(cast.doctors[0], first[0])
    await _tries(cast, documents, second[0], narration, told)
    await _log(cast, documents, narration, told)
    await _revoke(cast, grants[0], narration)
    narration.scene("tries")
    destination = cast.doctors[0].folder / "after-the-end"
    for attempt in await revoked(cast.doctors[0], first[0], earlier, destination):
        told.note(attempt, narration)
    await cast.doctors[0].sdk.sync()
    told.require(not cast.doctors[0].sdk.documents(), "a revoked practitioner still has a list")
    await _verify(cast, narration, told)


async def _add(cast: Cast, sources: Sequence[Source], narration: Narration) -> list[PatientDocument]:
    narration.scene("add")
    documents = [await cast.patient.add(source.path, source.descriptor) for source in sources]
    narration.say("encrypted", count=len(documents))
    return documents


async def _share(
    cast: Cast, documents: Sequence[PatientDocument], narration: Narration
) -> tuple[LocalGrant, LocalGrant]:
    narration.scene("share")
    grants = []
    for doctor, shared in zip(cast.doctors, (documents, documents[:1]), strict=True):
        card: IdentityCard = await doctor.sdk.card()
        grants.append(await cast.patient.authorise(card, [document.doc for document in shared]))
        narration.say("granted", name=doctor.name, count=len(shared))
    return grants[0], grants[1]


async def _read(
    cast: Cast,
    sources: Sequence[Source],
    documents: Sequence[PatientDocument],
    narration: Narration,
    told: Told,
) -> tuple[list[GrantedDocument], list[GrantedDocument]]:
    narration.scene("read")
    by_doc = {document.doc: source for document, source in zip(documents, sources, strict=True)}
    lists = []
    for doctor, shared in zip(cast.doctors, (documents, documents[:1]), strict=True):
        told.require(not await doctor.sdk.sync(), f"{doctor.name} did not believe a delivery")
        listed = await doctor.sdk.listing()
        seen = {(each.document.doc, each.document.ver) for each in listed}
        told.require(seen == granted_to(list(shared)), f"{doctor.name} does not see just what was granted")
        for each in listed:
            received = await _receive(doctor, each, by_doc[each.document.doc])
            told.require(received.identical, f"{received.path} did not come back as it was")
            if len(shared) == len(documents) and doctor is cast.doctors[0]:
                told.documents.append(received)
        narration.say("received", name=doctor.name, count=len(listed))
        order = [document.doc for document in documents]
        lists.append(sorted(listed, key=lambda each: order.index(each.document.doc)))
    told.documents.sort(key=lambda received: received.path)
    return lists[0], lists[1]


async def _receive(doctor: Doctor, granted: GrantedDocument, source: Source) -> Received:
    destination = doctor.received / source.name
    destination.parent.mkdir(parents=True, exist_ok=True)
    await doctor.sdk.read(granted, destination)
    identical = await asyncio.to_thread(filecmp.cmp, source.path, destination, shallow=False)
    digest = await asyncio.to_thread(_sha256, destination)
    return Received(source.name, destination.stat().st_size, digest, identical)


async def _views(
    cast: Cast,
    source: Source,
    document: PatientDocument,
    lists: tuple[list[GrantedDocument], list[GrantedDocument]],
    narration: Narration,
) -> None:
    narration.scene("views")
    patient = cast.patient
    report = await patient.log()
    index = next(entry.index for entry in report.entries if entry.changes == ("added",))
    links = await patient.service.api.links(LinkQuery(vault=patient.replica.vault, since=1))
    link = links.links[0].body.decode("utf-8")[:_LINK_SHOWN]
    view = await look(cast.instance.data / "server", patient, document, index, link)
    narration.say("original")
    with source.path.open("rb") as file:
        narration.show(file.read(len(view.ciphertext)).hex(" ", 4))
    narration.say("stored")
    narration.show(view.ciphertext.hex(" ", 4))
    narration.say("rows")
    first_rows = {row.table: row for row in reversed(view.rows)}
    cells = [
        ("" if number else table, *column)
        for table, row in sorted(first_rows.items())
        for number, column in enumerate(row.columns)
    ]
    narration.table(words.ROW_COLUMNS, cells)
    narration.say("leaf", index=index)
    narration.show(view.leaf.hex())
    narration.say("link")
    narration.show(f"{view.link}…")
    narration.say("keeper-sees", size=report.size)
    for doctor, listed in zip(cast.doctors, lists, strict=True):
        titles = [*(each.document.title for each in listed[:3]), *(["…"] if len(listed) > 3 else [])]
        narration.say("reader-sees", name=doctor.name, titles=words.chosen(words.BETWEEN).join(titles))


async def _tries(
    cast: Cast,
    documents: Sequence[PatientDocument],
    held: GrantedDocument,
    narration: Narration,
    told: Told,
) -> None:
    """The second practitioner, who was granted one document, and a server that lies to that one."""
    narration.scene("tries")
    doctor = cast.doctors[1]
    honest = await watched(doctor, held)
    if len(documents) > 1:
        other = cast.patient.replica.document(documents[-1].doc)
        told.note(await not_granted(doctor, held, other), narration)
    told.note(await tampered(doctor, held, doctor.folder / "tampered"), narration)
    for attempt in await unlogged(doctor, held, honest, doctor.folder / "unlogged"):
        told.note(attempt, narration)


async def _log(
    cast: Cast, documents: Sequence[PatientDocument], narration: Narration, told: Told
) -> AuditReport:
    narration.scene("log")
    report = told.report = await cast.patient.log()
    titles = {document.doc: document.descriptor.title for document in documents}
    between = words.chosen(words.BETWEEN)
    shown = [
        (
            str(number),
            moment(entry.time).split()[1],
            "Camille" if entry.identity == cast.patient.own.identity else entry.name,
            ", ".join(words.chosen(words.DEEDS[deed]) for deed in entry.changes)
            or words.chosen(words.DEEDS[entry.act if entry.kind == "access" else entry.kind]),
            between.join(titles[doc] for doc in entry.documents if doc in titles)
            if len(entry.documents) < 2
            else f"{len(entry.documents)} documents",
        )
        for number, entry in enumerate(report.entries, 1)
    ]
    narration.table(words.LOG_COLUMNS, shown if len(shown) <= 40 else [*shown[:15], ("…",) * 5, *shown[-15:]])
    narration.say("asked")
    narration.say("entries", count=len(report.entries), alarms=len(report.alarms))
    for alarm in report.alarms:
        told.require(False, f"the log has the alarm {alarm.code}: {alarm.text}")
    for number, doctor in enumerate(cast.doctors):
        opened = {
            doc
            for entry in report.entries
            if (entry.kind, entry.act, entry.identity) == ("access", "release", doctor.sdk.own.identity)
            for doc in entry.documents
        }
        expected = {document.doc for document in (documents[:1] if number else documents)}
        told.require(opened == expected, f"the log does not show just what {doctor.name} opened")
    refused = sum(entry.kind == "refused" for entry in report.entries)
    told.require(refused == (len(documents) > 1), "the log does not show just the refused attempts")
    return report


async def _revoke(cast: Cast, grant: LocalGrant, narration: Narration) -> None:
    narration.scene("revoke")
    ended = await cast.patient.revoke(grant.entry.gid)
    narration.say("ended", name=ended.name)


async def _verify(cast: Cast, narration: Narration, told: Told) -> None:
    narration.scene("verify")
    report = told.report = await cast.patient.log()
    for alarm in report.alarms:
        told.require(False, f"the log has the alarm {alarm.code}: {alarm.text}")
    told.require(
        any(entry.kind == "ended" for entry in report.entries), "the log does not show the end of a grant"
    )
    told.logs = await verify_logs(cast.instance.url, cast.instance.card)
    for log in told.logs.logs:
        narration.say("whole", origin=log.origin, size=log.size, root=log.root.hex()[:16])


def summary(narration: Narration, told: Told) -> None:
    """What was received, and whether everything held."""
    narration.scene("end")
    rows = [
        (
            each.path,
            words.number(each.size),
            each.sha256[:16],
            words.chosen(words.YES if each.identical else words.NO),
        )
        for each in told.documents
    ]
    narration.table(words.SUMMARY_COLUMNS, rows)
    for problem in told.problems:
        narration.say("failed", problem=problem)
    if not told.problems:
        narration.say("held")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
