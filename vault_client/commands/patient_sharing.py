"""``coffre patient``: who may open what."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from crypto.errors import NotPermitted
from vault_client.commands.acts import shown
from vault_client.commands.grant_standing import GRANTS, IN_FORCE, described, gids, standing, titles_of
from vault_client.commands.names import MIN_PREFIX, pick, pick_all, short
from vault_client.commands.output import Screen, Usage, counted, day
from vault_client.commands.patient_documents import DOCUMENTS, document_ids
from vault_client.commands.patient_queue import unless_kept, went_on
from vault_client.sharing_terms import check_days

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from vault_client.local_vault import LocalGrant
    from vault_client.patient import Patient

# What people read
COMPARE = (
    "Whoever this card is of will be able to open {documents}: {titles}. The fingerprint on it is {fingerprint}. Compare "
    "it with theirs, in person."
)
AUTHORISED = "{name} ({subject}) may open {documents} until {until}: {titles}. Grant {id}."
ALLOWED = "What the grant allows: {acts}."
FINGERPRINT = "Their fingerprint, to compare in person: {fingerprint}"
EXTENDED = "Grant {id} was extended. {name} may open {documents} more: {titles}."
RENEWED = "Grant {id} was keyed anew. {name} may open what was in it before, and nothing more."
WITHDRAWN = (
    "{documents} taken out of grant {id}: {titles}. No keeper answers for them under it any more. What {name} opened "
    "already cannot be unread."
)
ALSO_OUT = "No longer in it either, being masked or deleted: {titles}."
STILL_GIVEN = "{name} may open them still, under another grant: {titles}. Look at: coffre patient grants"
AMENDED = "Grant {id} was changed. {name} may open {documents} until {until}."
AS_BEFORE = (
    "Until a change of it is in the log, the grant is in force as it was: what it gave can be opened. To stop all of it at once: "
    "coffre patient revoke {id}"
)
NO_TERMS = "Nothing was named that is to change. Nothing was done. Name --days, --acts or --purposes."
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


async def authorise(arguments: Namespace, screen: Screen) -> None:
    """Let the person on a card open documents."""
    from crypto.wire.cards import card_fingerprint
    from vault_client.commands.confirmation import check_answerable, confirm
    from vault_client.commands.profiles import identity_card, patient
    from vault_client.commands.trust_line import show_trust

    _check_days(arguments.days)
    recipient = identity_card(arguments.card)
    print_of = card_fingerprint(recipient)
    check_answerable(arguments)
    async with patient(arguments, screen) as (record, store):
        documents = pick_all(store, DOCUMENTS, arguments.documents, document_ids(record))
        told = {"documents": counted(len(documents), "document"), "titles": titles_of(record, documents)}
        confirm(arguments, COMPARE.format(fingerprint=print_of, **told))
        with unless_kept(screen, record):
            grant = await record.authorise(
                recipient,
                documents,
                acts=arguments.acts,
                days=arguments.days,
                met_again=arguments.met_again,
            )
        screen.result |= {**described(grant, record), "fingerprint": print_of}
        screen.say(
            AUTHORISED.format(
                name=grant.name,
                subject=grant.subject,
                until=day(grant.expiry),
                id=short(grant.entry.gid),
                **told,
            )
        )
        screen.say(ALLOWED.format(acts=shown(grant.acts)))
        screen.say(FINGERPRINT.format(fingerprint=print_of))
        show_trust(screen, record.service)


async def extend(arguments: Namespace, screen: Screen) -> None:
    """Add documents to a grant in force."""
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        gid = pick(store, GRANTS, arguments.grant, gids(record))
        documents = pick_all(store, DOCUMENTS, arguments.documents, document_ids(record))
        before = set(record.granted(gid))
        with unless_kept(screen, record):
            grant = await record.extend(gid, documents)
        more = [version.doc for version in record.granted(gid) if version not in before]
        screen.result |= described(grant, record)
        screen.say(
            (EXTENDED if more else RENEWED).format(
                id=short(gid),
                name=grant.name,
                documents=counted(len(more), "document"),
                titles=titles_of(record, more),
            )
        )
        show_trust(screen, record.service)


async def withdraw(arguments: Namespace, screen: Screen) -> None:
    """Take documents out of a grant in force."""
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        gid = pick(store, GRANTS, arguments.grant, gids(record))
        before = [version.doc for version in record.granted(gid)]
        documents = pick_all(store, DOCUMENTS, arguments.documents, {*before, *document_ids(record)})
        with _as_before(screen, gid, is_given=bool({*documents} & {*before})), unless_kept(screen, record):
            grant = await record.withdraw(gid, documents)
        left = {version.doc for version in record.granted(gid)}
        also = [doc for doc in before if doc not in {*left, *documents}]
        screen.result |= {**described(grant, record), "taken_out": [doc.hex() for doc in [*documents, *also]]}
        screen.say(
            WITHDRAWN.format(
                id=short(gid),
                name=grant.name,
                documents=counted(len(documents), "document"),
                titles=titles_of(record, documents),
            )
        )
        if also:
            screen.say(ALSO_OUT.format(titles=titles_of(record, also)))
        if still := _given_otherwise(grant, record, documents):
            screen.say(STILL_GIVEN.format(name=grant.name, titles=titles_of(record, still)))
        show_trust(screen, record.service)


async def amend(arguments: Namespace, screen: Screen) -> None:
    """Change what a grant in force allows, and until when."""
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    if arguments.days is not None:
        _check_days(arguments.days)
    if arguments.days is arguments.acts is arguments.purposes is None:
        raise Usage(NO_TERMS)
    purposes = None if arguments.purposes is None else tuple(dict.fromkeys(arguments.purposes))
    async with patient(arguments, screen) as (record, store):
        gid = pick(store, GRANTS, arguments.grant, gids(record))
        with _as_before(screen, gid, is_given=True), unless_kept(screen, record):
            grant = await record.amend(gid, acts=arguments.acts, purposes=purposes, days=arguments.days)
        screen.result |= described(grant, record)
        screen.say(
            AMENDED.format(
                id=short(gid),
                name=grant.name,
                documents=counted(len(record.granted(gid)), "document"),
                until=day(grant.expiry),
            )
        )
        screen.say(ALLOWED.format(acts=shown(grant.acts)))
        show_trust(screen, record.service)


async def revoke(arguments: Namespace, screen: Screen) -> None:
    """End a grant, before anything else that waits is gone on with: that may be long, or be the grant itself."""
    from vault_client.commands.profiles import unsent_patient
    from vault_client.commands.trust_line import show_trust

    async with unsent_patient(arguments, screen) as (record, store):
        unanswered = [grant.entry.gid for grant in record.unanswered_grants()]
        gid = pick(store, GRANTS, arguments.grant, [*gids(record), *unanswered])
        with unless_kept(screen, record):
            grant = await record.revoke(gid)
        async with went_on(screen, record):
            pass
        screen.result |= described(grant, record)
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


def _check_days(days: int) -> None:
    """Raises Usage, before anything is asked for."""
    try:
        check_days(days)
    except NotPermitted as refused:
        raise Usage(str(refused)) from None


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


def _as_before(screen: Screen, gid: bytes, *, is_given: bool) -> "AbstractContextManager[None]":
    """When the block ends before what it asks for is in force, say that the grant is in force as it was."""
    return screen.unless_done(lambda: AS_BEFORE.format(id=short(gid)) if is_given else "")


def _given_otherwise(grant: "LocalGrant", record: "Patient", documents: list[bytes]) -> list[bytes]:
    """Those of ``documents`` that another grant in force gives to the same person."""
    others = [other.entry.gid for other in record.grants() if _is_other(grant, other, record)]
    given = {version.doc for gid in others for version in record.granted(gid)}
    return [doc for doc in documents if doc in given]


def _is_other(grant: "LocalGrant", other: "LocalGrant", record: "Patient") -> bool:
    """Whether ``other`` is another grant to the same person, in force."""
    return (
        standing(other, record) == IN_FORCE
        and other.entry.recipient == grant.entry.recipient
        and other.entry.gid != grant.entry.gid
    )


def _others_in_force(grant: "LocalGrant", record: "Patient") -> int:
    """How many other grants to the same person are in force."""
    return sum(_is_other(grant, other, record) for other in record.grants())
