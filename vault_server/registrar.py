"""The instance's own registrar: reads a card, signs a link with the operator's key, and publishes it.

A subject stands for one identity: the registrar keeps a register, and a second identity needs its word (``replace``).
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crypto import labels, trust_root
from crypto.durations import DAY
from crypto.errors import Conflict, Malformed, NotPermitted
from crypto.identity_chain import extend, fold
from crypto.identity_links import Certify, IdentityLink, Withdraw
from crypto.identity_state import IdentityState
from crypto.signing import Envelope, SigningKey, sign
from crypto.trust_root import TrustRoot
from crypto.wire.cards import IdentityCard, fingerprint, read_identity_card
from crypto.wire.messages import Logged
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server import register
from vault_server.directory_client import DirectoryClient, connected
from vault_server.instance import card_file, read_key
from vault_server.settings import Settings
from vault_server.store.files import read_whole


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

    async def certified() -> None:
        async with _chain(data, card_path, subject, now) as chain:
            step = Certify(
                kind=_kind(chain.state, subject),
                subject=subject,
                name=name,
                profession=profession,
                since=now,
                until=now + days * DAY,
            )
            entry = register.Entry(subject=subject, identity=chain.state.identity, until=step.until)
            with register.opened(chain.folder) as book:
                if not replace:
                    _check_free(book.holder(subject, now), entry)
                with book.entered(entry):
                    sent = await chain.send(step)
            index = chain.proven(*sent)
        _say(
            {"fingerprint": chain.fingerprint, "index": index, "subject": subject, "until": step.until},
            f"{name} is certified as {subject} ({profession}). Identity {chain.fingerprint}; "
            f"entry {index} of the directory.",
            as_json=as_json,
        )

    asyncio.run(certified())


def withdraw(data: Path, card_path: Path, *, subject: str, now: int, as_json: bool) -> None:
    """Take back every certificate of a subject that the identity on a card holds, and say so. Raises as ``certify``."""

    async def withdrawn() -> None:
        async with _chain(data, card_path, subject, now) as chain:
            held = [
                entry.link
                for entry in chain.state.certificates.values()
                if entry.statement.subject == subject and now < entry.statement.until
            ]
            if not held:
                raise NotPermitted(
                    f"The identity on {card_path} holds no certificate for {subject}. Nothing was withdrawn. "
                    "Ask for a new card if it was certified after this one was made."
                )
            for link in held:
                index = chain.proven(*await chain.send(Withdraw(link=link)))
            with register.opened(chain.folder) as book:
                book.enter(
                    register.Entry(subject=subject, identity=chain.state.identity, until=register.WITHDRAWN)
                )
        _say(
            {"fingerprint": chain.fingerprint, "index": index, "subject": subject, "links": held},
            f"{subject} is withdrawn from identity {chain.fingerprint}; entry {index} of the directory.",
            as_json=as_json,
        )

    asyncio.run(withdrawn())


@dataclass
class _Chain:
    """The chain of the identity on a card, which the registrar lengthens."""

    card_path: Path
    state: IdentityState
    key: SigningKey
    directory: DirectoryClient
    folder: Path

    @property
    def fingerprint(self) -> str:
        """The identity's, as people compare it."""
        return fingerprint(self.state.identity)

    async def send(self, step: Certify | Withdraw) -> tuple[Envelope, Logged]:
        """Sign the next link and publish it. Raises Conflict when the card is older than the chain."""
        link = IdentityLink(
            suite=labels.SUITE,
            identity=self.state.identity,
            n=self.state.n + 1,
            prev=self.state.head,
            operations=(step,),
            view=await self.directory.view(),
        )
        envelope = sign(labels.IDENTITY_LINK, link, self.key)
        try:
            return envelope, await self.directory.publish(envelope)
        except Conflict:
            raise Conflict(
                f"{self.card_path} is older than its identity's chain. Nothing was published. Ask for a new card."
            ) from None

    def proven(self, envelope: Envelope, logged: Logged) -> int:
        """Where the link that was sent stands in the directory; the chain goes on from it. Raises NotProven."""
        shown = self.directory.prove(logged, envelope, self.state.identity, self.state.n + 1)
        self.state = extend(self.state, envelope, shown.part.time, self.directory.root.registrar_keys())
        return shown.index


@asynccontextmanager
async def _chain(data: Path, card_path: Path, subject: str, now: int) -> AsyncIterator[_Chain]:
    """The chain on a card, once card, service and subject are found to be what they must be."""
    settings = Settings(data=data)
    key = read_key(settings.operator_folder / "registrar.key")
    instance = trust_root.read_card(read_whole(card_file(settings)).decode())
    card = _identity_card(card_path)
    async with connected(instance) as directory:
        root = directory.root
        trust_root.check_expiry(directory.accepted, now)
        _check_subject(subject, key, root, now)
        state = fold(card.chain, root.directory_origin, root.registrar_keys())
        yield _Chain(card_path, state, key, directory, settings.operator_folder)


def _identity_card(path: Path) -> IdentityCard:
    try:
        return read_identity_card(read_whole(path).decode())
    except (Malformed, UnicodeDecodeError):
        raise Malformed(
            f"{path} is not an identity's card. Nothing was published. Give the file that "
            "`coffre practitioner card -o FILE` wrote."
        ) from None


def _check_subject(subject: str, key: SigningKey, root: TrustRoot, now: int) -> None:
    scheme, colon, value = subject.partition(":")
    if not (scheme and colon and value):
        raise Malformed(
            f"{subject} is not a subject. Nothing was published. Write scheme:value, such as demo:10001234567."
        )
    own = [entry for entry in root.registrars if entry.key == key.public.raw]
    if any(entry.retired_since is not None and entry.retired_since <= now for entry in own):
        raise NotPermitted(
            "This registrar has retired: nobody believes what it signs now. Nothing was published. Use the key of one "
            "that the trust root names."
        )
    schemes = [name for entry in own for name in entry.schemes]
    if scheme not in schemes:
        raise NotPermitted(
            f"This registrar does not certify the scheme {scheme}. Nothing was published. "
            f"Its schemes: {', '.join(schemes) or 'none'}."
        )


def _check_free(holder: register.Entry | None, wanted: register.Entry) -> None:
    """Raises Conflict when another identity holds the subject."""
    if holder is not None and holder.identity != wanted.identity:
        until = time.strftime("%Y-%m-%d", time.gmtime(holder.until))
        raise Conflict(
            f"{wanted.subject} is certified for another identity, {fingerprint(holder.identity)}, until {until}. "
            "Nothing was certified. If both are the same person's, certify with --replace; the earlier certificate "
            "stays in force until its end, or until it is withdrawn."
        )


def _kind(state: IdentityState, subject: str) -> Literal["practitioner", "team", "service"]:
    if state.kind == "team":
        return "team"
    return "service" if subject.startswith("app:") else "practitioner"


def _say(answer: dict[str, object], words: str, *, as_json: bool) -> None:
    print(json.dumps(answer) if as_json else wrapped(spoken(words), sys.stdout))
