"""The registrar's acts against a running service: what it publishes is proven, and what it gave it can take back."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from crypto import labels
from crypto.access_log import FIRST, Disclosure, Leaf, ServerPart
from crypto.checkpoint import TEN_MINUTES, cosign
from crypto.errors import NotProven
from crypto.identity_chain import fold
from crypto.identity_links import Chain, Keyring
from crypto.identity_state import IdentityState
from crypto.locators import directory_slot
from crypto.receipt import Receipt
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import Envelope, SigningKey, sign
from crypto.statements import part_hash
from crypto.trust_root import Accepted, InstanceCard, Policy, card_text
from crypto.wire import cards
from crypto.wire import messages as m
from crypto.wire.keeper_api import KeeperCard
from tests.contract.in_process import InProcess
from tests.contract.vault_story import Person, World, fresh
from tests.support.log_server import serving
from tests.support.people import NOW
from tests.support.people import Person as Someone
from tests.support.small_log import LoggedService
from vault_server.__main__ import main
from vault_server.app import make_app
from vault_server.directory_client import DirectoryClient
from vault_server.http_client import HttpClient
from vault_server.instance import card_file, read_key
from vault_server.register import NAME

Act = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def act(running: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Act]:
    """Types a registrar's command about somebody's card as it is now: exit code, and what was printed."""
    async with serving(make_app(running.vault)) as url:
        card = InstanceCard(suite=labels.SUITE, url=url, root=running.root.ref)
        card_file(running.vault.settings).write_text(card_text(card))

        async def type_(word: str, person: Person, *more: str) -> tuple[int, str]:
            chain = await newest_chain(person)
            path = tmp_path / "card.json"
            shown = cards.IdentityCard(suite=labels.SUITE, url=url, chain=chain)
            path.write_text(cards.card_text(shown))
            words = ["registrar", word, str(path), "--data", str(tmp_path), "--subject", "demo:1", *more]
            code = await asyncio.to_thread(main, words)
            said = capsys.readouterr()
            return code, said.out + said.err

        yield type_


async def newest_chain(person: Person) -> Chain:
    """Somebody's chain with what others have added to it."""
    return await (await person.api()).identity_chain(m.IdentityQuery(identity=person.identity))


WHO = ("--name", "Dr Exemple", "--profession", "general practitioner")


async def state_of(world: World, person: Person) -> IdentityState:
    """What the directory says of somebody."""
    return fold(await newest_chain(person), world.directory, world.root.registrar_keys())


async def test_a_certificate_is_withdrawn(world: World, act: Act, tmp_path: Path) -> None:
    """Renewed certificates go together, the subject is free for another identity, and there is nothing to take twice."""
    one, other = await world.person(), await world.person()
    assert (await act("certify", one, *WHO))[0] == 0
    assert (await act("certify", one, *WHO, "--days", "30"))[0] == 0
    code, said = await act("certify", other, *WHO)
    assert (code, "--replace" in said) == (1, True)
    code, said = await act("withdraw", other)
    assert (code, "holds no certificate for demo:1" in said) == (1, True)

    code, said = await act("withdraw", one, "--json")
    assert (code, json.loads(said.splitlines()[-1])["links"]) == (0, [1, 2])
    assert not (await state_of(world, one)).certificates
    code, said = await act("withdraw", one)
    assert (code, "Nothing was withdrawn" in said) == (1, True)
    assert (await act("certify", other, *WHO))[0] == 0
    assert (await state_of(world, other)).certificates
    lines = [json.loads(line) for line in (tmp_path / "operator" / NAME).read_text().splitlines()]
    assert [line["until"] == 0 for line in lines] == [False, False, True, False]


async def test_a_certificate_of_another_subject_stays(world: World, act: Act) -> None:
    """Only the subject that is named is withdrawn."""
    person = await world.person()
    for subject in ("demo:1", "demo:2"):
        assert (await act("certify", person, *WHO, "--subject", subject))[0] == 0
    assert (await act("withdraw", person))[0] == 0
    (kept,) = (await state_of(world, person)).certificates.values()
    assert kept.statement.subject == "demo:2"


@pytest.mark.parametrize(
    ("field", "said"), [("retired_since", "has retired"), ("expiry", "trust root has expired")]
)
async def test_a_registrar_that_nobody_believes_publishes_nothing(
    running: InProcess, world: World, act: Act, field: str, said: str
) -> None:
    """Once it has retired, or the trust root that names it has expired, it says so before it signs."""
    person, own = await world.person(), running.vault.instance
    (registrar,) = own.root.registrars
    retired = {"registrars": (msgspec.structs.replace(registrar, retired_since=1),)}
    changes = retired if field == "retired_since" else {"expiry": 1}
    body = msgspec.structs.replace(own.root, version=2, previous=own.ref.digest, **changes)
    key = read_key(running.vault.settings.operator_folder / "root.key")
    object.__setattr__(own, "trust_roots", (*own.trust_roots, sign(labels.TRUST_ROOT, body, key)))
    for word, more in (("certify", WHO), ("withdraw", ())):
        code, told = await act(word, person, *more)
        assert (code, said in told) == (1, True), told


