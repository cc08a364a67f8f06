"""A server that hides the end of a grant: the keepers hold to it all the same, told by the patient's own device."""

from contextlib import suppress

from crypto.encoding import decode
from crypto.errors import NotFound, Unreachable
from crypto.vault_links import End, VaultLink
from crypto.wire.messages import LinkAccepted, LinkSubmission
from vault_client.demo.cast import Cast, Doctor
from vault_client.demo.narration import Narration
from vault_client.demo.refusals import Attempt, Between, attempted, in_between, with_nothing_released
from vault_client.demo.told import Told
from vault_client.granted_document import GrantedDocument
from vault_client.local_vault import LocalGrant
from vault_client.patient import Patient


class _HidingEnds(Between):
    """Does not answer when a grant is to be ended, and writes nothing; everything else it passes on."""

    dropped = 0

    async def append_link(self, query: LinkSubmission) -> LinkAccepted:
        link = decode(query.envelope.body, VaultLink)
        if any(isinstance(step, End) for step in link.operations):
            self.dropped += 1
            raise Unreachable("The server did not answer.")
        accepted: LinkAccepted = await self._api.append_link(query)
        return accepted


async def hidden_end(cast: Cast, narration: Narration, told: Told) -> None:
    """Camille revokes a grant, and the server lets nobody know."""
    narration.scene("hidden")
    patient, doctor, instance = cast.patient, cast.doctors[0], cast.instance
    held = await _granted_again(cast)
    narration.say("granted-again", name=doctor.name)
    off = instance.keepers[:2]
    await instance.stop(*off)
    hiding = _HidingEnds(patient.service.api)
    with in_between(patient.service, hiding):
        grant = await _revoked(patient, held.gid)
        if told.require(not grant.end_in_force, "an end was called in force that too few keepers know of"):
            narration.say("not-in-force")
        await instance.start(*off)
        grant = await _revoked(patient, held.gid)
        told.require(not grant.entry.ended, "an end that the server hid was called logged")
        if told.require(grant.end_in_force, "an end that all keepers know of was not called in force"):
            narration.say("in-force")
        attempt = await _read_all_the_same(doctor, held)
        told.note(attempt, narration)
        report = told.report = await patient.log()
        told.require(not report.alarms, "the log has an alarm although it lacks nothing")
        acts = [entry.act for entry in report.entries if (entry.kind, entry.grant) == ("access", held.gid)]
        if told.require(acts == ["list", "release"], "the log lacks a reading") and attempt.held:
            narration.say("asked-after", name=doctor.name)
    told.require(hiding.dropped == 2, "the server did not hide the end of a grant")
    ended = (await patient.revoke(held.gid)).entry.ended
    if told.require(ended, "an end that was hidden did not reach the log"):
        narration.say("in-log")


async def _granted_again(cast: Cast) -> GrantedDocument:
    """Grant the first practitioner what the second one holds."""
    doctor, (shared, *_) = cast.doctors[0], cast.doctors[1].sdk.documents()
    grant = await cast.patient.authorise(await doctor.sdk.card(), [shared.document.doc])
    await doctor.sdk.sync()
    return next(each for each in await doctor.sdk.listing() if each.gid == grant.entry.gid)


async def _revoked(patient: Patient, gid: bytes) -> LocalGrant:
    """Revoke a grant, whether or not anybody answers; how it stands then."""
    with suppress(Unreachable):
        await patient.revoke(gid)
    return next(grant for grant in patient.grants() if grant.entry.gid == gid)


async def _read_all_the_same(doctor: Doctor, held: GrantedDocument) -> Attempt:
    destination = doctor.folder / "after-the-hidden-end"
    attempt = await attempted("hidden-end", doctor.sdk.read(held, destination), NotFound)
    return with_nothing_released(attempt, destination)
