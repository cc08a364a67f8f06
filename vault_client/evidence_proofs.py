"""What evidence proves to a third person, alarm by alarm, from signatures that are not the patient's.

An alarm without a rule here, or whose rule finds less than it needs, is an observation: the client's own record of an
answer that nobody signed. Who is to blame is said only where one party alone can have caused it.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Final

from crypto import labels
from crypto.access_log import Opening
from crypto.checkpoint import TEN_MINUTES
from crypto.encoding import decode
from crypto.erasures import Erasure, read_erasure
from crypto.errors import BadSignature, Malformed, NotProven, Refusal
from crypto.grants import GrantEvent
from crypto.locators import Locator
from crypto.requests import AccessRequest, check_request, read_request
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, VerifyKey, verify
from crypto.statements import Head, View
from crypto.vault_links import End, Genesis, Rotate, VaultLink, scan_key_commitment, vault_id
from vault_client.evidence_check import CheckedEvidence, ShownHead

Statement = Genesis | VaultLink | GrantEvent | Erasure

# What people read
TWO_HEADS = (
    "PROVEN: the service signed two heads of one log that contradict each other. Neither goes on from the other: entries were "
    "changed, left out or shown to some and not to others. No honest service signs both."
)
SHRUNK = "PROVEN: a smaller log was confirmed after a larger one by {keepers}. No honest keeper that has its store does that."
TWO_DIRECTORIES = "PROVEN: keepers signed two heads of the directory that contradict each other. No honest keepers sign both."
ANOTHER_LOG = (
    "PROVEN: a device signed that it had seen a log which this one does not go on from. Either the service showed two logs, or "
    "that device lied: only the service's own signature on that other head would tell which."
)
OTHER_ROOT = (
    "PROVEN: a device signed under another trust root than the one of that number which this file shows. Either two were signed with "
    "the root keys, or that device lied: only the signatures on that other one would tell which."
)
NOT_SIGNED = "PROVEN: the service logged a reading that the person it names did not sign."
NO_STATEMENT = "PROVEN: the service logged as a reading what is none, and nobody can have asked for it."
NOT_THEIRS = "PROVEN: the service logged as accepted a change that nobody it names signed."
TWICE = "PROVEN: the service logged one reading twice, both times as granted."
OTHER_MARK = (
    "PROVEN: the service logged this reading under a mark that the record's scan key does not find, although it was given that "
    "key before. It can answer only with a later change of keys of this record, signed by its holder."
)
TIMES_APART = (
    "PROVEN: the service logged a request more than ten minutes away from the time that its reader signed. One of them is wrong, "
    "and the service granted it."
)
DATED_BEFORE = "PROVEN: the service dated an entry earlier than a head that did not hold it yet."
DATED_AFTER = "PROVEN: the service dated an entry later than a head that holds it."
OLDER_GRANT = (
    "PROVEN: a device signed that it had seen the log with a newer state of the grant in it, and used an older one. Either the "
    "service kept the newer one from it, or it passed it over."
)
AFTER_END = "PROVEN: the service granted a reading although the grant's end stood in its log."
AFTER_EXPIRY = (
    "PROVEN: the service granted a reading after the grant had run out. It can answer only with a later change of this "
    "grant, signed by its holder."
)
LEFT_OUT = (
    "PROVEN: the service granted a reading to somebody whom the grant leaves out. It can answer only with a later change of "
    "this grant, signed by its holder."
)
OTHER_ACT = (
    "PROVEN: the service granted a kind of reading that the grant does not allow. It can answer only with a later change of "
    "this grant, signed by its holder."
)


def proofs_in(checked: CheckedEvidence) -> list[str]:
    """What follows from others' signatures, in words: maybe nothing. Raises nothing for what does not follow."""
    rule = _RULES.get(checked.finding.code)
    try:
        return rule(checked) if rule is not None else []
    except Refusal:  # what the rule needs is not shown, or is not vouched for
        return []


