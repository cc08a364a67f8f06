"""Opening with a witness: request, receipt, keepers, document keys.

The reader's checks before any keeper is asked (protocol.md section 5): the receipt is under policy; it proves just this
leaf; slot two is ours; C opens to our request; the outcome is ``granted``; the head is consistent with the last one
seen; the newest cosignature is less than ten minutes old. Any failure stops here, and nothing was released.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations

from crypto import labels, sealing
from crypto.encoding import encode
from crypto.errors import CannotOpen, NotProven
from crypto.grants import Act, SealedPolicy, check_blob
from crypto.locators import Locator
from crypto.padding import pad_record
from crypto.requests import AccessRequest, Purpose, RequestedDocument, purpose_info, read_request
from crypto.sealed.release import Release, combine, open_release
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, sign
from crypto.wire.keeper_api import KeeperApi, ReleaseQuery
from crypto.wire.messages import Logged, OpenRequest
from vault_client.own_identity import OwnIdentity
from vault_client.received_grants import ReceivedGrant
from vault_client.service import Service


@dataclass(frozen=True)
class Wanted:
    """A document or listing to open: its ids, its root, and its wrap in the grant."""

    doc: bytes
    ver: bytes
    ct_root: bytes
    wrap: bytes

    def requested(self, rekey: int) -> RequestedDocument:
        """How a request names it."""
        return RequestedDocument(doc=self.doc, ver=self.ver, ct_root=self.ct_root, rekey=rekey, deposit=None)


@dataclass(frozen=True)
class LoggedRequest:
    """A request that is proved to be in the patient's log."""

    grant: ReceivedGrant
    wanted: tuple[Wanted, ...]
    envelope: Envelope
    logged: Logged
    blobs: dict[bytes, SealedPolicy]

    @property
    def digest(self) -> bytes:
        """H(AR): under it the ciphertext may be fetched."""
        return self.envelope.digest

    @property
    def is_of_newest(self) -> bool:
        """Whether the keepers are asked under the event that is held here: they answer under the newest only."""
        return {blob.j for blob in self.blobs.values()} == {self.grant.state.event.j}


@dataclass(frozen=True)
class _Opened:
    """Document keys, and the keepers without whose answers they were opened."""

    keys: list[SecretBytes]
    left_out: tuple[bytes, ...]


class Opener:
    """Opens what was granted to one identity, by one of its devices."""

    def __init__(self, service: Service, own: OwnIdentity) -> None:
        self._service = service
        self._own = own

    async def request(
        self, grant: ReceivedGrant, wanted: Sequence[Wanted], act: Act, purpose: Purpose
    ) -> LoggedRequest:
        """``sign`` a request and have it ``logged``."""
        return await self.logged(grant, wanted, await self.sign(grant, wanted, act, purpose))

    async def logged(
        self, grant: ReceivedGrant, wanted: Sequence[Wanted], envelope: Envelope
    ) -> LoggedRequest:
        """Have a request logged, and verify that it is. Raises NotFound when refused, whatever the cause.

        One that was answered some minutes ago is answered again and not logged a second time; later it is Conflict.
        """
        answer = await self._service.api.open(OpenRequest(request=envelope))
        leaf = await self._service.believe_logged(
            grant.state.event.origin, answer.logged, envelope, "granted"
        )
        if leaf.slot_two != read_request(envelope).slot_two:
            raise NotProven(
                "The server logged the request where the patient cannot find it. Nothing was opened."
            )
        blobs = {blob.keeper: blob for blob in answer.blobs}
        for blob in blobs.values():
            if blob.j == grant.state.event.j:
                check_blob(grant.state.event.policy, blob)
        return LoggedRequest(grant, tuple(wanted), envelope, answer.logged, blobs)

    async def release(self, request: LoggedRequest) -> list[SecretBytes]:
        """Ask the keepers for their half and unwrap the keys of the request's documents, in order.

        All are asked, and none is waited for once the answers of k open every wrap. Where keepers' answers disagree, whole
        keepers are left out, at most n-k, until every wrap opens; the service's ``left_out`` names all that ever were.
        Raises NotFound when the keepers refuse, CannotOpen when nothing fits.
        """
        policy = request.grant.state.event.policy
        index, chain = request.logged.disclosure.index, self._own.profile.chain

        async def ask(name: bytes, keeper: KeeperApi) -> Release:
            if name not in request.blobs:
                raise NotProven("The server shows no policy for a keeper. That keeper was not asked.")
            query = ReleaseQuery(
                request=request.envelope,
                logged=request.logged,
                blob=request.blobs[name],
                reader=chain,
                team=None,
            )
            answer = await keeper.release(query)
            return open_release(self._own.unsealing, answer.box, request.digest, index, name)

        def opens(answers: dict[bytes, Release]) -> bool:
            return self._opened(request, answers) is not None

        answers = await self._service.ask_keepers(ask, policy.k, opens, named=policy.keepers)
        opened = self._opened(request, answers)
        if opened is None:
            raise CannotOpen("What was asked for")
        self._service.left_out.update(opened.left_out)
        return opened.keys

    def _opened(self, request: LoggedRequest, answers: dict[bytes, Release]) -> _Opened | None:
        """What opens, if anything does, with as few keepers left out as possible."""
        policy = request.grant.state.event.policy
        for count in range(len(answers) - policy.k + 1):
            for left_out in combinations(sorted(answers), count):
                remaining = {name: answer for name, answer in answers.items() if name not in left_out}
                with suppress(CannotOpen):
                    return _Opened(self._unwrap(request, remaining), left_out)
        return None

    def _unwrap(self, request: LoggedRequest, answers: dict[bytes, Release]) -> list[SecretBytes]:
        shares = combine(request.grant.state.event.policy, answers, len(request.wanted))
        wrapper = request.grant.wrapper()
        return [
            wrapper.unwrap(entry.wrap, share, entry.doc, entry.ver, entry.ct_root)
            for entry, share in zip(request.wanted, shares, strict=True)
        ]

    async def sign(
        self, grant: ReceivedGrant, wanted: Sequence[Wanted], act: Act, purpose: Purpose
    ) -> Envelope:
        """Sign a request. Nobody is asked for anything yet."""
        event, nonce = grant.state.event, secrets.token_bytes(16)
        info = purpose_info(event.origin, event.gid, nonce)
        locator = Locator(SecretBytes(grant.grant_key), event.origin)
        request = AccessRequest(
            suite=labels.SUITE,
            origin=event.origin,
            gid=event.gid,
            ghead=grant.state.digest,
            documents=tuple(entry.requested(event.rekey) for entry in wanted),
            act=act,
            identity=self._own.identity,
            device=self._own.device.public.key_id,
            team=None,
            time=self._service.now(),
            nonce=nonce,
            slot_two=locator.make(secrets.token_bytes(16)),
            purpose=sealing.seal(event.log_key, info, pad_record(encode(purpose))),
            view=await self._service.reading_view(event.origin),
        )
        return sign(labels.ACCESS_REQUEST, request, self._own.device)
