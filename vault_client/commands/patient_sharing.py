"""``coffre patient``: who may open what."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.names import MIN_PREFIX, pick, pick_all, remember, short
from vault_client.commands.output import Screen, Usage, counted, day, several
from vault_client.commands.patient_documents import DOCUMENTS, document_ids
from vault_client.commands.patient_queue import unless_kept, went_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vault_client.local_vault import LocalGrant
    from vault_client.patient import Patient

GRANTS = "grants"
MAX_DAYS = 1095  # three years

# What people read
BAD_DAYS = f"--days must be from 1 to {MAX_DAYS}, three years. Nothing was shared."
COMPARE = (
    "Whoever this card is of will be able to open {documents}: {titles}. The fingerprint on it is {fingerprint}. Compare "
    "it with theirs, in person."
)
AUTHORISED = "{name} ({subject}) may open {documents} until {until}: {titles}. Grant {id}."
FINGERPRINT = "Their fingerprint, to compare in person: {fingerprint}"
EXTENDED = "Grant {id} was extended. {name} may open {documents} more: {titles}."
RENEWED = "Grant {id} was keyed anew. {name} may open what was in it before, and nothing more."
NO_GRANTS = "Nobody may open anything."
SENT = (
    "The end of grant {id} is sent, not yet in force: neither a keeper nor the log has confirmed it. Check it with: "
    "coffre patient log"
)
REVOKED = "Grant {id} is ended. What {name} opened already cannot be unread."
OTHERS = "In force for this person besides: {grants}."
BLOCKED = "Nothing more will be granted to {who}. Grants in force are ended one by one, with revoke."
UNBLOCKED = "{who} may be granted documents again."
NOBODY = (
    "“{word}” is neither a card's file, nor an id, nor the beginning of the id or fingerprint of someone you shared "
    "with. Nothing was done."
)
IN_FORCE, ENDED, EXPIRED = "in force", "ended", "expired"
NOT_CONFIRMED = "sent, not confirmed"
ENDING, TO_END = "sent, not yet in force", "asked to end, not yet in force"
UNLOGGED = "ended at the keepers, not yet in the log: revoke again"


async def authorise(arguments: Namespace, screen: Screen) -> None:
    """Let the person on a card open documents."""
    from crypto.wire.cards import card_fingerprint
    from vault_client.commands.confirmation import check_answerable, confirm
    from vault_client.commands.profiles import identity_card, patient
    from vault_client.commands.trust_line import show_trust

    if not 1 <= arguments.days <= MAX_DAYS:
        raise Usage(BAD_DAYS)
    recipient = identity_card(arguments.card)
    print_of = card_fingerprint(recipient)
    check_answerable(arguments)
    async with patient(arguments, screen) as (record, store):
        documents = pick_all(store, DOCUMENTS, arguments.documents, document_ids(record))
        told = {"documents": counted(len(documents), "document"), "titles": _titles(record, documents)}
        confirm(arguments, COMPARE.format(fingerprint=print_of, **told))
        with unless_kept(screen, record):
            grant = await record.authorise(
                recipient, documents, days=arguments.days, met_again=arguments.met_again
            )
        screen.result |= {**_granted(grant, record), "fingerprint": print_of}
        screen.say(
            AUTHORISED.format(
                name=grant.name,
                subject=grant.subject,
                until=day(grant.expiry),
                id=short(grant.entry.gid),
                **told,
            )
        )
        screen.say(FINGERPRINT.format(fingerprint=print_of))
        show_trust(screen, record.service)


async def extend(arguments: Namespace, screen: Screen) -> None:
    """Add documents to a grant in force."""
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        gid = pick(store, GRANTS, arguments.grant, _gids(record))
        documents = pick_all(store, DOCUMENTS, arguments.documents, document_ids(record))
        before = set(record.granted(gid))
        with unless_kept(screen, record):
            grant = await record.extend(gid, documents)
        more = [version.doc for version in record.granted(gid) if version not in before]
        screen.result |= _granted(grant, record)
        screen.say(
            (EXTENDED if more else RENEWED).format(
                id=short(gid),
                name=grant.name,
                documents=counted(len(more), "document"),
                titles=_titles(record, more),
            )
        )
        show_trust(screen, record.service)


async def grants(arguments: Namespace, screen: Screen) -> None:
    """Who may open what, newest first."""
    from vault_client.commands.profiles import patient, synced
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        await synced(record, screen)
        made = [*record.grants(), *record.unanswered_grants()]
        made.sort(key=lambda grant: (-grant.made, grant.entry.gid))
        remember(store, GRANTS, (grant.entry.gid for grant in made))
        screen.result["grants"] = [_granted(grant, record) for grant in made]
        if not made:
            screen.say(NO_GRANTS)
        else:
            screen.table(
                ("", "Id", "For", "Subject", "Documents", "Until", "State"),
                [
                    (
                        str(number),
                        short(grant.entry.gid),
                        grant.name,
                        grant.subject,
                        str(len(record.granted(grant.entry.gid))),
                        day(grant.expiry),
                        spoken(_standing(grant, record)),
                    )
                    for number, grant in enumerate(made, 1)
                ],
            )
        show_trust(screen, record.service)


async def revoke(arguments: Namespace, screen: Screen) -> None:
    """End a grant, before anything else that waits is gone on with: that may be long, or be the grant itself."""
    from vault_client.commands.profiles import unsent_patient
    from vault_client.commands.trust_line import show_trust

    async with unsent_patient(arguments) as (record, store):
        unanswered = [grant.entry.gid for grant in record.unanswered_grants()]
        gid = pick(store, GRANTS, arguments.grant, [*_gids(record), *unanswered])
        with unless_kept(screen, record):
            grant = await record.revoke(gid)
        async with went_on(screen, record):
            pass
        screen.result |= _granted(grant, record)
        said = REVOKED if grant.end_in_force else SENT
        screen.say(said.format(id=short(grant.entry.gid), name=grant.name))
        if others := _others_in_force(grant, record):
            screen.say(OTHERS.format(grants=counted(others, "other grant")))
        show_trust(screen, record.service)


async def block(arguments: Namespace, screen: Screen) -> None:
    """Grant nothing more to someone."""
    await _block(arguments, screen, blocked=True)


async def unblock(arguments: Namespace, screen: Screen) -> None:
    """Allow grants to someone again."""
    await _block(arguments, screen, blocked=False)


async def _block(arguments: Namespace, screen: Screen, *, blocked: bool) -> None:
    from crypto.wire.cards import fingerprint
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, _):
        identity = _identity(arguments.identity, record)
        with unless_kept(screen, record):
            await record.block(identity, blocked=blocked)
        screen.result |= {"identity": identity.hex(), "blocked": blocked}
        screen.say((BLOCKED if blocked else UNBLOCKED).format(who=fingerprint(identity)))
        show_trust(screen, record.service)


def _identity(word: str, record: "Patient") -> bytes:
    """Whom ``word`` means: the person on a card, a whole id, or someone a grant was made for."""
    from crypto.wire.cards import fingerprint
    from vault_client.commands.profiles import identity_card

    if Path(word).is_file():
        return identity_card(Path(word)).chain.identity
    if len(word) == 64 and set(word.lower()) <= set("0123456789abcdef"):
        return bytes.fromhex(word)
    met = {grant.entry.recipient for grant in record.grants()}
    found = [
        each
        for each in met
        if len(word) >= MIN_PREFIX
        and (each.hex().startswith(word.lower()) or fingerprint(each).startswith(word.upper()))
    ]
    if len(found) != 1:
        raise Usage(NOBODY.format(word=word))
    return found[0]


def _titles(record: "Patient", documents: "Sequence[bytes]") -> str:
    titles = {document.doc: document.descriptor.title for document in record.documents()}
    return several([titles.get(doc) or short(doc) for doc in documents])


def _others_in_force(grant: "LocalGrant", record: "Patient") -> int:
    """How many other grants to the same person are in force."""
    return sum(
        _standing(other, record) == IN_FORCE
        for other in record.grants()
        if other.entry.recipient == grant.entry.recipient and other.entry.gid != grant.entry.gid
    )


def _gids(record: "Patient") -> list[bytes]:
    return [grant.entry.gid for grant in record.grants()]


def _granted(grant: "LocalGrant", record: "Patient") -> dict[str, Any]:
    return {
        "grant": grant.entry.gid.hex(),
        "identity": grant.entry.recipient.hex(),
        "name": grant.name,
        "subject": grant.subject,
        "documents": [version.doc.hex() for version in record.granted(grant.entry.gid)],
        "until": grant.expiry,
        "state": _standing(grant, record),
    }


def _standing(grant: "LocalGrant", record: "Patient") -> str:
    if grant.end_in_force:
        return ENDED if grant.entry.ended else UNLOGGED
    if grant.entry.ended:
        return ENDING
    if record.is_ending(grant.entry.gid):
        return TO_END
    if grant.entry.gid in {each.entry.gid for each in record.unanswered_grants()}:
        return NOT_CONFIRMED
    return EXPIRED if grant.expiry <= record.service.now() else IN_FORCE
