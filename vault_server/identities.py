"""Identity chains as the server folds them, and the one way to lengthen them.

A chain is folded link by link as it grows; what it said after each link stays in memory for the identities used
lately, so "live at this head of the directory" costs a search in a short list.
"""

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from crypto import access_log as entries
from crypto import merkle
from crypto.encoding import decode, encode
from crypto.errors import BrokenChain, Conflict, Lacking, NotFound, NotPermitted, NotProven, TooLarge
from crypto.identity_chain import Known, extend
from crypto.identity_links import (
    Certify,
    Chain,
    DisclosedLink,
    IdentityLink,
    Keyring,
    ReadingKey,
    Reset,
    Withdraw,
    identity_id,
    root_use,
)
from crypto.identity_state import IdentityState
from crypto.locators import directory_slot
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, key_id
from crypto.statements import IdentityRef, part_hash
from crypto.wire.keeper_api import MAX_CHAIN_QUESTION
from crypto.wire.losses import ShownIdentityLink
from crypto.wire.messages import Logged, PublishLink
from vault_server import lost_bodies
from vault_server.access_log import AccessLog
from vault_server.instance import Instance
from vault_server.recent import Recent
from vault_server.second_gate import SecondGate, ends_every_device
from vault_server.store import identities as rows
from vault_server.store import leaves as leaf_rows
from vault_server.store import losses
from vault_server.store.database import Statements, Transaction, Writer

REMEMBERED = 4096
MAX_LINKS = 4096
# A reader's chain and its team's go into one question to a keeper, with everything else in it.
MAX_CHAIN = MAX_CHAIN_QUESTION * 3 // 8
# So much of that a device leaves for links that the root signs, and the root for a registrar's: a full chain must keep
# nobody from revoking a device or withdrawing a certificate.
LEFT_FREE = 1 << 17
# Beside its envelope, a disclosed link has no more bytes than these.
DISCLOSURE = 512


@dataclass
class _Folded:
    """What a chain said after each of its links, where those stand in the directory, and how long it is."""

    known: list[Known] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    length: int = 0

    def add(self, known: Known, link: DisclosedLink) -> None:
        """Go on by a link that was folded."""
        self.known.append(known)
        self.indexes.append(link.disclosure.index)
        self.length += _length(link.envelope)


