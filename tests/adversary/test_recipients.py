"""A server that shows other keys than those of the person a patient wants to share with."""

import time
from typing import Any

import pytest

from crypto import identity_chain, labels
from crypto.access_log import FIRST, Disclosure, ServerPart
from crypto.errors import BadSignature, BrokenChain, CoffreError, NotPermitted, NotProven
from crypto.identity_links import AddDevice, AnyOperation, Certify, Chain, DisclosedLink, IdentityLink, Reset
from crypto.locators import directory_slot
from crypto.merkle import leaf_hash
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, SigningKey, sign
from crypto.wire.keeper_api import IdentityHead, IdentityHeadAnswer
from crypto.wire.messages import PublishLink
from tests.adversary.modified_sdk import fresh
from tests.adversary.story import Story
from tests.support.instance import Instance
from vault_client import trust
from vault_client.device_store import DeviceStore
from vault_client.grant_sending import GrantSending
from vault_client.practitioner import Practitioner
from vault_client.trust import Pin
from vault_server.instance import read_key
from vault_server.settings import Settings


async def not_shared(story: Story, reader: Practitioner, *errors: type[Exception]) -> None:
    """Nothing is granted to ``reader``, and nothing is sent to the server about it."""
    sent = len(story.patient_vault.asked("append_link"))
    card = await reader.card()
    with story.refused(*errors):
        await story.patient.authorise(card, [story.documents[0].doc])
    assert len(story.patient_vault.asked("append_link")) == sent


async def next_link(
    story: Story, chain: Chain, *steps: AnyOperation, signers: tuple[SigningKey, ...]
) -> Envelope:
    """A link that goes on from ``chain``."""
    body = IdentityLink(
        suite=labels.SUITE,
        identity=chain.ref.identity,
        n=len(chain.links),
        prev=chain.links[-1].envelope.digest,
        operations=steps,
        view=await story.patient.service.view(story.patient.service.root.directory_origin),
    )
    return sign(labels.IDENTITY_LINK, body, *signers)


def registrar(story: Story) -> SigningKey:
    """The instance's registrar, which its operator can be made to misuse."""
    return read_key(Settings(data=story.instance.data).operator_folder / "registrar.key")


def with_link(story: Story, chain: Chain, envelope: Envelope) -> Chain:
    """``chain`` and one link more, as a server shows it that has logged it."""
    origin = story.patient.service.root.directory_origin
    disclosure = Disclosure(
        index=chain.links[-1].disclosure.index + 1,
        slot_one=directory_slot(origin, chain.ref.identity, len(chain.links)),
        slot_two=fresh(),
        salt=fresh(),
        part=ServerPart(body=envelope.digest, time=int(time.time()), outcome="accepted", prev=FIRST),
    )
    return Chain(links=(*chain.links, DisclosedLink(envelope=envelope, disclosure=disclosure)))


def vouch_for_anything(story: Story, chain: Chain) -> None:
    """Have the keeper, which the operator owns, vouch that ``chain`` is complete."""
    origin = story.patient.service.root.directory_origin

    def answer(_: IdentityHeadAnswer) -> IdentityHeadAnswer:
        head = story.patient.service.believed(origin).head
        last = chain.links[-1]
        leaf = leaf_hash(last.disclosure.leaf(last.envelope).to_bytes())
        body = IdentityHead(
            identity=chain.ref.identity, n=len(chain.links) - 1, leaf=leaf, origin=origin, head=head
        )
        return IdentityHeadAnswer(envelope=sign(labels.IDHEAD, body, story.instance.keeper_key))

    story.patient_keeper.honest = _Vouching()
    story.patient_keeper.tamper("identity_head", answer)


class _Vouching:
    async def identity_head(self, query: Any) -> None:
        return None


