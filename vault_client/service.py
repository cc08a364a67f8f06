"""One server and its keepers, as this device believes them.

Joins ``trust`` (what to believe) with the network (what is said) and the device store (what was believed before). The
trust root, as the heads of ``believed_heads``, moves in the store only after it has been verified whole, and never back.

A profile can be opened while its server does not answer: what was verified before stands. The first answer after that
is the server's trust root, followed forward from the stored one, before anything else is asked.

A server that lies there gets less than one that is silent, and never takes more from its user. The one rule is in
``follow``: when what it shows does not follow from the stored trust root, or must not be gone on with, it is distrusted,
and nothing is asked of it or sent to it before the profile is opened again. So whatever is on the device can be read,
changes wait in the queue, and ends go to the keepers of the stored trust root. All else raises Distrusted. The same is left
when the trust root is truly signed and this client can do nothing under it, since it asks for a newer one or names other
logs for lost ones; but that is no lie: it is told as what it is.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from crypto import trust_root, trust_root_chain
from crypto.errors import (
    CoffreError,
    Distrusted,
    NotPermitted,
    NotProven,
    Refusal,
    Stale,
    TooMany,
    Unreachable,
)
from crypto.identity_chain import Known
from crypto.identity_links import Chain
from crypto.signing import Envelope, SigningKey, key_id
from crypto.statements import Head
from crypto.trust_root import InstanceCard, Keeper, TrustRoot
from crypto.wire.keeper_api import IdentityHeadAnswer, IdentityHeadQuery, KeeperApi
from crypto.wire.messages import Empty, IdentityQuery, ShownChain
from crypto.wire.sessions import RootSession, Session
from crypto.wire.vault_api import VaultApi
from vault_client import kept_trust_roots, trust
from vault_client.asking_keepers import AskedKeepers, Enough, Question
from vault_client.believed_heads import BelievedHeads
from vault_client.device_store import DeviceStore
from vault_client.http_keeper import HttpKeeper
from vault_client.http_session import Account, Authenticator, RootAccount
from vault_client.http_transport import HttpTransport
from vault_client.http_vault import HttpVault
from vault_client.shown_trust_roots import TrustRecord, first_root, next_root
from vault_client.trust import Word

Answer = TypeVar("Answer")

# Seconds in which a keeper must have answered, whatever it does meanwhile: the others are not held up longer by it.
KEEPER_PATIENCE = 30

# Seconds after which a keeper is asked once more that may not have seen a head yet which others had cosigned.
CATCHING_UP = 1

# What people read
NOT_BELIEVED = (
    "ALARM: the server at {url} is not believed. {why} Nothing more is sent to it before Coffre is started again. What "
    "is on this device can be read, and changes wait on it. Ask the operator, by another way than this server, what happened."
)
READABLE = "What is on this device can be read, and changes wait on it."


class Service(BelievedHeads):
    """A server and its keepers. Made by ``connect``; an async context manager."""

    def __init__(
        self, api: VaultApi, record: TrustRecord, store: DeviceStore, clock: Callable[[], int]
    ) -> None:
        """Use ``connect``; tests hand in an ``api`` of their own."""
        super().__init__(api, store, clock)
        self.keepers: dict[bytes, KeeperApi] = {}
        self.left_out: set[bytes] = set()
        """The keepers whose answers did not fit those of the others, by key hash."""
        self._open = AsyncExitStack()
        self._following = asyncio.Lock()
        self._account: Account | None = None
        self.is_offline = True
        """Whether the server has not yet shown its trust root since the profile was opened."""
        self.distrust: Refusal | None = None
        """Why the server is distrusted, once it is."""
        self.unusable: NotPermitted | None = None
        """That this client can do nothing under the service's trust root, which is no lie (``trust.check_usable``), once so."""
        self._believe(record)

    @classmethod
    async def connect(
        cls,
        store: DeviceStore,
        *,
        url: str | None = None,
        card: InstanceCard | None = None,
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> Self:
        """Reach the server of this profile, or, the first time, the one at ``card`` or ``url``.

        Follows the trust root forward. When the server of a profile does not answer, the trust root that is stored
        stands (``is_offline``), expired or not, and is followed as soon as something is asked and answered; it stands too
        when the server is distrusted (``alarm``) or shows one that this client cannot use (``standstill``). The first time
        it raises NotPermitted when it is not the one on the card or one that this client cannot use, Stale when it has
        expired, Unreachable when nobody answers.
        """
        record = store.get("trust", TrustRecord)
        address = record.url if record is not None else card.url if card is not None else url
        if address is None:
            raise NotPermitted("No server is known yet. Nothing was done. Give its card or its address.")
        transport = HttpTransport(address)
        api = HttpVault(transport)
        try:
            if record is None:
                first = await first_root(api, address, card)
                service = cls(api, first[0], store, clock)
                service._begin(*first)
            else:
                service = cls(api, record, store, clock)
                await service._follow_or_stand()
        except BaseException:
            await transport.close()  # the keepers' are not open yet: they open at first use
            raise
        service._open.push_async_exit(transport)
        api.before = service.follow
        return service

    @staticmethod
    def forget(store: DeviceStore) -> None:
        """Forget the server that was believed, and its heads. Only for a profile in which nobody is enrolled."""
        with store.transaction():
            heads = (
                name for group in ("head", "note", "unproved", "mailbox-head") for name in store.names(group)
            )
            for name in ["trust", *heads]:
                store.delete(name)
            kept_trust_roots.forget(store)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def follow(self) -> None:
        """Follow the trust root forward, if the server has not shown it since the profile was opened.

        Raises Unreachable when nobody answers; Distrusted when this client cannot use it, and, now and ever after, when what
        is shown is not of this service, is not signed by those who had to, or has expired.
        """
        async with self._following:
            try:
                if self.is_offline and self.distrust is None:
                    await self._follow()
            except Refusal as lie:
                self.distrust = lie
            if self.distrust is not None or self.unusable is not None:
                raise Distrusted(self.standstill) from self.distrust or self.unusable

    @property
    def alarm(self) -> str:
        """That the server is distrusted, and why, in words; empty unless it is."""
        if self.distrust is None:
            return ""
        return NOT_BELIEVED.format(url=self.record.url, why=self.distrust)

    @property
    def standstill(self) -> str:
        """Why nothing is asked of the server, or nothing new believed of it, in words: ``alarm``, or what is no lie."""
        if self.distrust is not None:
            return self.alarm
        if self.unusable is not None:
            return f"{self.unusable} {READABLE}"
        try:
            trust_root.check_expiry(self.accepted, self.now())
        except Stale as expired:
            return f"{expired} {READABLE}"
        return ""

    async def roots_up_to(self, version: int) -> dict[int, bytes]:
        """The digests of the trust roots believed, by version, with all that the server shows now if they end before ``version``.

        Raises as ``follow``.
        """
        if self.accepted.ref.version < version and self.distrust is None:
            self.is_offline = True
            await self.follow()
        return kept_trust_roots.digests(self._store)

    async def _follow(self) -> None:
        record, chain = await next_root(self.api, self.record)
        self.unusable = None
        try:
            trust.check_usable(trust_root_chain.first(record.envelope, card=None))
        except NotPermitted as unusable:
            self.unusable = unusable
        else:
            self._begin(record, chain)

    async def _follow_or_stand(self) -> None:
        try:
            await self.follow()
        except Unreachable:
            self._meet_keepers(_transports(self.root, self.now()))

    def _begin(self, record: TrustRecord, chain: Sequence[Envelope]) -> None:
        """Believe, from now on and for later, what the server has shown: ``chain``, of which ``record`` has the last."""
        accepted = trust_root_chain.first(record.envelope, card=None)
        trust_root.check_expiry(accepted, self.now())
        trust.check_usable(accepted)
        # An address that no client uses is refused before it is stored for good.
        keepers = _transports(accepted.root, self.now())
        kept_trust_roots.keep(self._store, chain)
        self._store.put("trust", record)
        self._believe(record)
        self._meet_keepers(keepers)
        self.is_offline = False

    def _believe(self, record: TrustRecord) -> None:
        self.record = record
        self.accepted = trust_root_chain.first(record.envelope, card=None)
        if self._account is not None:
            self.use_account(self._account)

    def _meet_keepers(self, transports: dict[bytes, HttpTransport]) -> None:
        for transport in transports.values():
            self._open.push_async_exit(transport)
        self.keepers = {name: HttpKeeper(transport) for name, transport in transports.items()}

    def use_account(self, account: Account) -> None:
        """Log in as ``account`` from now on, at the hosts of the newest trust root."""
        self._account = replace(account, hosts=self.root.hosts)
        if isinstance(self.api, HttpVault):
            self.api.use_account(self._account)

    def when_lacking(self, show: Callable[[], Awaitable[None]]) -> None:
        """Have ``show`` show the server what it lost whenever it says that it lacks something; it is then asked once more."""
        if isinstance(self.api, HttpVault):
            self.api.when_lacking = show

    async def log_in_with_root(self, root: SigningKey) -> bytes:
        """Log in with the root of a recovery kit. Returns the identity that the server says it is of: not believed yet."""
        if not isinstance(self.api, HttpVault):
            raise NotPermitted("There is no server to log in at. Nothing was done.")
        self.api.use_account(RootAccount(root=root, hosts=self.root.hosts))
        session = await self.api.log_in()
        return session.identity if isinstance(session, RootSession) else b""

    @property
    def session(self) -> Session | RootSession | None:
        """The session with the server that is under way."""
        return self.api.session if isinstance(self.api, HttpVault) else None

    def go_on(self, session: Session | RootSession | None) -> None:
        """Go on with a session that was begun over another connection, as long as it lasts."""
        if isinstance(self.api, HttpVault):
            self.api.go_on(session)

    def use_authenticator(self, authenticator: Authenticator) -> None:
        """Show a passkey by ``authenticator`` when the server asks for one."""
        if isinstance(self.api, HttpVault):
            self.api.authenticator = authenticator

    async def prove_chain(self, chain: Chain) -> ShownChain:
        """Have a quorum of keepers vouch that ``chain`` is complete at a head at least as new as ours.

        A keeper whose word does not hold, or is of an older head, counts as one that refused. One that contradicts the others
        about the directory is left out, named in ``left_out`` and kept as an alarm; raises NotProven when too few agree, Stale
        when the trust root has expired.
        """
        with suppress(CoffreError):
            await self.follow()
        trust_root.check_expiry(self.accepted, self.now())
        at, needed = self.believed(self.root.directory_origin).head, self.root.policy.k

        query = IdentityHeadQuery(chain=chain)

        async def vouch(name: bytes, keeper: KeeperApi) -> Word:
            def believed(answer: IdentityHeadAnswer) -> Word:
                return trust.believe_word(self.root, self.keeper(name), answer.envelope, chain.ref, at)

            answer = await keeper.identity_head(query)
            with suppress(NotProven):
                return believed(answer)
            await asyncio.sleep(CATCHING_UP)
            return believed(await keeper.identity_head(query))

        words = await self.ask_keepers(
            vouch, needed, lambda words: trust.agreeing(words, at, needed) is not None
        )
        agreeing = trust.agreeing(words, at, needed)
        if agreeing is None or len(agreeing) < len(words):
            said = tuple(word.envelope for word in words.values())
            self.directory_contradicted(ShownChain(chain=chain, heads=said))
        if agreeing is None:
            raise NotProven(trust.TWO_DIRECTORIES)
        self.left_out |= set(words) - set(agreeing)
        return ShownChain(chain=chain, heads=tuple(words[name].envelope for name in agreeing))

    async def shown_anew(self, shown: ShownChain, at: Head) -> ShownChain:
        """``shown`` itself; but where a keeper that vouches for it has retired, as the server and live keepers show it now.

        Nothing of it is believed yet. Raises Unreachable, and whatever refuses to show or to vouch.
        """
        live = {key_id(keeper.cosigning_key) for keeper in self.root.live_keepers}
        retired = {key_id(keeper.cosigning_key) for keeper in self.root.keepers} - live
        if all(retired.isdisjoint(envelope.signers) for envelope in shown.heads):
            return shown
        await self.directory(at.size)
        chain = await self.api.identity_chain(IdentityQuery(identity=shown.chain.identity))
        return await self.prove_chain(chain)

    async def know(self, chain: Chain) -> Known:
        """Someone as they stand now: verified, and complete at the directory head that will be named."""
        at = await self.directory()
        if at.size <= chain.links[-1].disclosure.index:
            self.forget_directory()
            at = await self.directory()
        return self.believe_chain(await self.prove_chain(chain), at)

    async def ask_keepers(
        self,
        question: Question[Answer],
        needed: int,
        enough: Enough[Answer] | None = None,
        *,
        named: Collection[bytes] | None = None,
    ) -> dict[bytes, Answer]:
        """Ask every live keeper at once, or those ``named`` in a grant, as ``AskedKeepers.ask`` does; the answers by keeper.

        A retired keeper is asked for as long as it answers for what was granted before.
        A server that does not answer, or answers wrongly, keeps nobody from the keepers it named before: an end must reach
        them without it.
        """
        with suppress(CoffreError):
            await self.follow()
        names = {keeper.key_hash: keeper.name for keeper in self.root.keepers}
        asked = {keeper.key_hash for keeper in self.root.live_keepers} if named is None else named
        keepers = {
            name: (names.get(name, name.hex()), keeper)
            for name, keeper in self.keepers.items()
            if name in asked
        }
        return await AskedKeepers(keepers, KEEPER_PATIENCE).ask(question, needed, enough)

    async def check_answering(self) -> None:
        """Raises TooMany or Unavailable when the server or too many keepers answer nothing now. A refusal is an answer."""
        try:
            await self.api.version(Empty())
            needed = self.root.policy.k
            await self.ask_keepers(lambda _, keeper: keeper.card(Empty()), needed, lambda _: True)
        except TooMany:
            raise
        except Refusal:
            return

    def keeper(self, name: bytes) -> Keeper:
        """The keeper whose sealing key hashes to ``name``. Raises NotPermitted for an unknown one."""
        for keeper in self.root.keepers:
            if keeper.key_hash == name:
                return keeper
        raise NotPermitted("A grant names a keeper that the trust root does not know. Nothing was opened.")


def _transports(root: TrustRoot, now: int) -> dict[bytes, HttpTransport]:
    """A connection to each keeper that answers, opened at first use. Raises NotPermitted for an address that is not used."""
    return {keeper.key_hash: HttpTransport(keeper.url) for keeper in root.answering_keepers(now)}