def _fork(checked: CheckedEvidence) -> list[str]:
    if not checked.finding.entries:
        return _two_heads(checked)
    return _unsigned_change(checked) or _another_log(checked)


def _two_heads(checked: CheckedEvidence) -> list[str]:
    pair = _pair(checked)
    if pair is None:
        return []
    small, big = pair
    if small.head.size == big.head.size:
        return [TWO_HEADS] if small.head.root != big.head.root else []
    beginning = checked.finding.beginning
    if beginning is None or beginning.size != small.head.size or big is not checked.heads[-1]:
        return []
    return [TWO_HEADS] if beginning.root != small.head.root else []


def _another_log(checked: CheckedEvidence) -> list[str]:
    """Somebody signed another head than what the log shown has at that size, or one that would hold what they signed, or one of
    the directory that is longer than it was ten minutes after.
    """
    opening, beginning, last = _about(checked), checked.finding.beginning, checked.heads[-1]
    view = _signed_view(checked, opening.envelope)
    in_directory = last.head.origin == checked.root.directory_origin
    if in_directory and view.dir.size > last.head.size:
        is_later = last.is_witnessed and min(last.quorum) > opening.part.time + TEN_MINUTES
        return [ANOTHER_LOG] if is_later else []
    if not in_directory and view.seen.size > checked.finding.entries[0].index:
        return [ANOTHER_LOG]
    seen = view.dir if in_directory else view.seen
    if beginning is None or beginning.size != seen.size or beginning.root == seen.root:
        return []
    return [ANOTHER_LOG]


def _another_root(checked: CheckedEvidence) -> list[str]:
    """Somebody signed under another trust root than the one of that version that is shown."""
    named = _signed_view(checked, _about(checked).envelope).trust_root
    shown = {root.version: envelope.digest for root, envelope in checked.signed_roots}
    return [OTHER_ROOT] if shown.get(named.version, named.digest) != named.digest else []


def _signed_view(checked: CheckedEvidence, envelope: Envelope) -> View:
    """What the signers of a statement had seen, once they are found to have signed it."""
    if envelope.type == labels.ACCESS_REQUEST:
        request = read_request(envelope)
        check_request(envelope, checked.known(request.identity, request.view.dir), None, request.time)
        return request.view
    statement = _statement(envelope)
    verify(envelope, envelope.type, _signing_keys(checked, statement))
    return statement.view


def _statement(envelope: Envelope) -> Statement:
    """A change, whose signatures are still to be checked. Raises Malformed, and NotProven for a deposit: nobody here judges one."""
    match envelope.type:
        case labels.GENESIS:
            return decode(envelope.body, Genesis)
        case labels.VAULT_LINK:
            return decode(envelope.body, VaultLink)
        case labels.GRANT_EVENT:
            return decode(envelope.body, GrantEvent)
        case labels.ERASURE:
            return read_erasure(envelope)
        case labels.DEPOSIT:
            raise NotProven("A deposit is shown, of which this version judges nothing.")
        case _:
            raise Malformed("An entry is of no kind that a record's log holds.")


def _signing_keys(checked: CheckedEvidence, statement: Statement) -> dict[bytes, VerifyKey]:
    """The keys of whoever ``statement`` names as its signers."""
    keys: dict[bytes, VerifyKey] = {}
    for ref in statement.signers:
        keys |= checked.known(ref.identity, statement.view.dir).state.device_keys()
    return keys


def _unsigned_change(checked: CheckedEvidence) -> list[str]:
    opening = _about(checked)
    in_directory = checked.heads[0].head.origin == checked.root.directory_origin
    if opening.part.outcome != "accepted" or in_directory:
        return []
    try:
        statement = _statement(opening.envelope)
    except Malformed:
        return [NOT_THEIRS]
    # What the author shows of these people may be false: that is no fault of the service's.
    keys = _signing_keys(checked, statement)
    try:
        verify(opening.envelope, opening.envelope.type, keys)
    except BadSignature:
        return [NOT_THEIRS]
    return []