class Identities:
    """Every identity chain of this server."""

    def __init__(
        self, instance: Instance, reader: Statements, writer: Writer, log: AccessLog, gate: SecondGate
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log
        self._gate = gate
        self._registrars = instance.root.registrar_keys()
        self._folded = Recent[bytes, _Folded](REMEMBERED)
        self._added = 0

    async def known_at(self, identity: bytes, size: int) -> Known:
        """The identity as it stood at ``size`` leaves of the directory. Raises NotPermitted when it did not."""
        folded = await self._fold(identity)
        links = bisect_left(folded.indexes, size)
        if not links:
            raise NotPermitted(
                "An identity is used that is not in the directory at the head shown. Nothing was done."
            )
        return folded.known[links - 1]

    async def newest(self, identity: bytes) -> IdentityState:
        """The identity after its newest link. Raises NotFound."""
        folded = await self._fold(identity)
        if not folded.known:
            raise NotFound("An identity")
        return folded.known[-1].state

    async def chain(self, identity: bytes) -> Chain:
        """The whole chain as it is disclosed. Raises NotFound, or Lacking when links of it were lost."""
        await self._fold(identity)
        links = await rows.links(self._reader, identity)
        if not links:
            raise NotFound("An identity")
        return Chain(links=tuple(links))

    async def root_was_used(self, identity: bytes, purpose: str, since: int) -> bool:
        """Whether a link, not older than ``since``, shows that the root was used for ``purpose``."""
        for link in reversed(await rows.links(self._reader, identity)):
            if link.disclosure.part.time < since:
                return False
            if root_use(link.envelope) == purpose:
                return True
        return False

    async def index_roots(self) -> None:
        """Have every identity found by its root, where the store is from before that was kept."""
        states = []
        for identity in await rows.without_root(self._reader):
            with suppress(Lacking):  # whoever shows its next link has it found
                states.append(await self.newest(identity))

        async def job(transaction: Transaction) -> None:
            for state in states:
                await rows.add_root(transaction, key_id(state.root), state.identity)

        if states:
            await self._writer.run(job)

    async def publish(self, query: PublishLink, now: int, raised_for: bytes | None) -> Logged:
        """Append a link and answer its proof; the same link again gets its proof again.

        ``raised_for``: the identity in whose session a passkey was just shown. Raises Conflict when the chain has moved,
        TooLarge when it would be too long, NeedsPasskey, and what ``identity_chain.extend`` raises.
        """
        envelope = query.envelope
        link = decode(envelope.body, IdentityLink)
        identity = identity_id(envelope) if link.n == 0 else link.identity
        if identity is None or link.n >= MAX_LINKS:
            raise BrokenChain("A link names no identity, or has too high a number. Nothing was published.")
        folded = await self._fold(identity)
        if link.n < len(folded.known):
            return await self._again(identity, link.n, envelope)
        if link.n > len(folded.known):
            raise BrokenChain("A link is ahead of its identity's chain. Nothing was published.")
        before = folded.known[-1].state if folded.known else None
        # A chain's times never fall, whatever this computer's clock has done.
        time = now if before is None else max(now, before.time)
        state = extend(before, envelope, time, self._registrars)
        if folded.length + _length(envelope) > _longest(before, link, envelope):
            raise TooLarge(
                f"A chain of keys may have at most {MAX_CHAIN} bytes, the last of them for its root's links and for a "
                "registrar's. This link is too long for it. Nothing was published."
            )
        await self._gate.check_link(before, link, envelope.signers, raised_for)
        if link.view is not None:
            await self._log.check_view(link.view, self._log.directory, now)
        parts = _named_parts(link, query.parts, whole=True)
        slot_one = directory_slot(self._log.directory, identity, link.n)

        async def job(transaction: Transaction) -> entries.Disclosure:
            slot_two, salt = SecretBytes.random().reveal(), SecretBytes.random().reveal()
            part = entries.ServerPart(body=envelope.digest, time=time, outcome="accepted", prev=entries.FIRST)
            leaf = entries.Leaf(
                slot_one=slot_one, slot_two=slot_two, commitment=entries.commitment(salt, envelope, part)
            )
            index = self._log.stage(transaction, self._log.directory, leaf, [identity])
            shown = entries.Disclosure(
                index=index, slot_one=slot_one, slot_two=slot_two, salt=salt, part=part
            )
            disclosed = DisclosedLink(envelope=envelope, disclosure=shown)
            if not await rows.add_link(transaction, identity, link.n, disclosed):
                raise Conflict(
                    "The chain has moved: another link took this number. Nothing was published. Fetch it and sign again."
                )
            await rows.add_parts(transaction, identity, parts.items())
            await rows.add_root(transaction, key_id(state.root), identity)
            if ends_every_device(before, state):
                await self._gate.forget(transaction, identity)
            known = _known(identity, state, disclosed)
            transaction.after.append(lambda: self._remember(identity, known, disclosed))
            return shown

        return await self._log.receipt(self._log.directory, await self._writer.run(job))

    async def show(self, query: ShownIdentityLink) -> Logged:
        """Take back a link that was lost, as the directory has it, with those of its parts that are left; answer its proof.

        Raises NotProven when it is not what the directory has at its place, BrokenChain when one before it is lost too.
        """
        envelope, shown = query.link.envelope, query.link.disclosure
        link = decode(envelope.body, IdentityLink)
        identity = identity_id(envelope) if link.n == 0 else link.identity
        if identity is None:
            raise BrokenChain("A link names no identity. Nothing of it was kept.")
        parts = _named_parts(link, query.parts, whole=False)
        slot = directory_slot(self._log.directory, identity, link.n)
        if await losses.link(self._reader, slot) is None:
            links = await rows.links(self._reader, identity)
            if link.n >= len(links) or links[link.n].envelope != envelope:
                raise _not_there()
            await self._writer.run(lambda transaction: rows.add_parts(transaction, identity, parts.items()))
            return await self._log.receipt(self._log.directory, links[link.n].disclosure)

        async def job(transaction: Transaction) -> None:
            index = await losses.link(transaction, slot)
            if index is None or (shown.index, shown.slot_one) != (index, slot):
                raise _not_there()
            leaf = await leaf_rows.leaves(transaction, self._log.directory, index, 1)
            if leaf != [shown.leaf(envelope).to_bytes()]:
                raise _not_there()
            before: IdentityState | None = None
            links = await rows.links(transaction, identity)
            if link.n != len(links):
                raise BrokenChain(
                    "A link was shown before an earlier one that is lost. Nothing of it was kept."
                )
            for each in links:
                before = extend(before, each.envelope, each.disclosure.part.time, self._registrars)
            state = extend(before, envelope, shown.part.time, self._registrars)
            await rows.add_link(transaction, identity, link.n, query.link)
            await losses.found_link(transaction, slot)
            await rows.add_parts(transaction, identity, parts.items())
            await rows.add_root(transaction, key_id(state.root), identity)
            if ends_every_device(before, state):
                await self._gate.forget(transaction, identity)
            transaction.after.append(self._count)

        self._log.check_confirmed()
        await self._writer.run(job)
        return await self._log.receipt(self._log.directory, shown)

    def _count(self) -> None:
        self._added += 1

    async def _again(self, identity: bytes, n: int, envelope: Envelope) -> Logged:
        link = (await rows.links(self._reader, identity))[n]
        if link.envelope != envelope:
            raise Conflict(
                "The chain has moved: another link has this number. Nothing was published. Fetch it and sign again."
            )
        return await self._log.receipt(self._log.directory, link.disclosure)

    async def _fold(self, identity: bytes) -> _Folded:
        folded = self._folded.get(identity)
        if folded is not None:
            self._folded[identity] = folded
            return folded
        added = -1
        while (
            added != self._added
        ):  # a link that became durable while the rows were read may be missing from them
            added = self._added
            links = await rows.links(self._reader, identity)
            next_one = await losses.link(
                self._reader, directory_slot(self._log.directory, identity, len(links))
            )
        if next_one is not None:
            raise lost_bodies.lacking()
        folded = _Folded()
        state: IdentityState | None = None
        for link in links:
            state = extend(state, link.envelope, link.disclosure.part.time, self._registrars)
            folded.add(_known(identity, state, link), link)
        if folded.known:
            self._folded[identity] = folded
        return folded

    def _remember(self, identity: bytes, known: Known, link: DisclosedLink) -> None:
        """A link has become durable."""
        self._count()
        folded = self._folded.get(identity)
        if known.ref.n == 0:
            folded = self._folded[identity] = _Folded()
        if folded is not None and len(folded.known) == known.ref.n:
            folded.add(known, link)


def _length(envelope: Envelope) -> int:
    return len(encode(envelope)) + DISCLOSURE


def _longest(before: IdentityState | None, link: IdentityLink, envelope: Envelope) -> int:
    """How long a chain may be with ``link``, whose signatures have been verified."""
    if isinstance(link.operations[0], Certify | Withdraw | Reset):
        return MAX_CHAIN
    if before is None or key_id(before.root) in envelope.signers:
        return MAX_CHAIN - LEFT_FREE
    return MAX_CHAIN - 2 * LEFT_FREE


def _known(identity: bytes, state: IdentityState, link: DisclosedLink) -> Known:
    leaf = merkle.leaf_hash(link.disclosure.leaf(link.envelope).to_bytes())
    return Known(ref=IdentityRef(identity=identity, n=state.n, leaf=leaf), state=state)


def _named_parts(link: IdentityLink, sent: Sequence[bytes], *, whole: bool) -> dict[bytes, bytes]:
    """The parts sent with a link: exactly those it names, or (not ``whole``) none but those."""
    named = {step.keyring for step in link.operations if isinstance(step, Keyring | ReadingKey)}
    parts = {part_hash(part): part for part in sent}
    if not named.issuperset(parts) or (whole and len(parts) < len(named)):
        raise NotPermitted("A link came with other parts than it names. Nothing was published.")
    return parts


def _not_there() -> NotProven:
    return NotProven(
        "A link was shown that the directory does not have at its place. Nothing of it was kept."
    )
