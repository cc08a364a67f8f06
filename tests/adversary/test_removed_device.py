"""A device that was stolen and then removed, and a server that lets it go on writing the record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from crypto import labels, vault_chain
from crypto.encoding import decode
from crypto.errors import BadSignature, NotProven
from crypto.grants import read_event
from crypto.signing import Envelope, sign
from crypto.statements import View
from crypto.vault_links import Mask, Tombstone, VaultLink
from crypto.wire.messages import Delivery, Links, LinkSubmission, MailboxQuery, ShownChain
from tests.adversary.story import Story, put_between
from tests.adversary.test_mailbox import deliver, is_taken_in, not_taken_in
from tests.adversary.test_record import unproved
from tests.adversary.test_restoration import Machine
from tests.support.lying_vault import LyingVault
from vault_client import received_grants
from vault_client.patient import Patient


class Theft:
    """The device of a story's patient is stolen; with the kit, the patient removes it and goes on with another."""

    def __init__(
        self, story: Story, before: View, shown: ShownChain, restored: Patient, vault: LyingVault
    ) -> None:
        self.story, self.before, self.shown, self.restored = story, before, shown, restored
        self.vault = vault

    def link(self, operation: Any, **changes: Any) -> Envelope:
        """A link that would follow, by the stolen device, which names the world from before its removal."""
        head, thief = self.restored.replica.local.head, self.story.patient
        link = VaultLink(
            suite=labels.SUITE,
            vault=head.vault,
            n=head.n + 1,
            prev=head.link,
            signers=(thief.own.known_at(thief.service, self.before.dir).ref,),
            operations=(operation,),
            view=self.before,
        )
        return sign(labels.VAULT_LINK, msgspec.structs.replace(link, **changes), thief.own.device)

    def show(self, *links: Envelope) -> None:
        """Have the server show the patient ``links``, once."""
        answers = [Links(links=links, more=False)]
        self.vault.forge("links", lambda _: answers.pop() if answers else Links(links=(), more=False))


@asynccontextmanager
async def stolen(story: Story) -> AsyncIterator[Theft]:
    """The story goes on after the theft: the record is under new keys, and the practitioner has the grant under them."""
    service = story.patient.service
    before, shown = (
        await service.view(story.origin),
        await service.prove_chain(story.patient.own.profile.chain),
    )
    async with await Machine(story, "restored").restored() as restored:
        assert await story.reader.sync() == []
        vault, _ = await put_between(restored.service)
        yield Theft(story, before, shown, restored, vault)


async def test_a_removed_device_writes_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A36, A43: a link that a removed device signs on the newest one, as of before its removal, deletes nothing."""
    doc = story.documents[0].doc
    async with stolen(story) as theft:
        replica = theft.restored.replica
        head = replica.local.head
        for link in (theft.link(Tombstone(doc=doc)), theft.link(Mask(doc=doc, masked=True))):
            theft.show(link)
            with pytest.raises(BadSignature, match="removed"):
                await replica.sync()
            # It is no news to the honest server either, though the head that is named is of the last ten minutes.
            with pytest.raises(BadSignature, match="removed"):
                await theft.vault.honest.append_link(
                    LinkSubmission(envelope=link, scan_key=None, tags=(), events=(), parts=())
                )
        assert (replica.local.head, len(theft.restored.documents())) == (head, 2)

        theft.vault.be_honest()
        await theft.restored.mask(doc)  # whoever is live goes on
        assert (await theft.restored.log()).alarms == ()

        with monkeypatch.context() as twin:
            twin.setattr(vault_chain, "check_not_removed", lambda *_: None)
            unproved(twin)
            theft.show(theft.link(Tombstone(doc=doc)))
            assert await replica.sync() == 1
            assert len(theft.restored.documents()) == 1


async def test_a_directory_that_is_not_there_is_not_named(story: Story) -> None:
    """A31: a link that names a directory larger than any is refused: all later ones would be judged by it."""
    async with stolen(story) as theft:
        view = await theft.restored.service.view(story.origin)
        ahead = msgspec.structs.replace(view.dir, size=view.dir.size + 1)
        own = theft.restored.own
        link = theft.link(
            Mask(doc=story.documents[0].doc, masked=True),
            view=msgspec.structs.replace(view, dir=ahead),
            signers=(own.known_at(theft.restored.service, view.dir).ref,),
        )
        theft.show(sign(labels.VAULT_LINK, decode(link.body, VaultLink), own.device))
        with pytest.raises(NotProven):
            await theft.restored.replica.sync()


async def newest(story: Story) -> Delivery:
    """The newest true delivery: the grant under its new keys."""
    return (await story.reader_vault.honest.mailbox(MailboxQuery(after=0))).deliveries[-1]


async def test_a_removed_device_grants_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A14, A22: an event that a removed device signs as of before its removal is not taken in, whichever chain is shown."""
    async with stolen(story) as theft:
        true = await newest(story)
        last, thief = read_event(true.envelope), story.patient
        event = msgspec.structs.replace(
            last,
            j=last.j + 1,
            prev=true.envelope.digest,
            a_box=None,
            signers=(thief.own.known_at(thief.service, theft.before.dir).ref,),
            view=theft.before,
        )
        forged = sign(labels.GRANT_EVENT, event, thief.own.device)
        service = theft.restored.service
        whole = await service.prove_chain(theft.restored.own.profile.chain)
        for chain in (theft.shown, whole):
            await not_taken_in(story, msgspec.structs.replace(true, envelope=forged, chains=(chain,)))
        with monkeypatch.context() as twin:
            twin.setattr(received_grants, "check_not_removed", lambda *_: None)
            await is_taken_in(story, msgspec.structs.replace(true, envelope=forged, chains=(whole,)))


async def test_a_live_device_goes_on_granting(story: Story) -> None:
    """The control: what the patient grants after the theft, of this grant or anew, is taken in."""
    async with stolen(story) as theft:
        source = story.folder / "later.txt"
        source.write_bytes(b"later")
        document = await theft.restored.add(source)
        await theft.restored.extend(story.grant.entry.gid, [document.doc])
        await theft.restored.authorise(await story.reader.card(), [document.doc])
        assert await story.reader.sync() == []
        assert await deliver(story) == []
        assert (await theft.restored.log()).alarms == ()