async def test_somebody_elses_keys_are_not_taken(
    story: Story, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20: the chain of another certified person under the name on the card is refused, at first and later shares."""
    async with await instance.practitioner(story.folder / "attacker", subject="demo:2") as attacker:
        await story.patient.revoke(story.grant.entry.gid)
        story.patient_vault.replay("identity_chain", attacker.own.profile.chain)
        await not_shared(story, story.reader, NotPermitted)
        with monkeypatch.context() as twin:  # takes the name from the server instead of the card
            recipient = GrantSending.recipient
            twin.setattr(
                GrantSending, "recipient", lambda self, *_, **__: recipient(self, attacker.own.identity)
            )
            made = await story.patient.authorise(story.reader.own.card(story.reader.service), [_doc(story)])
            assert made.entry.recipient == attacker.own.identity


def _doc(story: Story) -> bytes:
    return story.documents[0].doc


async def test_a_device_that_its_owner_did_not_add_gets_nothing(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A23: a link that adds a device, signed by a stranger or by another identity, is refused, keeper's word or not."""
    chain = story.reader.own.profile.chain
    rogue = SigningKey.generate()
    added = AddDevice(signing=rogue.public.raw, sealing=UnsealingKey.generate().public)
    service = story.patient.service
    for signer in (rogue, story.patient.own.device):
        envelope = await next_link(story, chain, added, signers=(signer,))
        longer = with_link(story, chain, envelope)
        story.patient_vault.replay("identity_chain", longer)
        await not_shared(story, story.reader, CoffreError)
        vouch_for_anything(story, longer)
        await not_shared(story, story.reader, BadSignature)

    with monkeypatch.context() as twin:
        real = identity_chain.verify
        signers = {rogue.public.key_id, story.patient.own.device.public.key_id}
        own = story.reader.own.device.public.key_id

        def trusting(envelope: Envelope, label: str, keys: Any) -> frozenset[bytes]:
            return (
                frozenset([own, rogue.public.key_id])
                if set(envelope.signers) <= signers
                else real(envelope, label, keys)
            )

        twin.setattr(identity_chain, "verify", trusting)
        size = longer.links[-1].disclosure.index + 1
        known = trust.known_at(longer, size, service.root.directory_origin, service.root.registrar_keys())
        assert rogue.public.key_id in known.state.devices


async def test_an_older_chain_than_the_card_shows_is_refused(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20, A31: a chain cut short is refused by the keeper, and by the card even if the keeper lies."""
    await story.instance.certify(story.reader, story.folder / "card.json", "demo:3")
    await story.reader.sync()
    whole = story.reader.own.profile.chain
    shorter = Chain(links=whole.links[:-1])
    story.patient_vault.replay("identity_chain", shorter)
    await not_shared(story, story.reader, CoffreError)
    vouch_for_anything(story, shorter)
    await not_shared(story, story.reader, NotProven)

    with monkeypatch.context() as twin:
        twin.setattr(trust, "chain_extends", lambda old, new: None)
        known, _ = await story.patient._sharing._sending.recipient(whole.ref.identity, whole)
        assert known.ref.n == len(shorter.links) - 1


async def test_keys_that_were_reset_stop_sharing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A21: keys that a registrar reset are no reinstallation: sharing stops until the patient has met them again."""
    taken, chain = SigningKey.generate(), story.reader.own.profile.chain
    link = await next_link(story, chain, Reset(key=taken.public.raw), signers=(registrar(story), taken))
    await story.patient_vault.honest.publish_link(PublishLink(envelope=link, parts=()))
    story.patient.service.forget_directory()
    extra = await story.add(b"later", "later.txt")
    for attempt in (
        lambda: story.patient.extend(story.grant.entry.gid, [extra.doc]),
        lambda: story.patient.authorise(story.reader.own.card(story.reader.service), [extra.doc]),
    ):
        with story.refused(NotPermitted):
            await attempt()

    pin = story.patient._store.get(f"pin/{story.reader.own.identity.hex()}", Pin)
    with monkeypatch.context() as twin:
        twin.setattr(trust, "check_pin", lambda pin, known: None)
        await story.patient.authorise(story.reader.own.card(story.reader.service), [extra.doc])
    after = story.patient._store.get(f"pin/{story.reader.own.identity.hex()}", Pin)
    assert pin is not None
    assert after is not None
    assert after.root == taken.public.raw != pin.root


async def test_somebody_who_recovered_is_met_again(story: Story) -> None:
    """A21: a practitioner back from their kit gets nothing by an old card; by a new one, once the patient has asked them."""
    old, folder = story.reader.own.card(story.reader.service), story.folder / "again"
    store, kit = DeviceStore.create_with_key(folder, SecretBytes.random()), story.kits[1]
    restoring = Practitioner.restore(
        store, folder, kit=kit.kit, card=story.instance.card, identity=kit.identity, vault=None
    )
    async with await restoring as reader:
        assert await reader.sync() == []
        assert len(await reader.listing()) == len(story.documents)  # what was granted before still opens
        story.patient.service.forget_directory()
        extra, new = await story.add(b"later", "later.txt"), await reader.card()
        with pytest.raises(NotPermitted, match="whether it was they"):
            await story.patient.extend(story.grant.entry.gid, [extra.doc])
        for card, met_again in ((old, False), (new, False), (old, True)):
            with pytest.raises(NotPermitted, match="recovered or reset"):
                await story.patient.authorise(card, [extra.doc], met_again=met_again)
        await story.patient.authorise(new, [extra.doc], met_again=True)
        assert (await story.patient.extend(story.grant.entry.gid, [extra.doc])).reading_key == 1
        assert await reader.sync() == []
        listed = next(each for each in await reader.listing() if each.document.doc == extra.doc)
        await reader.read(listed, story.destination)
        assert story.destination.read_bytes() == b"later"


async def test_without_a_certificate_of_this_instance_nothing_is_shared(
    story: Story, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20, A26: nobody uncertified gets a grant, nor anybody whom a stranger certified."""
    async with await instance.practitioner(story.folder / "nobody", subject=None) as nobody:
        story.patient_vault.replay("identity_chain", nobody.own.profile.chain)  # as the server could serve it
        await not_shared(story, nobody, NotPermitted)
        now = int(time.time())
        statement = Certify(
            kind="practitioner", subject="demo:9", name="Dr X", profession="x", since=now, until=now + 9999
        )
        for key in (SigningKey.generate(), nobody.own.device):
            chain = nobody.own.profile.chain
            link = await next_link(story, chain, statement, signers=(key,))
            with pytest.raises(CoffreError):
                await story.patient_vault.honest.publish_link(PublishLink(envelope=link, parts=()))
            longer = with_link(story, chain, link)
            story.patient_vault.replay("identity_chain", longer)
            honest = story.patient_keeper.honest
            vouch_for_anything(story, longer)
            with story.refused(BadSignature, BrokenChain):
                await story.patient.authorise(nobody.own.card(nobody.service), [_doc(story)])
            story.patient_keeper.honest = honest
            story.patient_keeper.be_honest()

        story.patient_vault.replay("identity_chain", nobody.own.profile.chain)
        with monkeypatch.context() as twin:
            twin.setattr(trust, "certified_subject", lambda *_: ("demo:9", "Dr X"))
            story.patient_vault.heard.clear()
            with pytest.raises(NotPermitted):  # by the honest server: the twin had shared
                await story.patient.authorise(nobody.own.card(nobody.service), [_doc(story)])
            assert story.patient_vault.asked("append_link")