def _forged_read(checked: CheckedEvidence) -> list[str]:
    envelope = _about(checked).envelope
    if envelope.type != labels.ACCESS_REQUEST:
        return []
    try:
        request = read_request(envelope)
    except Malformed:
        return [NO_STATEMENT]
    known = checked.known(request.identity, request.view.dir)
    try:
        check_request(envelope, known, None, request.time)
    except BadSignature:
        return [NOT_SIGNED]
    return []


def _replay(checked: CheckedEvidence) -> list[str]:
    both = [_proven(checked, place) for place in (0, 1)]
    slots = {_reading(opening).slot_two for opening in both}
    is_granted = all(opening.part.outcome == "granted" for opening in both)
    return [TWICE] if is_granted and len(slots) == 1 else []


def _hidden(checked: CheckedEvidence) -> list[str]:
    """A granted reading stands under no mark of the scan key that its record had given the service."""
    request = _reading(_about(checked))
    entry, later = checked.finding.entries[0], checked.finding.entries[1:]
    _signed_view(checked, checked.opened[entry.index].envelope)
    vaults: set[bytes] = set()
    committed: dict[bytes, bytes] = {}
    for place, shown in enumerate(later, 1):
        envelope = _accepted(checked, place)
        if envelope.type == labels.GRANT_EVENT:
            event = decode(envelope.body, GrantEvent)
            vaults |= {event.vault} if event.gid == request.gid else set()
        elif shown.index < entry.index:
            committed |= {key: _vault(envelope) for key in _scan_keys(envelope)}
    for disclosed in checked.keys:
        key = committed.get(scan_key_commitment(disclosed.scan_key))
        finds = Locator(SecretBytes(disclosed.scan_key), checked.finding.origin).matches(entry.slot_one)
        if key in vaults and not finds and request.slot_two == entry.slot_two:
            return [OTHER_MARK]
    return []


def _backdated(checked: CheckedEvidence) -> list[str]:
    opening, index = _about(checked), checked.finding.entries[0].index
    said = opening.part.time
    proven: list[str] = []
    if opening.envelope.type == labels.ACCESS_REQUEST:
        request = read_request(opening.envelope)
        _signed_view(checked, opening.envelope)
        proven += [TIMES_APART] if abs(said - request.time) > TEN_MINUTES else []
    holding, *earlier = checked.heads
    if holding.is_witnessed and said > max(holding.times.values()) + TEN_MINUTES:
        proven.append(DATED_AFTER)
    for shown in earlier:
        is_before = shown.head.origin == holding.head.origin and shown.head.size <= index
        if is_before and shown.is_witnessed and said < min(shown.quorum) - TEN_MINUTES:
            proven.append(DATED_BEFORE)
    return proven


def _stale_view(checked: CheckedEvidence) -> list[str]:
    opening = _about(checked)
    request = _reading(opening)
    _signed_view(checked, opening.envelope)
    places: dict[bytes, tuple[int, set[bytes]]] = {}
    for place, entry in enumerate(checked.finding.entries[1:], 1):
        envelope = _accepted(checked, place)
        if envelope.type == labels.GRANT_EVENT and decode(envelope.body, GrantEvent).gid == request.gid:
            _signed_view(checked, envelope)  # else the service could put it there to blame the reader
            signers = {ref.identity for ref in decode(envelope.body, GrantEvent).signers}
            places[envelope.digest] = (entry.index, signers)
    held, holders = places.get(request.ghead, (request.view.seen.size, set[bytes]()))
    # Of the same holders, else the service could have an event signed by somebody else.
    seen = [index for index, signers in places.values() if signers == holders]
    return [OLDER_GRANT] if any(held < index < request.view.seen.size for index in seen) else []


