"""Deposits to test with: a card as the patient makes it, and deposits as its depositor does."""

from typing import Any

import msgspec

from crypto import labels, sealing
from crypto.deposits import Deposit, DepositCard, Deposited, Standing, seal_document_key
from crypto.encoding import encode
from crypto.grants import ReleasePolicy, subset_name
from crypto.locators import Locator
from crypto.sealed.policy_blob import Seed
from crypto.sealed.standing import (
    CardSecrets,
    SealedStanding,
    StandingPolicy,
    StandingWrapper,
    seal_card_secrets,
    seal_share_a,
    seal_standing_policy,
    standing_share,
)
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, sign
from crypto.statements import part_hash
from tests.support.grants import GrantedDocument, policy_over
from tests.support.people import DAY, LOG, NOW, Person, fresh
from tests.support.vaults import Vault


class DepositMaker:
    """A card for one depositor, and what is deposited with it; each honest unless a test changes it."""

    def __init__(self, vault: Vault, depositor: Person, k: int = 1, n: int = 1) -> None:
        self.vault, self.depositor, self.service = vault, depositor, vault.service
        self.k, self.n = k, n
        self.category = UnsealingKey.generate()
        self.secrets = CardSecrets(locator_key=fresh(), categories=("Biologie",))
        self.share_a = SecretBytes.random()
        self.card = self.body()
        self.signed_card = vault.sign(labels.DEPOSIT_CARD, self.card)

    @property
    def policy(self) -> ReleasePolicy:
        """The release policy, without blobs."""
        return policy_over(self.service, self.k, self.n)

    def body(self, **changes: Any) -> DepositCard:
        """The card's body."""
        known, card = self.depositor.known(), fresh()
        number, policy = known.state.reading_key, self.policy
        reading = self.depositor.reading[number].public
        body = DepositCard(
            suite=labels.SUITE,
            vault=self.vault.id,
            genesis=encode(self.vault.genesis),
            origin=LOG,
            card=card,
            depositor=known.ref,
            reading_key=number,
            epoch=self.vault.epoch.number,
            deposit_key=self.vault.epoch.deposit_key.public,
            category_keys=(self.category.public,),
            k=self.k,
            n=self.n,
            keepers=policy.keepers,
            box=seal_card_secrets(
                reading, self.secrets, LOG, self.vault.id, card, known.ref.identity, number
            ),
            since=NOW,
            until=NOW + 90 * DAY,
            signers=tuple(signer.ref for signer in self.vault.known),
            view=self.service.view,
        )
        return msgspec.structs.replace(body, **changes)

    def place(self, document: GrantedDocument) -> Deposited:
        """Where a document deposited with the card belongs."""
        ids = (document.doc, document.ver, document.ct_root)
        return Deposited(LOG, self.vault.id, self.signed_card.digest, *ids)

    def deposit(self, document: GrantedDocument, **changes: Any) -> tuple[Deposit, Envelope]:
        """The manifest of a document, signed by the depositor."""
        place = self.place(document)
        body = Deposit(
            suite=labels.SUITE,
            **{name: value for name, value in place._asdict().items() if name != "card"},
            card=place.card,
            length=4096,
            descriptor=fresh(),
            key_box=seal_document_key(self.card.deposit_key, place, document.key),
            standing=self.standing(document)[0],
            slot_two=Locator(SecretBytes(self.secrets.locator_key), LOG).make(fresh(16)),
            time=NOW,
            signers=(self.depositor.known().ref,),
            view=self.service.view,
        )
        body = msgspec.structs.replace(body, **changes)
        return body, sign(labels.DEPOSIT, body, self.depositor.device.signing)

    def standing(self, document: GrantedDocument) -> tuple[Standing, list[SealedStanding], list[bytes]]:
        """How standing readers open a document, what each keeper is sent for it, and B."""
        place, policy = self.place(document), self.policy
        ids = (document.doc, document.ver, document.ct_root)
        seeds = [fresh() for _ in policy.subsets]
        keepers = {keeper.key_hash: keeper.sealing_key for keeper in self.service.root.keepers}
        category = sealing.key_hash(self.category.public)
        blobs = [
            seal_standing_policy(
                StandingPolicy(
                    origin=LOG,
                    category=category,
                    doc=document.doc,
                    ver=document.ver,
                    ct_root=document.ct_root,
                    seeds=tuple(
                        Seed(subset=subset_name(policy, subset), seed=seed)
                        for subset, seed in zip(policy.subsets, seeds, strict=True)
                        if number in subset
                    ),
                ),
                keepers[name],
                self.service.accepted.ref.digest,
            )
            for number, name in enumerate(policy.keepers)
        ]
        shares = [standing_share(SecretBytes(seed), *ids) for seed in seeds]
        named = msgspec.structs.replace(policy, blobs=tuple(part_hash(blob.box) for blob in blobs))
        made = Standing(
            category=category,
            a_box=seal_share_a(self.category.public, place, self.share_a),
            policy=named,
            wrap=StandingWrapper(self.share_a, place, category).wrap(document.key, shares, *ids),
        )
        return made, blobs, shares
