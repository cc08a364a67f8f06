"""Every operation's limits: how long a body may be, how long each list, how often somebody may ask."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as kinds
from msgspec.structs import replace

from crypto.encoding import Body, decode, encode
from crypto.errors import Malformed, TooLarge, TooMany
from crypto.wire import messages as m
from crypto.wire.problems import Problem
from crypto.wire.vault_api import OPERATIONS, PREFIX
from tests.contract.in_process import Clock, CosigningKeeper, InProcess, log_in, serving
from tests.contract.record_story import Stored, founded
from tests.contract.vault_story import World
from tests.strategies import all_kinds, bodies
from tests.wire.effort import examples
from vault_server.app import make_app
from vault_server.limits import Buckets
from vault_server.routes import notices
from vault_server.routes.ciphertext import MAX_PART, MAX_QUERY
from vault_server.settings import Limits, Rate

BODIES = [
    *((f"POST {PREFIX}/{each.name}", each.limit) for each in OPERATIONS),
    (f"POST {PREFIX}/ciphertext", MAX_QUERY),
    (f"POST {PREFIX}/notices", notices.MAX_QUERY),
    (f"PUT {PREFIX}/part", MAX_PART),
]


@pytest.fixture
def keeper() -> CosigningKeeper:
    """A keeper that cosigns, at a time that stands still."""
    return CosigningKeeper(Clock())


@pytest.fixture
async def running(tmp_path: Path, keeper: CosigningKeeper) -> AsyncIterator[InProcess]:
    """A vault."""
    async with serving(tmp_path, keeper) as service:
        yield service


@pytest.fixture
def world(running: InProcess) -> World:
    """Everybody."""
    return World(running)


@pytest.fixture
async def client(running: InProcess, world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a session, and a record to send parts to."""
    record, stored = await founded(world), Stored.random()
    query = m.PartUpload(vault=record.id, ver=stored.ver, length=len(stored.data), number=0)
    headers = {
        "authorization": f"Bearer {(await log_in(running, record.holder)).token}",
        "coffre-query": base64.urlsafe_b64encode(encode(query)).decode().rstrip("="),
    }
    transport = httpx.ASGITransport(app=make_app(running.vault))  # type: ignore[arg-type]
    async with httpx.AsyncClient(
        transport=transport, base_url="http://vault.example", headers=headers
    ) as made:
        yield made


async def test_every_body_has_its_longest(client: httpx.AsyncClient) -> None:
    """One byte more than an operation takes is refused by its announcement alone; as many as it takes are not too many."""
    for operation, limit in BODIES:
        method, path = operation.split()
        kind = "application/octet-stream" if method == "PUT" else "application/json"

        async def announced(length: int, method: str = method, path: str = path, kind: str = kind) -> str:
            headers = {"content-type": kind, "content-length": str(length)}
            answer = await client.request(method, path, content=_nothing(), headers=headers)
            return decode(answer.content, Problem).type

        assert await announced(limit + 1) == "coffre:too-large", operation
        assert await announced(limit) == "coffre:malformed", operation


async def _nothing() -> AsyncIterator[bytes]:
    yield b"x"


def _lists(kind: type[Body]) -> list[tuple[str, int]]:
    """The fields of ``kind`` that are lists, with the most that each may hold (0: as many as the body)."""
    found = []
    info = kinds.type_info(kind)
    assert isinstance(info, kinds.StructType)
    for field in info.fields:
        types = field.type.types if isinstance(field.type, kinds.UnionType) else (field.type,)
        found += [
            (field.encode_name, each.max_length or 0)
            for each in types
            if isinstance(each, kinds.VarTupleType)
        ]
    return found


