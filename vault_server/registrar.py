"""The instance's own registrar: reads a card, signs a certificate with the operator's key, and publishes it.

A subject stands for one identity: the registrar keeps a register, and a second identity needs its word (``replace``).
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from crypto import labels, trust_root
from crypto.checkpoint import CosignerKey, LogKey, cosignatures, open_checkpoint
from crypto.encoding import decode, encode
from crypto.errors import Conflict, Malformed, NotPermitted, NotProven, Unreachable
from crypto.identity_chain import LONGEST_CERTIFICATE, fold
from crypto.identity_links import Certify, IdentityLink
from crypto.identity_state import IdentityState
from crypto.signing import Envelope, SigningKey, VerifyKey, sign
from crypto.statements import Head, View
from crypto.trust_root import Accepted, InstanceCard, TrustRoot
from crypto.wire.cards import IdentityCard, card_fingerprint, fingerprint, read_card
from crypto.wire.messages import Logged, PublishLink, TrustRootChain, TrustRootQuery
from crypto.wire.problems import Problem, error_of
from crypto.wire.vault_api import PREFIX
from vault_server import register
from vault_server.instance import card_file, read_key
from vault_server.settings import Settings
from vault_server.store.files import read_whole

SECONDS = 30
DAY = 24 * 3600
MAX_ANSWER = 1 << 24


def certify(
    data: Path,
    card_path: Path,
    *,
    subject: str,
    name: str,
    profession: str,
    days: int,
    now: int,
    as_json: bool,
    replace: bool,
) -> None:
    """Certify the identity on a card and say so. Raises when the card, the server's answers or the rules forbid it.

    Without ``replace`` a subject whose certificate is in force for another identity is refused.
    """
    _check_days(days)
    settings = Settings(data=data)
    key = read_key(settings.operator_folder / "registrar.key")
    instance = trust_root.read_card(read_whole(card_file(settings)).decode())
    card = _identity_card(card_path)
    accepted = _trust_root(instance)
    _check_subject(subject, key, accepted.root)
    state = fold(card.chain, accepted.root.directory_origin, accepted.root.registrar_keys())
    step = Certify(
        kind=_kind(state, subject),
        subject=subject,
        name=name,
        profession=profession,
        since=now,
        until=now + days * DAY,
    )
    head = _directory_head(instance, accepted.root)
    link = IdentityLink(
        suite=labels.SUITE,
        identity=state.identity,
        n=state.n + 1,
        prev=state.head,
        operations=(step,),
        view=View(trust_root=accepted.ref, dir=head, seen=head),
    )
    envelope = sign(labels.IDENTITY_LINK, link, key)
    entry = register.Entry(subject=subject, identity=state.identity, until=step.until)
    with register.opened(settings.operator_folder) as book:
        if not replace:
            _check_free(book.holder(subject, now), entry)
        with book.entered(entry):
            answer = _publish(instance, card_path, PublishLink(envelope=envelope, parts=()))
    index = decode(answer, Logged, limit=MAX_ANSWER).disclosure.index
    _say(card_fingerprint(card), step, index, as_json=as_json)


def _check_days(days: int) -> None:
    longest = LONGEST_CERTIFICATE // DAY
    if not 1 <= days <= longest:
        raise NotPermitted(
            f"A certificate lasts from 1 to {longest} days, not {days}. Nothing was certified. Give other --days."
        )


def _identity_card(path: Path) -> IdentityCard:
    try:
        return read_card(read_whole(path).decode())
    except (Malformed, UnicodeDecodeError):
        raise Malformed(
            f"{path} is not an identity's card. Nothing was certified. Give the file that "
            "`coffre practitioner card -o FILE` wrote."
        ) from None


def _check_subject(subject: str, key: SigningKey, root: TrustRoot) -> None:
    scheme, colon, value = subject.partition(":")
    if not (scheme and colon and value):
        raise Malformed(
            f"{subject} is not a subject. Nothing was certified. Write scheme:value, such as demo:10001234567."
        )
    own = [entry for entry in root.registrars if entry.key == key.public.raw]
    schemes = [name for entry in own for name in entry.schemes]
    if scheme not in schemes:
        raise NotPermitted(
            f"This registrar does not certify the scheme {scheme}. Nothing was certified. "
            f"Its schemes: {', '.join(schemes) or 'none'}."
        )


def _check_free(holder: register.Entry | None, wanted: register.Entry) -> None:
    """Raises Conflict when another identity holds the subject."""
    if holder is not None and holder.identity != wanted.identity:
        until = time.strftime("%Y-%m-%d", time.gmtime(holder.until))
        raise Conflict(
            f"{wanted.subject} is certified for another identity, {fingerprint(holder.identity)}, until {until}. "
            "Nothing was certified. If both are the same person's, certify with --replace; the earlier certificate "
            "stays in force until its end."
        )


def _publish(instance: InstanceCard, card_path: Path, query: PublishLink) -> bytes:
    try:
        return _ask(instance, "publish_link", query)
    except Conflict:
        raise Conflict(
            f"{card_path} is older than its identity's chain. Nothing was certified. Ask for a new card."
        ) from None


def _kind(state: IdentityState, subject: str) -> Literal["practitioner", "team", "service"]:
    if state.kind == "team":
        return "team"
    return "service" if subject.startswith("app:") else "practitioner"


def _trust_root(instance: InstanceCard) -> Accepted:
    answer = _ask(instance, "trust_roots", TrustRootQuery(since=0))
    chain: tuple[Envelope, ...] = decode(answer, TrustRootChain, limit=MAX_ANSWER).chain
    if not chain:
        raise Malformed("The server showed no trust root. Nothing was certified.")
    return trust_root.advance(trust_root.first(chain[0], card=instance.root), chain[1:])


def _directory_head(instance: InstanceCard, root: TrustRoot) -> Head:
    """The newest head of the directory, signed by the log and cosigned. Raises NotProven."""
    note = _fetch(instance, "/coffre/directory/checkpoint")
    head = open_checkpoint(note, LogKey(root.directory_origin, VerifyKey(root.directory_key)))
    keepers = [CosignerKey(keeper.name, VerifyKey(keeper.cosigning_key)) for keeper in root.keepers]
    if len(cosignatures(note, keepers)) < max(policy.k for policy in root.policies):
        raise NotProven("Too few keepers cosigned the directory's head. Nothing was certified.")
    return Head(size=head.size, root=head.root)


def _say(fingerprint: str, step: Certify, index: int, *, as_json: bool) -> None:
    if as_json:
        answer = {"fingerprint": fingerprint, "index": index, "subject": step.subject, "until": step.until}
        print(json.dumps(answer))
    else:
        print(
            f"{step.name} is certified as {step.subject} ({step.profession}). Identity {fingerprint}; "
            f"entry {index} of the directory."
        )


def _ask(instance: InstanceCard, operation: str, query: msgspec.Struct) -> bytes:
    headers = {"Content-Type": "application/json"}
    return _fetch(instance, f"{PREFIX}/{operation}", encode(query), headers)


def _fetch(
    instance: InstanceCard, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    if not instance.url.startswith(("http://", "https://")):
        raise Malformed("The instance card does not name a server. Nothing was certified.")
    request = urllib.request.Request(instance.url + path, data=body, headers=dict(headers or {}))  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read(MAX_ANSWER + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise error_of(decode(error.read(1 << 16), Problem)) from None
    except OSError:
        raise Unreachable(
            f"The server did not answer at {instance.url}. Nothing is known to be certified. Start it and try again."
        ) from None
    if len(content) > MAX_ANSWER:
        raise Malformed("The server's answer is too long. Nothing was certified.")
    return content
