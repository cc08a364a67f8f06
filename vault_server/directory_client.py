"""The directory as the registrar meets it: its newest head, and links published there and proven.

The server answers; what it says counts as far as the trust root on the operator's own card, the log's signature and
the keepers' cosignatures prove it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crypto import trust_root_chain
from crypto.access_log import Disclosure
from crypto.checkpoint import open_checkpoint
from crypto.encoding import Body, decode, encode
from crypto.errors import Malformed, NotProven, Refusal
from crypto.locators import directory_slot
from crypto.quorum import quorum_times
from crypto.receipt import Receipt
from crypto.signing import Envelope
from crypto.statements import Head, View
from crypto.trust_root import Accepted, InstanceCard, TrustRoot
from crypto.wire.messages import Logged, PublishLink, TrustRootChain, TrustRootQuery
from crypto.wire.problems import Problem, error_of
from crypto.wire.vault_api import PREFIX
from vault_server.http_client import HttpAnswer, HttpClient, check_url
from vault_server.media_types import JSON

SECONDS = 30
MAX_ANSWER = 1 << 24


class DirectoryClient:
    """The directory of one service. ``connected`` makes one."""

    def __init__(self, client: HttpClient, accepted: Accepted) -> None:
        self._client, self.accepted = client, accepted
        self._key = self.root.log_key_of(self.root.directory_origin)

    @property
    def root(self) -> TrustRoot:
        """The newest trust root."""
        return self.accepted.root

    async def view(self) -> View:
        """What a signer of this moment has seen: the directory's newest head. Raises NotProven."""
        note = _body(await self._client.get("/coffre/directory/checkpoint", MAX_ANSWER))
        checkpoint = open_checkpoint(note, self._key)
        quorum_times(self.root, note)
        head = Head(size=checkpoint.size, root=checkpoint.root)
        return View(trust_root=self.accepted.ref, dir=head, seen=head)

    async def publish(self, envelope: Envelope) -> Logged:
        """Have a link without parts appended to its chain; what is answered is to be given to ``prove``."""
        answer = await _ask(self._client, "publish_link", PublishLink(envelope=envelope, parts=()))
        return decode(answer, Logged, limit=MAX_ANSWER)

    def prove(self, logged: Logged, envelope: Envelope, identity: bytes, n: int) -> Disclosure:
        """That ``envelope`` stands in the directory as link ``n`` of ``identity``. Raises NotProven."""
        shown = logged.disclosure
        try:
            receipt = Receipt.decode(logged.receipt)
            receipt.verify(shown.leaf(envelope).to_bytes(), self._key)
            quorum_times(self.root, receipt.note)
            place = (shown.index, directory_slot(self._key.name, identity, n), "accepted")
            if (receipt.index, shown.slot_one, shown.part.outcome) != place:
                raise NotProven("A log entry stands elsewhere than it should. It was not believed.")
        except Refusal:
            raise NotProven(
                "The server's answer does not prove that the link stands in the directory; it may or may not. "
                "Ask for a new card, which shows it if it does, and find out why the server gives no proof."
            ) from None
        return shown


@asynccontextmanager
async def connected(card: InstanceCard) -> AsyncIterator[DirectoryClient]:
    """The directory of the service that ``card`` names, whose trust roots are fetched now and verified."""
    check_url(card.url)
    client = HttpClient(card.url, SECONDS)
    try:
        answer = await _ask(client, "trust_roots", TrustRootQuery(since=card.root.version - 1))
        chain = decode(answer, TrustRootChain, limit=MAX_ANSWER).chain
        if not chain:
            raise Malformed("The server showed no trust root. Nothing was published.")
        first = trust_root_chain.first(chain[0], card=card.root)
        yield DirectoryClient(client, trust_root_chain.advance(first, chain[1:]))
    finally:
        await client.close()


async def _ask(client: HttpClient, operation: str, query: Body) -> bytes:
    return _body(await client.post(f"{PREFIX}/{operation}", JSON, encode(query), MAX_ANSWER))


def _body(answer: HttpAnswer) -> bytes:
    """The answer's body. Raises what its problem document says, when it is one."""
    if answer.status != 200:
        raise error_of(decode(answer.body, Problem))
    return answer.body