BOUNDED = [(kind, name, most) for kind in all_kinds() for name, most in _lists(kind) if most]
# As long as the body that holds them.
AS_LONG_AS_THE_BODY = {
    # Where they are used they must be those of a policy, of signers, of documents asked for, of a service's hosts.
    *("ReleasePolicy.keepers", "ReleasePolicy.subsets", "ReleasePolicy.blobs", "DepositCard.keepers"),
    *("EventSubmission.blobs", "EventSubmission.chains", "Release.subsets", "SubsetShares.shares"),
    *(
        "LoginStatement.hosts",
        "RootLoginStatement.hosts",
        "PolicyBlob.acts",
        "PolicyBlob.excluded",
        "ListingBody.documents",
    ),
    # A holder's own, of a manifest of at most 64 MiB
    *("ExportManifest.documents", "ExportManifest.grants", "ExportManifest.alarms", "ExportManifest.files"),
    "ExportedGrant.documents",
    # The operator's, under the keys of the service
    *("TrustRoot.never_granted", "TrustRoot.successors", "Registrar.schemes"),
    # Answers, which clients hold to a length, and which the server cuts into pages
    *("TrustRootChain.chain", "LinkAccepted.logged", "Links.links", "Openings.openings", "OpenAnswer.blobs"),
    *("StoredEvent.blobs", "Mailbox.deliveries", "Delivery.chains", "PartAnswer.parts", "UploadStatus.parts"),
    # Folded from signed links, and never sent
    *("GrantState.holders", "VaultHead.holders", "Document.versions"),
    *("IdentityState.hard_stops", "Waiting.operations", "Waiting.signers"),
}


@pytest.mark.parametrize(
    ("kind", "name", "most"), BOUNDED, ids=lambda value: getattr(value, "__name__", str(value))
)
@examples(1)
@given(data=st.data())
def test_a_list_has_its_longest(kind: type[Body], name: str, most: int, data: st.DataObject) -> None:
    """A list of as many entries as it may hold is read, one of one more is refused."""
    made = data.draw(bodies(kind).filter(lambda body: getattr(body, name)))
    longest = getattr(made, name)[:1] * most
    full = encode(replace(made, **{name: longest}))
    assert len(getattr(decode(full, kind, limit=1 << 30), name)) == most
    with pytest.raises(Malformed):
        decode(encode(replace(made, **{name: longest + longest[:1]})), kind, limit=1 << 30)


def test_every_other_list_is_bounded_by_what_it_is_compared_with() -> None:
    """No list of a message or body is without a bound by oversight."""
    open_ones = {f"{kind.__name__}.{name}" for kind in all_kinds() for name, most in _lists(kind) if not most}
    assert open_ones == AS_LONG_AS_THE_BODY


async def test_every_party_has_its_allowance(running: InProcess, world: World) -> None:
    """An account that asks too often is refused until time has passed, and nobody else is; so is who founds too often."""
    person, other = await world.person(), await world.person()
    vault = running.vault
    vault.accounts = Buckets(Rate(1, 3), vault.clock)
    api = await running.api(person)
    for _ in range(3):
        await api.mailbox(m.MailboxQuery(after=0))
    with pytest.raises(TooMany):
        await api.mailbox(m.MailboxQuery(after=0))
    await (await running.api(other)).mailbox(m.MailboxQuery(after=0))
    running.keeper.clock.now += 1
    await api.mailbox(m.MailboxQuery(after=0))
    vault.founding = Buckets(Rate(1, 1), vault.clock)
    await world.person()
    with pytest.raises(TooMany):
        await world.person()


async def test_an_account_has_so_many_records_and_a_record_so_much(
    tmp_path: Path, keeper: CosigningKeeper
) -> None:
    """Records of an account, versions under way and bytes of a record have their most."""
    limits = Limits(vaults_an_account=1, open_uploads=2, vault_bytes=20_000)
    async with serving(tmp_path, keeper, limits=limits) as service:
        record = await founded(World(service))
        api = await record.holder.api()
        with pytest.raises(TooMany):
            await api.reserve(m.Empty())
        with pytest.raises(TooLarge):
            await record.upload(Stored.random(20_000))
        one, two, three = (Stored.random(100) for _ in range(3))
        await record.upload(one)
        await record.upload(two)
        with pytest.raises(TooMany):
            await record.upload(three)
        await record.append(await record.submission(one.step(), parts=one.parts))
        await record.upload(three)
