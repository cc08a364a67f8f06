"""What must not work, tried: each attempt of the demo ends in a refusal, in words, or the demo fails.

Some are by a reader with a changed SDK, some by a server that lies. The lies stand between the real SDK and the real
server, where a server of ill will would tell them.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from crypto.errors import CannotOpen, CoffreError, NotFound, NotProven, Unreachable
from crypto.wire.keeper_api import KeeperApi, ReleaseAnswer, ReleaseQuery
from crypto.wire.messages import CiphertextQuery, OpenAnswer, OpenRequest
from crypto.wire.vault_api import VaultApi
from vault_client.demo.cast import Doctor
from vault_client.granted_document import GrantedDocument
from vault_client.local_vault import LocalDocument, newest
from vault_client.opening import Opener, Wanted
from vault_client.patient import PatientDocument
from vault_client.practitioner import TREATMENT
from vault_client.service import Service


@dataclass(frozen=True)
class Attempt:
    """One attempt, and what came of it. ``held``: it was refused, as it had to be."""

    attempt: str
    error: str
    message: str
    held: bool


@dataclass(frozen=True)
class LoggedOpening:
    """An opening that was logged: its request, and what the server answered."""

    request: OpenRequest
    answer: OpenAnswer


class Between:
    """Stands between an SDK and the real server and passes everything on."""

    def __init__(self, api: VaultApi) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)


class _Watching(Between):
    """Remembers the last opening."""

    seen: LoggedOpening | None = None

    async def open(self, query: OpenRequest) -> OpenAnswer:
        answer = await self._api.open(query)
        self.seen = LoggedOpening(query, answer)
        return answer


class _Tampering(Between):
    """Changes one bit of every ciphertext."""

    async def ciphertext(self, query: CiphertextQuery) -> AsyncIterator[bytes]:
        changed = False
        async for chunk in self._api.ciphertext(query):
            spoilt = bytearray(chunk)
            spoilt[len(spoilt) // 2] ^= 0 if changed else 1
            changed = True
            yield bytes(spoilt)


class _SkippingTheLog(Between):
    """Logs nothing, and answers with the proof of an earlier opening."""

    asked: OpenRequest | None = None

    def __init__(self, api: VaultApi, earlier: LoggedOpening) -> None:
        super().__init__(api)
        self._earlier = earlier

    async def open(self, query: OpenRequest) -> OpenAnswer:
        self.asked = query
        return self._earlier.answer


async def watched(doctor: Doctor, document: GrantedDocument) -> LoggedOpening:
    """Open ``document`` as it should be, and return what was logged."""
    destination = doctor.folder / "opened-to-be-watched"
    watching = _Watching(doctor.sdk.service.api)
    with in_between(doctor.sdk.service, watching):
        await doctor.sdk.read(document, destination)
    destination.unlink()
    if watching.seen is None:
        raise Unreachable("The opening was not seen on its way. The demo cannot go on.")
    return watching.seen


async def not_granted(doctor: Doctor, held: GrantedDocument, other: LocalDocument) -> Attempt:
    """A changed SDK asks for a document that was never granted, with a wrap it made up."""
    version = newest(other.document)
    wanted = Wanted(
        doc=other.document.doc, ver=version.ver, ct_root=version.ct_root, wrap=secrets.token_bytes(48)
    )
    opener = Opener(doctor.sdk.service, doctor.sdk.own)
    request = opener.request(doctor.sdk.grants.get(held.gid), [wanted], "release", TREATMENT)
    return await attempted("not-granted", request, NotFound)


async def tampered(doctor: Doctor, document: GrantedDocument, destination: Path) -> Attempt:
    """The server changes one bit of the ciphertext."""
    with in_between(doctor.sdk.service, _Tampering(doctor.sdk.service.api)):
        attempt = await attempted("tampered", doctor.sdk.read(document, destination), CannotOpen)
    return with_nothing_released(attempt, destination)


async def unlogged(
    doctor: Doctor, document: GrantedDocument, earlier: LoggedOpening, destination: Path
) -> tuple[Attempt, Attempt]:
    """The server logs nothing and shows another proof; then a changed SDK does not look at the proof at all."""
    service = doctor.sdk.service
    skipping = _SkippingTheLog(service.api, earlier)
    with in_between(service, skipping):
        attempt = await attempted("log-skipped", doctor.sdk.read(document, destination), NotProven)
    if skipping.asked is None:
        raise Unreachable("The request was not seen on its way. The demo cannot go on.")
    disclosure = earlier.answer.logged.disclosure
    part = msgspec.structs.replace(disclosure.part, body=skipping.asked.request.digest)
    forged = msgspec.structs.replace(
        earlier.answer.logged, disclosure=msgspec.structs.replace(disclosure, part=part)
    )
    answer = msgspec.structs.replace(earlier.answer, logged=forged)
    direct = _ask_keepers(doctor, LoggedOpening(skipping.asked, answer))
    return with_nothing_released(attempt, destination), await attempted("receipt-skipped", direct, NotFound)


async def revoked(
    doctor: Doctor, document: GrantedDocument, earlier: LoggedOpening, destination: Path
) -> tuple[Attempt, Attempt]:
    """After the end: another reading, and the keepers asked again with the proof of an earlier one."""
    attempt = await attempted("revoked", doctor.sdk.read(document, destination), NotFound)
    again = await attempted("revoked-earlier-receipt", _ask_keepers(doctor, earlier), NotFound)
    return with_nothing_released(attempt, destination), again


def granted_to(documents: list[PatientDocument]) -> set[tuple[bytes, bytes]]:
    """What a listing must hold: the ids of documents and versions."""
    return {(document.doc, document.ver) for document in documents}


async def _ask_keepers(doctor: Doctor, opening: LoggedOpening) -> None:
    blobs = {blob.keeper: blob for blob in opening.answer.blobs}

    async def ask(name: bytes, keeper: KeeperApi) -> ReleaseAnswer:
        query = ReleaseQuery(
            request=opening.request.request,
            logged=opening.answer.logged,
            blob=blobs[name],
            reader=doctor.sdk.own.profile.chain,
            team=None,
        )
        return await keeper.release(query)

    await doctor.sdk.service.ask_keepers(ask, 1)


@contextmanager
def in_between(service: Service, between: Between) -> Iterator[None]:
    """Put ``between`` before the server, for the block."""
    real = service.api
    service.api = cast(VaultApi, between)
    try:
        yield
    finally:
        service.api = real


async def attempted(name: str, trying: Awaitable[object], expected: type[CoffreError]) -> Attempt:
    """What came of ``trying``, which must be refused with ``expected``."""
    try:
        await trying
    except CoffreError as error:
        return Attempt(name, type(error).__name__, str(error), isinstance(error, expected))
    return Attempt(name, "", "It was not refused.", held=False)


def with_nothing_released(attempt: Attempt, destination: Path) -> Attempt:
    """The same, unless something of the document was written after all."""
    left = destination.exists() or any(destination.parent.glob(".*.part"))
    return (
        Attempt(attempt.attempt, attempt.error, "It was refused, but something was written.", held=False)
        if left and attempt.held
        else attempt
    )
