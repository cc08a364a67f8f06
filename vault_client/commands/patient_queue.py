"""``coffre patient``: the changes that wait on this device until they are in the record."""

from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.names import pick, remember, short
from vault_client.commands.output import Screen, counted, moment, several

if TYPE_CHECKING:
    from vault_client.changes import AnyChange, QueuedChange
    from vault_client.device_store import DeviceStore
    from vault_client.patient import Patient

WAITING = "waiting"

# What people read
KEPT = (
    "No need to type it again: {what} is kept on this device, not yet in the record. It goes on with any command that reaches the server, such as "
    "coffre patient sync; coffre patient cancel {id} takes it back."
)
KEPT_END = (
    "NOT yet in force: {what} is kept on this device, and nobody has confirmed it. Take the grant to be in force still. "
    "Every command tries it again first: coffre patient sync does nothing else."
)
UNKNOWN = (
    "Whether it is in the record is not known: {what} was sent, and no answer came. It is kept on this device, and the "
    "next command that reaches the server finds out, such as coffre patient sync."
)
GOES_ON = (
    "What waits on this device is not lost: coffre patient sync goes on where it was, and coffre patient list shows what can be "
    "taken back, with coffre patient cancel."
)
NOW_IN = "Had been waiting, now in the record: {what}."
DROPPED = "Had been waiting, and is no longer possible: {what}. {why}"
REFUSED = "Still waiting: {what}. {why}"
STILL = "Something still waits on this device. It is not lost. Try again later."
TAKEN_IN = "Taken in from other devices: {changes}."
FETCHING = "Fetching"
FETCHED = "{documents} fetched, to be read without the server too."
LEFT_OUT = "{title} cannot be read without the server: {why}"
NOTHING_WAITS = "Nothing waits on this device."
TAKEN_BACK = "Taken back, and no longer on this device: {what}."
NOT_ANSWERED, NOT_IN_FORCE = "sent, not answered", "not yet in force"
ADD, DELETE, MASK, UNMASK = "add {title}", "delete {title}", "mask {title}", "unmask {title}"
BLOCK, UNBLOCK = "block {who}", "unblock {who}"
AUTHORISE, EXTEND, END = (
    "the right of {who} to open {titles}",
    "add to grant {id}: {titles}",
    "the end of grant {id}",
)
WITHDRAW, AMEND = "take out of grant {id}: {titles}", "other terms for grant {id}"


@asynccontextmanager
async def went_on(screen: Screen, record: "Patient") -> AsyncIterator[None]:
    """Go on with what waits, then run the block; in the end show what came of it, and what was given back to the service."""
    from vault_client.commands.losses import show_given_back

    words = {queued.id: sentence(record, queued.change) for queued in record.waiting()}
    try:
        with screen.unless_done(lambda: GOES_ON if record.waiting() and record.asked is None else ""):
            if words:
                with screen.progress(spoken(WAITING)) as progress:
                    await record.send_waiting(progress=progress)
            yield
    finally:
        show_given_back(screen, record)
        for queued in record.outcome.sent:
            _tell(screen, "sent", queued, NOW_IN, words.get(queued.id) or sentence(record, queued.change))
        for queued, why in record.outcome.dropped:
            what = words.get(queued.id) or sentence(record, queued.change)
            _tell(screen, "dropped", queued, DROPPED, what, why)
        for queued, error in record.outcome.refused:
            _tell(screen, "refused", queued, REFUSED, sentence(record, queued.change), str(error))


@contextmanager
def unless_kept(screen: Screen, record: "Patient") -> Iterator[None]:
    """When the block ends before the change it asks for is in the record, and it waits, say so and what to do."""
    before = record.asked

    def meaning() -> str:
        queued = record.asked
        if queued is None or queued is before:
            return ""
        screen.result.setdefault("queued", []).append(described(record, queued))
        what = sentence(record, queued.change)
        said = UNKNOWN if record.is_sent(queued) else KEPT
        return (KEPT_END if _is_end(queued.change) else said).format(what=what, id=short(queued.id))

    with screen.unless_done(meaning):
        yield