async def test_what_the_server_does_not_prove_is_not_certified(
    world: World, act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer without proof ends in words; the register keeps what may have been published."""
    publish = DirectoryClient.publish

    async def tampered(client: DirectoryClient, envelope: Envelope) -> m.Logged:
        logged = await publish(client, envelope)
        return msgspec.structs.replace(
            logged, disclosure=msgspec.structs.replace(logged.disclosure, salt=fresh())
        )

    monkeypatch.setattr(DirectoryClient, "publish", tampered)
    code, said = await act("certify", await world.person(), *WHO)
    assert (code, "does not prove" in said) == (1, True)
    assert len((tmp_path / "operator" / NAME).read_text().splitlines()) == 1


class LyingDirectory:
    """A service of which a test can log and sign anything, and a link that somebody published there."""

    def __init__(self) -> None:
        self.signing = SigningKey.generate()
        card = KeeperCard(
            name="keeper-0",
            cosigning_key=self.signing.public.raw,
            sealing_key=UnsealingKey.generate().public,
            url="http://127.0.0.1:1",
            operator="a test",
        )
        self.service = LoggedService(card)
        self.log = self.service.directory.log
        self.person = Someone(self.service)
        self.envelope = self.person.link(Keyring(keyring=part_hash(fresh())))

    def answer(self, *, n: int = 1, outcome: str = "accepted", witnessed: bool = True) -> m.Logged:
        """Log the link and prove it, truly but for what a test wants otherwise."""
        part = ServerPart(body=self.envelope.digest, time=NOW, outcome=outcome, prev=FIRST)  # type: ignore[arg-type]
        shown = Disclosure(
            index=len(self.log.leaves),
            slot_one=directory_slot(self.log.origin, self.person.identity, n),
            slot_two=fresh(),
            salt=fresh(),
            part=part,
        )
        leaf: Leaf = shown.leaf(self.envelope)
        self.log.append(leaf.to_bytes())
        note = self.log.note()
        if witnessed:
            note += cosign(self.log.checkpoint(), "keeper-0", self.signing, NOW)
        receipt = self.log.receipt(shown.index, note, len(self.log.leaves))
        return m.Logged(receipt=receipt, disclosure=shown)

    def believe(self, logged: m.Logged, accepted: Accepted | None = None) -> Disclosure:
        """Look at an answer as the registrar does, under ``accepted`` instead of the service's own trust root."""
        client = DirectoryClient(HttpClient("http://127.0.0.1:1", 1), accepted or self.service.accepted)
        return client.prove(logged, self.envelope, self.person.identity, 1)


def test_an_honest_proof_is_believed() -> None:
    """A leaf in its place, under a head that the log signed and its keeper cosigned."""
    directory = LyingDirectory()
    logged = directory.answer()
    assert directory.believe(logged) == logged.disclosure


def test_cosignatures_count_together_only_if_dated_together() -> None:
    """Of four keepers three must have cosigned within ten minutes of each other."""
    directory = LyingDirectory()
    keys = [SigningKey.generate() for _ in range(4)]
    root = directory.service.accepted.root
    keepers = tuple(
        msgspec.structs.replace(root.keepers[0], name=f"keeper-{n}", cosigning_key=key.public.raw)
        for n, key in enumerate(keys)
    )
    root = msgspec.structs.replace(root, keepers=keepers, policies=(Policy(k=3, n=4),))
    accepted = Accepted(root=root, ref=directory.service.accepted.ref)
    logged = directory.answer(witnessed=False)

    def cosigned(*times: int) -> m.Logged:
        checkpoint, note = directory.log.checkpoint(), directory.log.note()
        for n, time in enumerate(times):
            note += cosign(checkpoint, f"keeper-{n}", keys[n], time)
        receipt = directory.log.receipt(logged.disclosure.index, note, len(directory.log.leaves))
        return m.Logged(receipt=receipt, disclosure=logged.disclosure)

    assert directory.believe(cosigned(NOW, NOW, NOW - TEN_MINUTES), accepted) == logged.disclosure
    with pytest.raises(NotProven):
        directory.believe(cosigned(NOW, NOW, NOW - TEN_MINUTES - 1), accepted)


def _another_leaf(directory: LyingDirectory) -> m.Logged:
    first, second = directory.answer(), directory.answer()
    shown = msgspec.structs.replace(second.disclosure, index=first.disclosure.index)
    return m.Logged(receipt=first.receipt, disclosure=shown)


def _another_index(directory: LyingDirectory) -> m.Logged:
    logged = directory.answer()
    return m.Logged(
        receipt=logged.receipt,
        disclosure=msgspec.structs.replace(logged.disclosure, index=logged.disclosure.index + 1),
    )


def _another_log(directory: LyingDirectory) -> m.Logged:
    logged = directory.answer()
    receipt = Receipt.decode(logged.receipt)
    directory.log.key = SigningKey.generate()
    note = directory.log.note() + cosign(directory.log.checkpoint(), "keeper-0", directory.signing, NOW)
    forged = Receipt(receipt.index, receipt.path, note).encode()
    return m.Logged(receipt=forged, disclosure=logged.disclosure)


@pytest.mark.parametrize(
    "lie",
    [
        lambda directory: directory.answer(n=2),
        lambda directory: directory.answer(outcome="refused"),
        lambda directory: directory.answer(witnessed=False),
        lambda directory: m.Logged(receipt=b"none", disclosure=directory.answer().disclosure),
        _another_leaf,
        _another_index,
        _another_log,
    ],
    ids=["place", "outcome", "no keeper", "no receipt", "another leaf", "another index", "another log"],
)
def test_a_proof_of_something_else_is_refused(lie: Callable[[LyingDirectory], m.Logged]) -> None:
    """Each part of a proof counts: the place, the outcome, the keepers, the leaf, the log's signature."""
    directory = LyingDirectory()
    with pytest.raises(NotProven, match="does not prove"):
        directory.believe(lie(directory))