def _out_of_scope(checked: CheckedEvidence) -> list[str]:
    opening, index = _about(checked), checked.finding.entries[0].index
    request = _reading(opening)
    if opening.part.outcome != "granted":
        return []
    proven: list[str] = []
    for place, entry in enumerate(checked.finding.entries[1:], 1):
        envelope = _accepted(checked, place)
        if entry.index > index:
            continue
        if envelope.type == labels.VAULT_LINK:
            ends = decode(envelope.body, VaultLink).operations
            proven += [AFTER_END] if End(gid=request.gid) in ends else []
        elif envelope.type == labels.GRANT_EVENT:
            event = decode(envelope.body, GrantEvent)
            if envelope.digest == request.ghead:
                proven += [AFTER_EXPIRY] if opening.part.time > event.expiry else []
                proven += [OTHER_ACT] if request.act not in event.acts else []
                proven += [LEFT_OUT] if request.identity in event.excluded else []
    return proven


def _rollback(checked: CheckedEvidence) -> list[str]:
    pair = _pair(checked)
    if pair is None or pair[0].head.size == pair[1].head.size:
        return []
    small, big = pair
    later = [key for key in small.times.keys() & big.times.keys() if small.times[key] > big.times[key]]
    names = sorted(small.keepers[key].name for key in later)
    return [SHRUNK.format(keepers=", ".join(names))] if later else []


def _two_directories(checked: CheckedEvidence) -> list[str]:
    if checked.finding.entries:
        return _another_log(checked)
    origin = checked.root.directory_origin
    heads: set[Head] = {shown.as_head for shown in checked.heads if shown.head.origin == origin}
    heads |= {said.head for _, said in checked.vouched() if said.origin == origin}
    is_forked = any(one.size == other.size for one, other in combinations(heads, 2))
    return [TWO_DIRECTORIES] if is_forked else []


def _pair(checked: CheckedEvidence) -> tuple[ShownHead, ShownHead] | None:
    """The two heads of one log that are shown, the smaller first; None when that is not what is shown."""
    if len(checked.heads) != 2 or checked.heads[0].head.origin != checked.heads[1].head.origin:
        return None
    small, big = sorted(checked.heads, key=lambda shown: shown.head.size)
    return small, big


def _about(checked: CheckedEvidence) -> Opening:
    return _proven(checked, 0)


def _accepted(checked: CheckedEvidence, place: int) -> Envelope:
    """A change that the service logged as accepted. Raises NotProven."""
    opening = _proven(checked, place)
    if opening.part.outcome != "accepted":
        raise NotProven("An entry that this rests on is no accepted change.")
    return opening.envelope


def _proven(checked: CheckedEvidence, place: int) -> Opening:
    """What an entry says that is shown to be in the log. Raises NotProven."""
    entries = checked.finding.entries
    if place >= len(entries) or entries[place].path is None or entries[place].index not in checked.opened:
        raise NotProven("An entry that this rests on is not shown to be in the log.")
    if not checked.heads[0].is_witnessed:
        raise NotProven("The head shown lacks the keepers' signatures.")
    return checked.opened[entries[place].index]


def _reading(opening: Opening) -> AccessRequest:
    if opening.envelope.type != labels.ACCESS_REQUEST:
        raise Malformed("An entry is no reading.")
    return read_request(opening.envelope)


def _scan_keys(envelope: Envelope) -> list[bytes]:
    if envelope.type == labels.GENESIS:
        return [decode(envelope.body, Genesis).keyring.scan_key]
    operations = decode(envelope.body, VaultLink).operations
    return [step.scan_key for step in operations if isinstance(step, Rotate)]


def _vault(envelope: Envelope) -> bytes:
    if envelope.type == labels.GENESIS:
        return vault_id(envelope.body)
    return decode(envelope.body, VaultLink).vault


_RULES: Final[dict[str, Callable[[CheckedEvidence], list[str]]]] = {
    "FORK": _fork,
    "FORGED_READ": _forged_read,
    "REPLAY": _replay,
    "HIDDEN_BY_SERVER": _hidden,
    "BACKDATED": _backdated,
    "STALE_VIEW": _stale_view,
    "OUT_OF_SCOPE": _out_of_scope,
    "ROLLBACK": _rollback,
    "DIR_FORK": _two_directories,
    "ROOT_FORK": _another_root,
}