async def sync(arguments: Namespace, screen: Screen) -> None:
    """Send what waits, take in what is new and what is not here yet, and show what still waits.

    That ends in 1 if it was refused, else in 3.
    """
    from crypto.errors import Unavailable
    from vault_client.commands.grant_standing import show_renewal
    from vault_client.commands.profiles import patient
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        taken = await record.sync()
        screen.result["taken_in"] = taken
        show_renewal(screen, record)
        screen.say(TAKEN_IN.format(changes=counted(taken, "change")))
        with screen.progress(spoken(FETCHING)) as progress:
            copies = await record.fetch_replica(progress=progress)
        screen.result["fetched"] = copies.fetched
        screen.result["left_out"] = {doc.hex(): why for doc, why in copies.left_out.items()}
        if copies.fetched:
            screen.say(FETCHED.format(documents=counted(copies.fetched, "document")))
        for doc, why in copies.left_out.items():
            screen.say(LEFT_OUT.format(title=_titles(record)(doc), why=why))
        if not show_waiting(screen, record, store):
            screen.say(NOTHING_WAITS)
        show_trust(screen, record.service)
        for _, error in record.outcome.refused:
            raise error
        if record.waiting():
            raise record.outcome.unreached or Unavailable(STILL)


async def cancel(arguments: Namespace, screen: Screen) -> None:
    """Take back a change that waits. What cannot be taken back says why."""
    from vault_client.commands.profiles import unsent_patient

    async with unsent_patient(arguments, screen) as (record, store):
        ids = [queued.id for queued in record.waiting()]
        queued = record.take_back(pick(store, WAITING, arguments.change, ids))
        screen.result |= described(record, queued)
        screen.say(TAKEN_BACK.format(what=sentence(record, queued.change)))


def show_waiting(screen: Screen, record: "Patient", store: "DeviceStore") -> bool:
    """The changes that wait, in their order. Whether there are any."""
    waiting = record.waiting()
    remember(store, WAITING, (queued.id for queued in waiting))
    screen.result["waiting"] = [described(record, queued) for queued in waiting]
    if waiting:
        screen.table(
            ("", "Id", "Asked for (UTC)", "Waits on this device, not in the record", "State"),
            [
                (
                    str(number),
                    short(queued.id),
                    moment(queued.asked),
                    spoken(sentence(record, queued.change)),
                    spoken(_state(record, queued)),
                )
                for number, queued in enumerate(waiting, 1)
            ],
        )
    return bool(waiting)


def described(record: "Patient", queued: "QueuedChange") -> dict[str, Any]:
    """A change that waits, for programs."""
    return {
        "id": queued.id.hex(),
        "change": type(queued.change).__struct_config__.tag,
        "what": sentence(record, queued.change),
        "asked": queued.asked,
        "sent": record.is_sent(queued),
    }


def sentence(record: "Patient", change: "AnyChange") -> str:
    """What a change is, in a few words."""
    from crypto.wire.cards import card_fingerprint, fingerprint
    from vault_client import changes

    titles = _titles(record)
    match change:
        case changes.AddDocument(descriptor=descriptor):
            return ADD.format(title=descriptor.title)
        case changes.DeleteDocument(doc=doc):
            return DELETE.format(title=titles(doc))
        case changes.MaskDocument(doc=doc, masked=masked):
            return (MASK if masked else UNMASK).format(title=titles(doc))
        case changes.BlockIdentity(identity=identity, blocked=blocked):
            return (BLOCK if blocked else UNBLOCK).format(who=fingerprint(identity))
        case changes.Authorise(card=card, documents=documents):
            return AUTHORISE.format(who=card_fingerprint(card), titles=several([*map(titles, documents)]))
        case changes.ExtendGrant(gid=gid, documents=documents):
            return EXTEND.format(id=short(gid), titles=several([*map(titles, documents)]))
        case changes.WithdrawDocuments(gid=gid, documents=documents):
            return WITHDRAW.format(id=short(gid), titles=several([*map(titles, documents)]))
        case changes.AmendGrant(gid=gid):
            return AMEND.format(id=short(gid))
        case changes.EndGrant(gid=gid):
            return END.format(id=short(gid))


def _titles(record: "Patient") -> "Callable[[bytes], str]":
    known = {document.doc: document.descriptor.title for document in record.documents()}
    return lambda doc: known.get(doc) or short(doc)


def _state(record: "Patient", queued: "QueuedChange") -> str:
    if _is_end(queued.change):
        return NOT_IN_FORCE
    return NOT_ANSWERED if record.is_sent(queued) else ""


def _is_end(change: "AnyChange") -> bool:
    from vault_client.changes import EndGrant

    return isinstance(change, EndGrant)


def _tell(screen: Screen, how: str, queued: "QueuedChange", words: str, what: str, why: str = "") -> None:
    told = {"id": queued.id.hex(), "what": what, "why": why}
    screen.result.setdefault(how, []).append(told)
    screen.aside(words.format(what=what, why=why))
