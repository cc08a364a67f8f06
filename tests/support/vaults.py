"""Records to test with, their chains folded in memory."""

from collections.abc import Sequence
from typing import Any

import msgspec

from crypto import labels
from crypto.encoding import Body
from crypto.identity_chain import Known
from crypto.sealed.unsealing import UnsealingKey
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope, sign
from crypto.vault_chain import Changes, VaultHead, VaultView, follow, found
from crypto.vault_links import Genesis, Rotate, VaultLink, person_commitment, scan_key_commitment
from tests.support.people import LOG, Person, Service, fresh


class Epoch:
    """The secrets of one epoch of a record."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.secret = SecretBytes.random()
        self.scan_key = SecretBytes.random()
        self.log_key = UnsealingKey.generate()
        self.deposit_key = UnsealingKey.generate()

    @property
    def step(self) -> Rotate:
        """The operation that starts it."""
        return Rotate(
            epoch=self.number,
            keyring=fresh(),
            scan_key=scan_key_commitment(self.scan_key.reveal()),
            log_key=self.log_key.public,
            deposit_key=self.deposit_key.public,
            category_keys=(),
        )


class Vault:
    """A record with its chain folded in memory."""

    def __init__(self, service: Service, holders: Sequence[Person], rule: int = 1) -> None:
        self.service, self.holders, self.rule = service, list(holders), rule
        self.epochs = [Epoch(0)]
        self.genesis = Genesis(
            suite=labels.SUITE,
            holders=tuple(holder.identity for holder in holders),
            rule=rule,
            person=person_commitment(fresh(), "someone"),
            origin=LOG,
            slot=0,
            random=fresh(),
            continues=None,
            keyring=self.epochs[0].step,
            signers=tuple(holder.known().ref for holder in holders[:rule]),
            view=service.view,
        )
        self.signed_genesis = self.sign(labels.GENESIS, self.genesis)
        self.view = VaultView(head=self._founded(), documents={}, grants={}, blocked={})

    @property
    def id(self) -> bytes:
        """The record's id."""
        return self.view.head.vault

    @property
    def epoch(self) -> Epoch:
        """The present epoch."""
        return self.epochs[-1]

    @property
    def signing_holders(self) -> list[Person]:
        """As many holders as have to sign."""
        return self.holders[: self.rule]

    @property
    def known(self) -> list[Known]:
        """The signing holders, at the newest head of the directory."""
        return [holder.known() for holder in self.signing_holders]

    def sign(self, label: str, body: Body) -> Envelope:
        """Sign by the first device of each signing holder."""
        return sign(label, body, *(holder.device.signing for holder in self.signing_holders))

    def body(self, *operations: Body, **changes: Any) -> VaultLink:
        """The body of the next link."""
        body = VaultLink(
            suite=labels.SUITE,
            vault=self.id,
            n=self.view.head.n + 1,
            prev=self.view.head.link,
            signers=tuple(known.ref for known in self.known),
            operations=operations,  # type: ignore[arg-type]
            view=self.service.view,
        )
        return msgspec.structs.replace(body, **changes)

    def link(self, *operations: Body, **changes: Any) -> Envelope:
        """The next link, signed but not followed."""
        return self.sign(labels.VAULT_LINK, self.body(*operations, **changes))

    def add(self, *operations: Body) -> Changes:
        """Sign the next link and follow it."""
        changes = follow(self.view, self.link(*operations), self.known)
        self.view = VaultView(
            head=changes.head,
            documents={**self.view.documents, **changes.documents},
            grants={**self.view.grants, **changes.grants},
            blocked={**self.view.blocked, **changes.blocked},
        )
        return changes

    def rotate(self) -> None:
        """Start a new epoch."""
        epoch = Epoch(self.epoch.number + 1)
        self.add(epoch.step)
        self.epochs.append(epoch)

    def _founded(self) -> VaultHead:
        return found(self.signed_genesis, self.known).head
