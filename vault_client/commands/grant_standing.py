"""How a grant stands: what it gives and allows, and whether that is in force, for people and for programs."""

from typing import TYPE_CHECKING, Any

from vault_client.commands.names import short
from vault_client.commands.output import Screen, several
from vault_client.commands.patient_queue import described as described_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vault_client.local_vault import LocalGrant
    from vault_client.patient import Patient

GRANTS = "grants"

# What people read
IN_FORCE, ENDED, EXPIRED = "in force", "ended", "expired"
NOT_CONFIRMED = "sent, not confirmed"
ENDING, TO_END = "sent, not yet in force", "asked to end, not yet in force"
UNLOGGED = "ended at the keepers, not yet in the log: revoke again"
KEYED_ANEW = "Grant {id} was keyed anew, as its keepers or somebody's keys had changed. {name} may open what was in it before, and nothing more."
NOT_KEYED_ANEW = (
    "Grant {id} is to be keyed anew, and could not be: it goes on under the keys of before. {why}"
)


def standing(grant: "LocalGrant", record: "Patient") -> str:
    """Whether a grant is in force, in a few words."""
    if grant.end_in_force:
        return ENDED if grant.entry.ended else UNLOGGED
    if grant.entry.ended:
        return ENDING
    if record.is_ending(grant.entry.gid):
        return TO_END
    if grant.entry.gid in {each.entry.gid for each in record.unanswered_grants()}:
        return NOT_CONFIRMED
    return EXPIRED if grant.expiry <= record.service.now() else IN_FORCE


def described(grant: "LocalGrant", record: "Patient") -> dict[str, Any]:
    """A grant, for programs. ``changing``: what was asked of it and is not yet in force."""
    gid = grant.entry.gid
    return {
        "grant": gid.hex(),
        "identity": grant.entry.recipient.hex(),
        "name": grant.name,
        "subject": grant.subject,
        "documents": [version.doc.hex() for version in record.granted(gid)],
        "acts": list(grant.acts),
        "purposes": list(grant.purposes),
        "until": grant.expiry,
        "excluded": [identity.hex() for identity in grant.excluded],
        "event": grant.entry.j,
        "state": standing(grant, record),
        "changing": [described_change(record, queued) for queued in record.changing(gid)],
    }


def gids(record: "Patient") -> list[bytes]:
    """The ids of all grants."""
    return [grant.entry.gid for grant in record.grants()]


def titles_of(record: "Patient", documents: "Sequence[bytes]") -> str:
    """What documents are called, the first few of them."""
    titles = {document.doc: document.descriptor.title for document in record.documents()}
    return several([titles.get(doc) or short(doc) for doc in documents])


def show_renewal(screen: Screen, record: "Patient") -> None:
    """Say which grants the last sync keyed anew, and which it could not."""
    made, refused = record.renewal.made, record.renewal.refused
    screen.result["keyed_anew"] = [gid.hex() for gid in made]
    screen.result["not_keyed_anew"] = {gid.hex(): str(why) for gid, why in refused.items()}
    for gid in made:
        screen.aside(KEYED_ANEW.format(id=short(gid), name=record.replica.existing_grant(gid).name))
    for gid, why in refused.items():
        screen.aside(NOT_KEYED_ANEW.format(id=short(gid), why=why))
