"""The vault server as one object: ``Vault`` joins the parts, ``VaultSession`` is what one account can ask of it.

A method here is verify, rule, store, log, receipt, in the modules it names; no HTTP and no SQL.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from crypto.errors import CoffreError, NotFound, NotPermitted
from crypto.identity_links import Chain
from crypto.labels import SUITE
from crypto.wire import losses as lost
from crypto.wire import messages as m
from crypto.wire import passkeys as p
from crypto.wire import sessions as s
from vault_server.access_log import AccessLog
from vault_server.asker import Asker
from vault_server.cosigning import Cosigner
from vault_server.erasures import Erasures
from vault_server.grant_events import GrantEvents
from vault_server.identities import Identities
from vault_server.instance import Instance
from vault_server.limits import Buckets
from vault_server.mailboxes import Mailboxes
from vault_server.notify import Notices
from vault_server.passkeys import AccountPasskeys
from vault_server.pruning import Pruning
from vault_server.reading import Reading
from vault_server.record_chains import RecordChains
from vault_server.records import Records
from vault_server.second_gate import SecondGate
from vault_server.sessions import Account, Sessions
from vault_server.settings import Settings
from vault_server.shown_records import ShownRecords
from vault_server.store import ciphertext
from vault_server.store.ciphertext import CiphertextStore
from vault_server.store.database import Database, Writer
from vault_server.upkeep import Upkeep
from vault_server.uploads import Uploads
from vault_server.version import VERSION


class Vault:
    """A running vault server, without its transport."""

    def __init__(
        self,
        settings: Settings,
        instance: Instance,
        database: Database,
        keepers: Sequence[Cosigner],
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.instance = instance
        self.clock = clock
        self.stopped: asyncio.Future[CoffreError] = asyncio.get_running_loop().create_future()
        self.writer = Writer(database.write, settings.limits.queued_jobs, self._stop)
        self._database = database
        reader = database.reader
        store = CiphertextStore(settings.server_folder / ciphertext.FOLDER, settings.limits.free_bytes)
        self.notices = Notices(settings.limits)
        self.log = AccessLog(
            instance, database, self.writer, keepers, clock, settings.receipt_seconds, self.notices
        )
        party = p.RelyingParty.of(instance.root.hosts[0])
        self.second_gate = SecondGate(party, reader, clock)
        self.identities = Identities(instance, reader, self.writer, self.log, self.second_gate)
        self.sessions = Sessions(
            instance.root.hosts, self.identities, self.second_gate, reader, self.writer, clock
        )
        self.passkeys = AccountPasskeys(party, self.second_gate, reader, self.writer, clock)
        self.records = Records(reader)
        events = GrantEvents(instance, self.log, self.identities)
        self.chains = RecordChains(
            settings, instance, reader, self.writer, self.log, self.identities, self.records, events, store
        )
        self.shown = ShownRecords(
            reader, self.writer, self.log, self.identities, self.records, self.chains, events, store
        )
        self.erasures = Erasures(reader, self.writer, self.log, self.identities, self.records)
        self.uploads = Uploads(settings.limits, reader, self.writer, store)
        self.mailboxes = Mailboxes(reader)
        self.reading = Reading(
            reader,
            self.writer,
            self.log,
            self.identities,
            instance.root.never_granted,
            clock,
            settings.refusal_seconds,
        )
        self.accounts = Buckets(settings.limits.account, clock)
        self.founding = Buckets(settings.limits.founding, clock)
        self.pruning = Pruning(instance.root, reader, self.writer, self.log, settings.retention, clock)
        self._upkeep = Upkeep(
            settings, self.writer, self.log, self.uploads, self.pruning, self.erasures, clock
        )

    @classmethod
    async def start(
        cls,
        settings: Settings,
        instance: Instance,
        keepers: Sequence[Cosigner],
        clock: Callable[[], float],
    ) -> "Vault":
        """Open the store, check it, and begin to take requests. Raises Damaged in words."""
        database = Database.open(settings.server_folder)
        vault = cls(settings, instance, database, keepers, clock)
        try:
            await vault.log.start()
            vault.writer.start()
            await vault.identities.index_roots()
        except BaseException:
            await vault.log.close()
            await vault.writer.close()
            database.close()
            raise
        vault._upkeep.start()
        return vault

    async def open_logs(self) -> None:
        """Have the keepers confirm every log, the newest shard made if need be. Raises Unreachable while they are silent."""
        await self.log.confirm()
        await self.log.open_log(self.log.directory, None)
        shard = self.log.newest_shard
        await self.log.open_log(self.instance.root.log_origin(shard), shard)

    async def close(self) -> None:
        """Finish what is queued and close the store."""
        await self._upkeep.close()
        await self.log.close()
        await self.writer.close()
        self._database.close()

    def for_session(self, account: Account | None, address: str = "") -> "VaultSession":
        """What ``account`` (nobody, without) can ask, coming from ``address``, a class of addresses."""
        return VaultSession(self, account, address)

    @property
    def healthy(self) -> bool:
        """Whether the server can store and sign."""
        return not self.stopped.done() and self.log.confirmed

    def _stop(self, why: CoffreError) -> None:
        if not self.stopped.done():
            self.stopped.set_result(why)


class VaultSession(Asker):
    """Implements ``VaultApi`` for one account, or for nobody."""

    async def version(self, query: m.Empty) -> m.Version:
        """Name, version and suite."""
        return m.Version(name="coffre", version=VERSION, suite=SUITE)

    async def trust_roots(self, query: m.TrustRootQuery) -> m.TrustRootChain:
        """The chain of trust roots."""
        return m.TrustRootChain(chain=self._vault.instance.trust_roots[query.since :])

    async def log_beginning(self, query: m.LogQuery) -> m.LogBeginning:
        """From which entry on a log's entries are there."""
        return await self._vault.pruning.beginning(query.origin)

    async def challenge(self, query: s.LoginRequest) -> s.Challenge:
        """A nonce to log in with."""
        return self._vault.sessions.challenge(query)

    async def login(self, query: s.Login) -> s.Session:
        """A session for one identity."""
        return await self._vault.sessions.login(query)

    async def root_challenge(self, query: s.RootLoginRequest) -> s.Challenge:
        """A nonce to log in with an identity's root."""
        return self._vault.sessions.challenge(query)

    async def root_login(self, query: s.RootLogin) -> s.RootSession:
        """A short session for the identity whose root signed."""
        return await self._vault.sessions.root_login(query)

    async def publish_link(self, query: m.PublishLink) -> m.Logged:
        """Append a link to an identity chain and to the directory log."""
        self._vault.founding.take(self._address)
        account, gate = self._account, self._vault.second_gate
        raised_for = account.identity if account is not None and gate.is_raised(account.session) else None
        return await self._vault.identities.publish(query, self._now(), raised_for)

    async def identity_chain(self, query: m.IdentityQuery) -> Chain:
        """One's own chain, a certified identity's, a fellow holder's, or that of who granted one something; else NotFound."""
        wanted, me = query.identity, self._me(may_be_root=True)
        if wanted != me:
            self._check_device()
            may = (await self._vault.identities.newest(wanted)).certified(self._now())
            if not may and not await self._vault.records.may_know(me, wanted):
                raise NotFound("An identity")
        return await self._vault.identities.chain(wanted)

    async def parts(self, query: m.PartQuery) -> m.PartAnswer:
        """Erasable parts of one's own identity or of a vault one holds."""
        me = self._me(may_be_root=True)
        if query.vault is None:
            await self._check_use_shown(me)
        else:
            self._check_device()
            await self._vault.records.check_holder(me, query.vault)
        return await self._vault.records.parts(query.vault or me, query.hashes)

    async def reserve(self, query: m.Empty) -> m.Reservation:
        """A place in a log for a new vault."""
        return await self._vault.chains.reserve(self._me())

    async def create_vault(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Found a vault."""
        return await self._vault.chains.create(self._me(), query, self._now())

    async def append_link(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Append a link."""
        return await self._vault.chains.append(self._me(), query, self._now())

    async def held_vaults(self, query: m.Empty) -> m.HeldVaults:
        """The vaults one holds."""
        return await self._vault.records.held(self._me())

    async def grant_event(self, query: m.GrantEventQuery) -> m.StoredEvent:
        """An event of a grant of a vault, for its holders."""
        return await self._vault.records.grant_event(self._me(), query)

    async def links(self, query: m.LinkQuery) -> m.Links:
        """A vault's links, for its holders."""
        return await self._vault.records.links(self._me(), query)

    async def openings(self, query: m.OpeningQuery) -> m.Openings:
        """The sealed openings of a vault's leaves, for its holders."""
        return await self._vault.records.openings(self._me(), query)

    async def erase(self, query: m.EraseRequest) -> m.Logged:
        """Log a holder's erasure, and destroy what it names."""
        return await self._vault.erasures.erase(self._me(), query.erasure, self._now())

    async def log_losses(self, query: m.LogQuery) -> lost.LogLosses:
        """What was lost of a log."""
        return await self._vault.shown.losses(query)

    async def show_identity_link(self, query: lost.ShownIdentityLink) -> m.Logged:
        """Give back a link of an identity."""
        self._vault.founding.take(self._address)
        return await self._vault.identities.show(query)

    async def lost_entries(self, query: lost.VaultQuery) -> lost.LostEntries:
        """What was lost of a record, and not shown, for its holders."""
        return await self._vault.shown.entries(self._me(), query.vault)

    async def show_link(self, query: lost.ShownLink) -> m.LinkAccepted:
        """Give back a link of a record."""
        return await self._vault.shown.show_link(self._me(), query)

    async def show_openings(self, query: lost.ShownOpenings) -> m.Empty:
        """Give back openings of a record."""
        await self._vault.shown.show_openings(self._me(), query)
        return m.Empty()

    async def give_up_entries(self, query: lost.GiveUp) -> m.Empty:
        """Have a record go on without what nobody shows."""
        await self._vault.shown.give_up(self._me(), query)
        return m.Empty()

    async def upload_status(self, query: m.UploadQuery) -> m.UploadStatus:
        """Which parts of a version have arrived."""
        await self._vault.records.check_holder(self._me(), query.vault)
        return await self._vault.uploads.status(query)

    async def put_part(self, query: m.PartUpload, data: bytes) -> None:
        """Store one part."""
        await self.may_put(query)
        await self._vault.uploads.put(query, data, self._now())

    async def may_put(self, query: m.PartUpload) -> None:
        """Raises unless a part of this vault may be sent by this account: asked before its bytes are read."""
        await self._vault.records.check_holder(self._me(), query.vault)

    async def ciphertext(self, query: m.CiphertextQuery) -> AsyncGenerator[bytes, None]:
        """Ciphertext from a byte on, for a holder or under an answered request."""
        me = self._me()
        if (query.vault is None) == (query.request is None):
            raise NotPermitted(
                "Ciphertext is asked for by vault or under a request, not both. Nothing was sent."
            )
        if query.vault is not None:
            await self._vault.records.check_holder(me, query.vault)
            chunks = self._vault.uploads.of_holder(query.vault, query.ver, query.start)
        else:
            chunks = self._vault.uploads.of_request(
                me, query.request or b"", query.ver, query.start, self._now()
            )
        async for chunk in chunks:
            yield chunk

    async def mailbox(self, query: m.MailboxQuery) -> m.Mailbox:
        """What was delivered to one's identity."""
        return await self._vault.mailboxes.read(self._me(), query)

    async def notices(self, query: m.Empty) -> AsyncGenerator[bool, None]:
        """Whether there is something to fetch for one's identity, again and again, while the session is in force."""
        account = self._free_account()
        left = account.until - self._vault.clock()
        async with aclosing(self._vault.notices.stream(account.identity, left)) as stream:
            async for news in stream:
                if not await self._vault.sessions.is_live(account):
                    return
                yield news

    async def open(self, query: m.OpenRequest) -> m.OpenAnswer:
        """Log a request, then answer it."""
        return await self._vault.reading.open(self._me(), query.request)

    async def begin_passkey(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to register a passkey."""
        return await self._vault.passkeys.begin_registration(self._free_account())

    async def finish_passkey(self, query: p.NewPasskey) -> m.Empty:
        """Register it."""
        await self._vault.passkeys.finish_registration(self._free_account(), query)
        return m.Empty()

    async def begin_assertion(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to show a passkey: what a session may do that may do nothing else yet."""
        return await self._vault.passkeys.begin_assertion(self._any_account())

    async def finish_assertion(self, query: p.PasskeyAnswer) -> p.Confirmed:
        """Show it."""
        return await self._vault.passkeys.finish_assertion(self._any_account(), query)

    async def passkeys(self, query: m.Empty) -> p.Passkeys:
        """The account's passkeys."""
        return await self._vault.passkeys.of_account(self._free_account())

    async def remove_passkey(self, query: p.PasskeyQuery) -> m.Empty:
        """Remove a passkey."""
        await self._vault.passkeys.remove(self._free_account(), query.credential)
        return m.Empty()

    async def set_each_session(self, query: p.EachSession) -> m.Empty:
        """Have each session need a passkey, or no longer."""
        await self._vault.passkeys.set_each_session(self._free_account(), required=query.required)
        return m.Empty()

    async def checkpoint(self, origin: str) -> bytes:
        """A log's newest cosigned checkpoint."""
        return self._vault.log.checkpoint(origin)

    async def tile(self, origin: str, path: str) -> bytes:
        """A tile or entry bundle of a log."""
        return await self._vault.log.tile(origin, path)
