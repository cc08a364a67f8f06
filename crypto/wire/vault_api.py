"""Every operation of a vault server, by name.

The same protocol is implemented by the server, by the HTTP client and by the lying vault of the tests. Over HTTP each
operation is ``POST /coffre/v1/<name>`` with the canonical JSON of its request; ids never stand in an address. A part
of ciphertext goes up as raw bytes with its query, base64url of canonical JSON, in the header ``Coffre-Query``. Notices come as server-sent events. The logs are served as C2SP tlog-tiles says, under ``/coffre/log/<shard>/`` and ``/coffre/directory/``.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from crypto.identity_links import Chain
from crypto.wire import losses as lost
from crypto.wire import messages as m
from crypto.wire import passkeys as p
from crypto.wire import sessions as s

PREFIX = "/coffre/v1"


class VaultApi(Protocol):
    """What one account can ask of a server. Every method raises errors of ``crypto.errors``."""

    async def version(self, query: m.Empty) -> m.Version:
        """Name, version and suite."""
        ...

    async def trust_roots(self, query: m.TrustRootQuery) -> m.TrustRootChain:
        """The chain of trust roots."""
        ...

    async def log_beginning(self, query: m.LogQuery) -> m.LogBeginning:
        """From which entry on a log's entries are there, and what shows how old the others were."""
        ...

    async def challenge(self, query: s.LoginRequest) -> s.Challenge:
        """A nonce to log in with."""
        ...

    async def login(self, query: s.Login) -> s.Session:
        """A session for one identity."""
        ...

    async def root_challenge(self, query: s.RootLoginRequest) -> s.Challenge:
        """A nonce to log in with an identity's root."""
        ...

    async def root_login(self, query: s.RootLogin) -> s.RootSession:
        """A short session for the identity whose root signed.

        It may ask for its own ``identity_chain``, and, while a use of the root for that stands in the directory, for
        its identity's ``parts``; for nothing else.
        """
        ...

    async def publish_link(self, query: m.PublishLink) -> m.Logged:
        """Append a link to an identity chain and to the directory log. Conflict when the chain has moved."""
        ...

    async def identity_chain(self, query: m.IdentityQuery) -> Chain:
        """One's own chain, a certified identity's, or a fellow holder's; else NotFound."""
        ...

    async def parts(self, query: m.PartQuery) -> m.PartAnswer:
        """Erasable parts."""
        ...

    async def reserve(self, query: m.Empty) -> m.Reservation:
        """A place in a log for a new vault."""
        ...

    async def create_vault(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Found a vault."""
        ...

    async def append_link(self, query: m.LinkSubmission) -> m.LinkAccepted:
        """Append a link. Conflict when the vault has moved: fetch ``links``, evaluate again, sign again."""
        ...

    async def held_vaults(self, query: m.Empty) -> m.HeldVaults:
        """The vaults one holds."""
        ...

    async def grant_event(self, query: m.GrantEventQuery) -> m.StoredEvent:
        """An event of a grant of a vault, for its holders."""
        ...

    async def links(self, query: m.LinkQuery) -> m.Links:
        """A vault's links, for its holders."""
        ...

    async def openings(self, query: m.OpeningQuery) -> m.Openings:
        """The sealed openings of a vault's leaves, for its holders."""
        ...

    async def erase(self, query: m.EraseRequest) -> m.Logged:
        """Log a holder's erasure, and destroy the openings that it names. The same again is answered alike."""
        ...

    async def log_losses(self, query: m.LogQuery) -> lost.LogLosses:
        """What of a log's bodies its operator declares to be lost."""
        ...

    async def show_identity_link(self, query: lost.ShownIdentityLink) -> m.Logged:
        """Give back a link of an identity that the server lost, to which an entry of the directory commits."""
        ...

    async def lost_entries(self, query: lost.VaultQuery) -> lost.LostEntries:
        """The entries of a record of which nothing was shown since the server lost it, for its holders."""
        ...

    async def show_link(self, query: lost.ShownLink) -> m.LinkAccepted:
        """Give back a record's genesis or link that the server lost, to which entries commit."""
        ...

    async def show_openings(self, query: lost.ShownOpenings) -> m.Empty:
        """Give back openings of a record's entries that the server lost."""
        ...

    async def give_up_entries(self, query: lost.GiveUp) -> m.Empty:
        """Have a record go on although not all of its entries were shown. Conflict when another link is the newest."""
        ...

    async def upload_status(self, query: m.UploadQuery) -> m.UploadStatus:
        """Which parts of a version have arrived."""
        ...

    async def put_part(self, query: m.PartUpload, data: bytes) -> None:
        """Store one part, create-only: the same bytes again are no error, other bytes are a Conflict."""
        ...

    def ciphertext(self, query: m.CiphertextQuery) -> AsyncGenerator[bytes, None]:
        """Ciphertext from a byte on."""
        ...

    async def mailbox(self, query: m.MailboxQuery) -> m.Mailbox:
        """What was delivered to one's identity."""
        ...

    def notices(self, query: m.Empty) -> AsyncGenerator[bool, None]:
        """Whether there is something to fetch for one's identity: a stream, which ends after a while (``notices``)."""
        ...

    async def open(self, query: m.OpenRequest) -> m.OpenAnswer:
        """Log a request, then answer it. A refusal says NotFound, whatever its cause."""
        ...

    async def begin_passkey(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to register a passkey. The first needs a session; a further one a passkey shown in it."""
        ...

    async def finish_passkey(self, query: p.NewPasskey) -> m.Empty:
        """Register the passkey that was made for the challenge."""
        ...

    async def begin_assertion(self, query: m.Empty) -> p.PasskeyChallenge:
        """Begin to show a passkey in this session."""
        ...

    async def finish_assertion(self, query: p.PasskeyAnswer) -> p.Confirmed:
        """Show it: for five minutes the session may do what needs one."""
        ...

    async def passkeys(self, query: m.Empty) -> p.Passkeys:
        """The account's passkeys."""
        ...

    async def remove_passkey(self, query: p.PasskeyQuery) -> m.Empty:
        """Remove a passkey, but for the last. Needs a passkey shown."""
        ...

    async def set_each_session(self, query: p.EachSession) -> m.Empty:
        """Have each session need a passkey, or no longer. Needs a passkey shown."""
        ...

    async def checkpoint(self, origin: str) -> bytes:
        """A log's newest cosigned checkpoint."""
        ...

    async def tile(self, origin: str, path: str) -> bytes:
        """A tile or entry bundle of a log, by its tlog-tiles path."""
        ...


@dataclass(frozen=True)
class Operation:
    """One JSON operation: its name, its messages, and whether a session is needed.

    ``session_counts``: none is needed, but what the session of a request has shown counts.
    """

    name: str
    request: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    session: bool
    limit: int = m.MAX_MESSAGE
    answer_limit: int = m.MAX_SUBMISSION
    session_counts: bool = False


OPERATIONS = (
    Operation("version", m.Empty, m.Version, session=False),
    Operation("trust_roots", m.TrustRootQuery, m.TrustRootChain, session=False),
    Operation("log_beginning", m.LogQuery, m.LogBeginning, session=False),
    Operation("challenge", s.LoginRequest, s.Challenge, session=False),
    Operation("login", s.Login, s.Session, session=False),
    Operation("root_challenge", s.RootLoginRequest, s.Challenge, session=False),
    Operation("root_login", s.RootLogin, s.RootSession, session=False),
    Operation(
        "publish_link",
        m.PublishLink,
        m.Logged,
        session=False,
        limit=m.MAX_LINK_MESSAGE,
        session_counts=True,
    ),
    Operation("identity_chain", m.IdentityQuery, Chain, session=True),
    Operation("parts", m.PartQuery, m.PartAnswer, session=True),
    Operation("reserve", m.Empty, m.Reservation, session=True),
    Operation("create_vault", m.LinkSubmission, m.LinkAccepted, session=True),
    Operation("append_link", m.LinkSubmission, m.LinkAccepted, session=True, limit=m.MAX_SUBMISSION),
    Operation("held_vaults", m.Empty, m.HeldVaults, session=True),
    Operation("grant_event", m.GrantEventQuery, m.StoredEvent, session=True),
    Operation("links", m.LinkQuery, m.Links, session=True),
    Operation("openings", m.OpeningQuery, m.Openings, session=True),
    Operation("erase", m.EraseRequest, m.Logged, session=True),
    Operation("log_losses", m.LogQuery, lost.LogLosses, session=False),
    Operation(
        "show_identity_link", lost.ShownIdentityLink, m.Logged, session=False, limit=m.MAX_LINK_MESSAGE
    ),
    Operation("lost_entries", lost.VaultQuery, lost.LostEntries, session=True),
    Operation("show_link", lost.ShownLink, m.LinkAccepted, session=True, limit=m.MAX_SUBMISSION),
    Operation("show_openings", lost.ShownOpenings, m.Empty, session=True, limit=m.MAX_SUBMISSION),
    Operation("give_up_entries", lost.GiveUp, m.Empty, session=True),
    Operation("upload_status", m.UploadQuery, m.UploadStatus, session=True),
    Operation("mailbox", m.MailboxQuery, m.Mailbox, session=True),
    Operation("open", m.OpenRequest, m.OpenAnswer, session=True),
    Operation("begin_passkey", m.Empty, p.PasskeyChallenge, session=True),
    Operation("finish_passkey", p.NewPasskey, m.Empty, session=True),
    Operation("begin_assertion", m.Empty, p.PasskeyChallenge, session=True),
    Operation("finish_assertion", p.PasskeyAnswer, p.Confirmed, session=True),
    Operation("passkeys", m.Empty, p.Passkeys, session=True),
    Operation("remove_passkey", p.PasskeyQuery, m.Empty, session=True),
    Operation("set_each_session", p.EachSession, m.Empty, session=True),
)
