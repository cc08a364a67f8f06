"""Opening granted documents, many under one request: one entry in the patient's log, one question to each keeper.

The ciphertexts are fetched under that request, some at a time. One that is missing or spoilt keeps back its own document
and no other; a request that is refused is refused as a whole, and nobody says for which of its documents.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from crypto.descriptors import document_context
from crypto.errors import CoffreError, Conflict, NotPermitted, Refusal, Stale, Unavailable
from crypto.grants import Act
from crypto.padding import padded_length
from crypto.pieces import ciphertext_length
from crypto.requests import MAX_DOCUMENTS, Purpose, read_request
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.wire.messages import CiphertextQuery
from vault_client.ciphertext_spool import decrypt_file, in_thread
from vault_client.granted_document import GrantedDocument
from vault_client.opening import LoggedRequest, Opener, Wanted
from vault_client.progress import Progress
from vault_client.received_grants import ReceivedGrant, ReceivedGrants
from vault_client.service import Service
from vault_client.spool import fetched_spool
from vault_client.transfer import Download
from vault_client.unfinished_readings import UnfinishedReadings

# Ciphertexts fetched and opened at a time: one waits for the line while another is deciphered.
AT_ONCE: Final = 4


class Fetched(NamedTuple):
    """A document whose ciphertext came and whose key was released. That they belong together is still to be found."""

    document: GrantedDocument
    ct_root: bytes
    ciphertext: Path
    key: SecretBytes


Use = Callable[[Fetched, Progress | None], Awaitable[None]]


class Opening(NamedTuple):
    """A document to be opened, and what is done with it. ``use`` raises CannotOpen for what does not verify."""

    document: GrantedDocument
    use: Use


class KeptBack(NamedTuple):
    """A document that was not opened. ``whole_request``: because the request that named it came to nothing.

    ``in_log``: that request is proved to be in the patient's log, as allowed.
    """

    document: GrantedDocument
    why: CoffreError
    whole_request: bool
    in_log: bool = False


async def write(fetched: Fetched, destination: Path, progress: Progress | None) -> None:
    """Decipher a document beside ``destination``, which it becomes when all of it holds. Raises as ``decrypt_file``."""
    listed = fetched.document.document
    await in_thread(
        lambda report: decrypt_file(
            fetched.ciphertext,
            destination,
            key=fetched.key,
            context=document_context(fetched.document.vault, listed.doc, listed.ver),
            ct_root=fetched.ct_root,
            length=listed.length,
            progress=report,
        ),
        progress,
    )


class Reading:
    """What one profile opens."""

    def __init__(
        self,
        service: Service,
        grants: ReceivedGrants,
        opener: Opener,
        release: Callable[[LoggedRequest], Awaitable[list[SecretBytes]]],
        unfinished: UnfinishedReadings,
        spool: Path,
    ) -> None:
        """``release``: asks the keepers for the keys of a request. ``spool``: the folder for ciphertext under way."""
        self._service = service
        self._grants = grants
        self._opener = opener
        self._release = release
        self._unfinished = unfinished
        self._spool = spool

    async def open(
        self, openings: Sequence[Opening], act: Act, purpose: Purpose, progress: Progress | None
    ) -> list[KeptBack]:
        """Open documents, up to 256 of one grant under each request. Returns those that were kept back.

        Each request is in the patient's log before a byte under it is answered. One that was cut off is gone on with:
        what came of the ciphertexts is kept, and for some minutes the request too, so that the log has one entry for
        both. Once a request is not answered at all, no further one is made.
        """
        report = _Report(openings, progress)
        kept_back: list[KeptBack] = []
        silent: Unavailable | None = None
        for grant, batch in self._batches(openings):
            allowed = []
            for opening in batch:
                why = silent or self._not_to_be_asked(grant, opening.document, act)
                if why is None:
                    allowed.append(opening)
                else:
                    kept_back.append(KeptBack(opening.document, why, silent is not None))
            if not allowed:
                continue
            docs = dict.fromkeys(opening.document.document.doc for opening in allowed)
            logged: LoggedRequest | None = None
            try:
                wanted = [self._wanted(grant, doc) for doc in docs]
                logged = await self._logged(grant, wanted, act, purpose)
                kept_back += await self._under_one_request(logged, allowed, report)
            except CoffreError as error:
                in_log = logged is not None
                kept_back += [KeptBack(opening.document, error, True, in_log) for opening in allowed]
                silent = error if isinstance(error, Unavailable) else None
        return kept_back

    def _batches(self, openings: Sequence[Opening]) -> Iterator[tuple[ReceivedGrant, list[Opening]]]:
        """Those of one grant together, at most as many as a request may name."""
        of_grants: dict[bytes, list[Opening]] = {}
        for opening in openings:
            of_grants.setdefault(opening.document.gid, []).append(opening)
        for gid, batch in of_grants.items():
            for start in range(0, len(batch), MAX_DOCUMENTS):
                yield self._grants.get(gid), batch[start : start + MAX_DOCUMENTS]

    def _not_to_be_asked(
        self, grant: ReceivedGrant, document: GrantedDocument, act: Act
    ) -> NotPermitted | None:
        """Why a request for ``document`` would be refused for certain: it would take the others of its batch with it."""
        if act not in grant.state.event.acts:
            return NotPermitted("The patient's grant does not allow this. Nothing was opened.")
        try:
            row = self._grants.row(grant.gid, document.document.doc)
        except NotPermitted as error:
            return error
        if row.ver != document.document.ver:
            return NotPermitted(
                "The list is older than the grant. Nothing was opened. Ask for the list again."
            )
        return None

    async def _under_one_request(
        self, logged: LoggedRequest, openings: Sequence[Opening], report: "_Report"
    ) -> list[KeptBack]:
        try:
            kept_back = await self._opened(logged, openings, report)
        except Refusal:
            self._unfinished.end(logged.digest)
            raise
        if not any(isinstance(each.why, Unavailable) for each in kept_back):
            self._unfinished.end(logged.digest)
        return kept_back

    def _wanted(self, grant: ReceivedGrant, doc: bytes) -> Wanted:
        row = self._grants.row(grant.gid, doc)
        return Wanted(doc=row.doc, ver=row.ver, ct_root=row.ct_root, wrap=row.wrap)

    async def _logged(
        self, grant: ReceivedGrant, wanted: Sequence[Wanted], act: Act, purpose: Purpose
    ) -> LoggedRequest:
        """A request that is in the log: the one of a reading that was cut off, where it still serves, or a new one."""
        documents = [each.requested(grant.state.event.rekey) for each in wanted]
        earlier = self._unfinished.find(grant, documents, act, purpose, self._service.now())
        if earlier is not None:
            all_of_it = [self._wanted(grant, each.doc) for each in read_request(earlier).documents]
            with suppress(Conflict, Stale):  # too long ago, by the server's clock
                return await self._sent(grant, all_of_it, earlier)
        envelope = await self._opener.sign(grant, wanted, act, purpose)
        self._unfinished.begin(purpose, envelope)
        return await self._sent(grant, wanted, envelope)

    async def _sent(
        self, grant: ReceivedGrant, wanted: Sequence[Wanted], envelope: Envelope
    ) -> LoggedRequest:
        try:
            return await self._opener.logged(grant, wanted, envelope)
        except Refusal:
            self._unfinished.end(envelope.digest)
            raise

    async def _opened(
        self, logged: LoggedRequest, openings: Sequence[Opening], report: "_Report"
    ) -> list[KeptBack]:
        """Ask the keepers while the ciphertexts are fetched, and open each document that has both."""
        room = asyncio.Semaphore(AT_ONCE)
        releasing = asyncio.ensure_future(self._release(logged))
        places = {each.doc: place for place, each in enumerate(logged.wanted)}

        async def open_one(opening: Opening) -> KeptBack | None:
            place = places[opening.document.document.doc]
            try:
                async with room:
                    if releasing.done():
                        releasing.result()  # raises what the keepers refused: nothing more is fetched then
                    await self._open_one(logged, place, opening, releasing, report.of(opening))
            except CoffreError as error:
                return KeptBack(opening.document, error, False, in_log=True)
            return None

        at_work = [asyncio.create_task(open_one(opening)) for opening in openings]
        try:
            kept_back = [each for each in await asyncio.gather(*at_work) if each is not None]
            await releasing
        finally:
            for task in (releasing, *at_work):
                task.cancel()
            await asyncio.wait([releasing, *at_work])
        return kept_back

    async def _open_one(
        self,
        logged: LoggedRequest,
        place: int,
        opening: Opening,
        releasing: "asyncio.Future[list[SecretBytes]]",
        progress: Progress | None,
    ) -> None:
        wanted, document = logged.wanted[place], opening.document
        length = ciphertext_length(padded_length(document.document.length))
        with fetched_spool(self._spool, wanted.ct_root) as spool:
            query = CiphertextQuery(vault=None, request=logged.digest, ver=wanted.ver, start=0)
            download = Download(self._service.api, spool, query, length, progress)
            fetching = asyncio.create_task(download.fetch())
            try:
                keys, _ = await asyncio.gather(asyncio.shield(releasing), fetching)
            finally:
                # A refusal by the keepers must end the download too, before its file is removed.
                fetching.cancel()
                await asyncio.wait([fetching])
            fetched = Fetched(document, wanted.ct_root, spool, keys[place])
            await download.opened(lambda: opening.use(fetched, progress))


class _Report:
    """How far several documents have come together. Each is told of twice, on its way here and when it is opened."""

    def __init__(self, openings: Sequence[Opening], progress: Progress | None) -> None:
        self._progress = progress
        self._total = sum(opening.document.document.length for opening in openings)
        self._done: dict[tuple[bytes, bytes], int] = {}

    def of(self, opening: Opening) -> Progress | None:
        """What is told of one of them."""
        if self._progress is None:
            return None
        name, length = (opening.document.gid, opening.document.document.doc), opening.document.document.length

        def report(done: int, _: int) -> None:
            self._done[name] = max(self._done.get(name, 0), min(done, length))
            if self._progress is not None:
                self._progress(sum(self._done.values()), self._total)

        return report
