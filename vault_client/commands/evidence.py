"""``coffre evidence``: what an alarm rests on, checked by anyone, on any machine."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.output import Screen, counted, moment

if TYPE_CHECKING:
    from crypto.trust_root import Keeper
    from crypto.wire.keeper_api import IdentityHead
    from vault_client.commands import Subcommands
    from vault_client.evidence_check import CheckedEvidence

# What people read
ABOUT = "The file is about the alarm {code} in the log {origin}."
HEAD = "SIGNED by the service: a head of {origin} with {entries}, root {id}."
CONFIRMED = "CONFIRMED at {time} UTC: that head, by {keeper}."
VOUCHED = "VOUCHED FOR in {origin} with {entries}, root {root}: the keys of {id}, by {keeper}."
APART = "the keeper {name}, run by {operator} (independent, by the word of the service's operator)"
BESIDE = "the keeper {name}, run by {operator} (not independent, by the word of the service's operator)"
NOT_WITNESSED = "Too few keepers confirmed that head for anybody to go by it."
INSIDE = "IN THE LOG, under the first head: entry {index}."
NOT_INSIDE = "Entry {index} is shown without proof that it is in the log."
SAYS = "COMMITTED TO by the log: entry {index}, {outcome}, at {time} UTC by the service's clock."
OUTCOMES = {
    "accepted": "a change, accepted",
    "granted": "a reading, granted",
    "refused": "a reading, refused",
}
READING = "Entry {index} names the device {id} of {name}, and the time {time} UTC."
NOTHING_PROVEN = (
    "NOT PROVEN: what stands above is all that others signed. That the service did not answer correctly is the word of the "
    "device that wrote this file."
)
KEY_WOULD_PROVE = "It would be proven if the patient disclosed the scan key of the record: coffre patient log --evidence DIR --disclose-keys"
CLAIMED = "CLAIMED only, at {time} UTC, by the device of {id} that signed this file: {text}"
CLAIMED_BY_KEEPER = "CLAIMED only, at {time} UTC, by {keeper}, which signed this file: {text}"
SERVICE = "It is about the service of the trust root {digest}, at {hosts}."
COMPARE = "Compare that with the service's card, or name the card: --card FILE."
PINNED = "That is the one on the card."
NOT_EVIDENCE = "{path} is no evidence, or was damaged on the way. Nothing is proven. Ask for the file again, as it was written."
UNREADABLE = "{path} could not be read ({why}). Nothing was checked. Check the path."


def add(commands: "Subcommands") -> None:
    """``evidence verify``."""
    parser = commands("verify", verify, "check the evidence of an alarm, without a server or a profile")
    parser.add_argument("file", type=Path, metavar="FILE", help="the file of one alarm")
    parser.add_argument(
        "--card", type=Path, metavar="FILE", help="the instance card of the service it is about"
    )


async def verify(arguments: Namespace, screen: Screen) -> None:
    """Say what is proven, by whom it was signed and what is only claimed. Ends in 1 unless something is proven."""
    from crypto.errors import Malformed, NotProven
    from crypto.trust_root import Keeper
    from vault_client.commands.profiles import instance_card
    from vault_client.evidence_check import check_evidence
    from vault_client.evidence_proofs import proofs_in

    card = instance_card(arguments.card)
    data = _read(arguments.file)
    try:
        checked = check_evidence(data, card.root if card is not None else None)
    except Malformed:
        raise Malformed(NOT_EVIDENCE.format(path=arguments.file)) from None
    proven = proofs_in(checked)
    screen.result |= described(checked, proven)
    finding = checked.finding
    screen.say(ABOUT.format(code=finding.code, origin=finding.origin))
    _show_heads(screen, checked)
    _show_entries(screen, checked)
    for sentence in proven:
        screen.say(sentence)
    time = moment(finding.time)
    if isinstance(checked.author, Keeper):
        screen.say(CLAIMED_BY_KEEPER.format(time=time, keeper=_who(checked.author), text=finding.text))
    else:
        author = checked.author.ref.identity.hex()[:8]
        screen.say(CLAIMED.format(time=time, id=author, text=finding.text))
    screen.say(SERVICE.format(digest=checked.begins.digest.hex(), hosts=", ".join(checked.root.hosts)))
    screen.say(COMPARE if card is None else PINNED)
    if not proven:
        if finding.code == "HIDDEN_BY_SERVER" and not checked.keys:
            screen.say(KEY_WOULD_PROVE)
        raise NotProven(NOTHING_PROVEN)


def described(checked: "CheckedEvidence", proven: list[str]) -> dict[str, Any]:
    """Evidence for programs."""
    return {
        "code": checked.finding.code,
        "origin": checked.finding.origin,
        "proven": proven,
        "claimed": checked.finding.text,
        "time": checked.finding.time,
        "author": _author(checked),
        "trust_root": checked.begins.digest.hex(),
        "hosts": list(checked.root.hosts),
        "heads": [
            {
                "origin": shown.head.origin,
                "size": shown.head.size,
                "root": shown.head.root.hex(),
                "confirmed": [{**_keeper(keeper), "time": time} for keeper, time in shown.confirmed],
                "witnessed": shown.is_witnessed,
            }
            for shown in checked.heads
        ],
        "entries": [
            {
                "index": entry.index,
                "in_log": entry.path is not None,
                "opened": entry.index in checked.opened,
            }
            for entry in checked.finding.entries
        ],
        "vouched": [
            {
                **_keeper(keeper),
                "identity": said.identity.hex(),
                "size": said.head.size,
                "root": said.head.root.hex(),
            }
            for keeper, said in _vouched(checked)
        ],
        "keys_disclosed": len(checked.keys),
    }


def _keeper(keeper: "Keeper") -> dict[str, Any]:
    return {"keeper": keeper.name, "operator": keeper.operator, "independent": keeper.independent}


def _who(keeper: "Keeper") -> str:
    """A keeper as the trust root names it."""
    return (APART if keeper.independent else BESIDE).format(name=keeper.name, operator=keeper.operator)


def _vouched(checked: "CheckedEvidence") -> "list[tuple[Keeper, IdentityHead]]":
    """Nothing where what is shown of people does not hold: then it proves nothing either."""
    from crypto.errors import Refusal

    try:
        return checked.vouched()
    except Refusal:
        return []


def _author(checked: "CheckedEvidence") -> str:
    from crypto.identity_chain import Known

    author = checked.author
    return author.ref.identity.hex() if isinstance(author, Known) else author.key_hash.hex()


def _show_heads(screen: Screen, checked: "CheckedEvidence") -> None:
    for shown in checked.heads:
        entries = counted(shown.head.size, "entry", "entries")
        screen.say(HEAD.format(origin=shown.head.origin, entries=entries, id=shown.head.root.hex()[:16]))
        for keeper, time in shown.confirmed:
            screen.say(CONFIRMED.format(keeper=_who(keeper), time=moment(time)))
        if not shown.is_witnessed:
            screen.say(NOT_WITNESSED)
    for keeper, said in _vouched(checked):
        entries = counted(said.head.size, "entry", "entries")
        told = {"origin": said.origin, "root": said.head.root.hex()[:16], "id": said.identity.hex()[:8]}
        screen.say(VOUCHED.format(entries=entries, keeper=_who(keeper), **told))


def _show_entries(screen: Screen, checked: "CheckedEvidence") -> None:
    from crypto import labels
    from crypto.errors import Refusal
    from crypto.requests import read_request

    for entry in checked.finding.entries:
        screen.say((INSIDE if entry.path is not None else NOT_INSIDE).format(index=entry.index))
        opening = checked.opened.get(entry.index)
        if opening is None:
            continue
        time = moment(opening.part.time)
        screen.say(SAYS.format(index=entry.index, outcome=spoken(OUTCOMES[opening.part.outcome]), time=time))
        if opening.envelope.type != labels.ACCESS_REQUEST:
            continue
        try:
            request = read_request(opening.envelope)
            known = checked.known(request.identity, request.view.dir)
            names = [each.statement.name for each in known.state.certified(request.time)]
        except Refusal:
            continue
        name = names[0] if names else request.identity.hex()[:8]
        said = READING.format(
            index=entry.index,
            id=request.device.hex()[:8],
            name=name,
            time=moment(request.time),
        )
        screen.say(said)


def _read(path: Path) -> bytes:
    from crypto.errors import Unavailable
    from crypto.evidence import MAX_EVIDENCE

    try:
        with path.open("rb") as file:
            return file.read(MAX_EVIDENCE + 1)
    except OSError as error:
        raise Unavailable(UNREADABLE.format(path=path, why=error.strerror)) from None
