"""Getting a vault back with the kit, once its holder's identity is: links, keyrings and log must agree before a write.

Every link is followed from the genesis, each rotation's keyring opened with the kit and checked against the one before
it. Then the witnessed log is scanned with the keys found: what the server left out of the links stands there. Only when
all agree is a new epoch started, which whoever has a lost device knows nothing of, and each grant keyed anew under it. A
cut leaves a record that can be read and not written; the same run again starts with the genesis.
"""

from crypto import labels, vault_chain
from crypto.encoding import decode
from crypto.errors import NotFound, NotPermitted, NotProven
from crypto.sealed.keyring import VaultKeyring, check_first_keyring, open_keyring
from crypto.sealed.recovery import Kit
from crypto.signing import Envelope
from crypto.vault_links import Genesis, vault_id
from crypto.wire.messages import Empty, LinkQuery, LinkSubmission
from vault_client import trust, vault_parts
from vault_client.audit import Audit
from vault_client.audit_losses import LOST_UNKNOWN
from vault_client.audit_report import AuditReport
from vault_client.change_queue import ChangeQueue
from vault_client.device_store import DeviceStore
from vault_client.entries_left import settle_entries
from vault_client.identity_recovery import RECOVERING
from vault_client.local_vault import LocalVault, ToBeRestored
from vault_client.own_identity import OwnIdentity
from vault_client.service import Service
from vault_client.sharing import Sharing
from vault_client.trust import BelievedHead
from vault_client.vault_replica import VaultReplica
from vault_client.vault_rotation import rotate

# What these say is that links and log are not one; the other alarms are about somebody's reading, and hinder nothing.
DISAGREEMENTS = frozenset({"FORK", "UNLOGGED", "WITHHELD", "BAD_OPENING", "CHAIN"})


# What people read
LOST_CHANGES = (
    "The service declares to have lost its newest data. What {count} of this record in its log say is shown by nobody, and may be "
    "changes: documents added or deleted, a grant's end. The record can be read here, and was not changed. Ask the operator what "
    "was lost. To go on without them, which cannot be undone, restore again with --without-lost"
)


async def restore_vault(
    store: DeviceStore, service: Service, own: OwnIdentity, kit: Kit, *, without_lost: bool = False
) -> None:
    """Restore the vault of ``own`` into ``store``, where an earlier run may have begun.

    ``without_lost``: although the service declares to have lost what may be changes of the record.
    Raises NotProven when links, keyrings and log do not agree; then nothing was written, and nothing will be until a
    run finds that they do.
    """
    restoring = store.get("restoring", ToBeRestored)
    if restoring is None:
        return
    replica = VaultReplica(store, service, own, kit.unlock)
    _start_over(store, replica)
    vault = restoring.vault if restoring.vault is not None else await _held(service)
    await _take_in_genesis(store, service, own, kit, vault, replica)
    await replica.sync()
    await _check_log_goes_on(service, replica)
    report = await Audit(store, service, own, replica).run()
    _check_agreement(report, without_lost=without_lost)
    if report.losses:
        await settle_entries(service, own, replica)
    await rotate(service, own, replica)
    # What is refused stays under the old keys, which ``renew`` says again whenever it is asked.
    await Sharing(store, service, own, replica, ChangeQueue(store, service.now)).changes.renew()
    with store.transaction():
        store.delete("restoring")
        store.delete(RECOVERING)


def _start_over(store: DeviceStore, replica: VaultReplica) -> None:
    """Forget what an earlier run was shown: it came to no end, so nothing of it has to be true."""
    with store.transaction():
        replica.entries.forget_all()
        for group in (
            "vault",
            "link",
            "document",
            "withheld",
            "grant",
            "grant-entry",
            "blocked",
            "audit",
            "audited",
            "reported",
            "waiting-since",
            "gone",
            "entry",
            "alarm",
            "finding",
            "terms",
        ):
            for name in store.names(group):
                store.delete(name)


async def _held(service: Service) -> bytes:
    """The vault that one holds; of several, which an enrolment cut short leaves behind, the one with most links."""
    vaults = (await service.api.held_vaults(Empty())).vaults
    if not vaults:
        raise NotFound("A record of yours")
    sizes = {}
    for vault in vaults:
        page = await service.api.links(LinkQuery(vault=vault, since=0))
        sizes[vault] = (page.more, len(page.links))
    return max(vaults, key=lambda vault: sizes[vault])


async def _take_in_genesis(
    store: DeviceStore,
    service: Service,
    own: OwnIdentity,
    kit: Kit,
    vault: bytes,
    replica: VaultReplica,
) -> None:
    links = (await service.api.links(LinkQuery(vault=vault, since=0))).links
    if not links or vault_id(links[0].body) != vault:
        raise NotProven(
            "The server shows another founding than the record's. Nothing was taken in. Try again."
        )
    envelope: Envelope = links[0]
    genesis = decode(envelope.body, Genesis)
    service.root.log_key_of(genesis.origin)  # a log of another host is refused before anything is asked of it
    if genesis.holders != (own.identity,):
        raise NotPermitted("This record is not held by you alone. It was not restored.")
    changes = vault_chain.found(envelope, [own.known_at(service, genesis.view.dir)])
    named = genesis.keyring.keyring
    part = (await vault_parts.fetched(service, vault, [named]))[named]
    keyring = open_keyring(labels.VAULT_KEYRING, VaultKeyring, part, kit.unlock)
    check_first_keyring(keyring, genesis)
    with store.transaction():
        store.put("vault", LocalVault(genesis=envelope, head=changes.head, keyring=keyring))
        store.put("link/0", envelope)
    scan_key = keyring.epochs[0].scan_key
    replica.entries.keep_sent(
        0, LinkSubmission(envelope=envelope, scan_key=scan_key, tags=(), events=(), parts=(part,))
    )


async def _check_log_goes_on(service: Service, replica: VaultReplica) -> None:
    """The log shown goes on from the head that the newest keyring pins. Raises NotProven."""
    pinned = BelievedHead(origin=replica.origin, head=replica.local.keyring.head, time=0)
    believed = await service.refresh(replica.origin)
    if believed.head.size < pinned.head.size:
        raise NotProven(
            "The log shown is older than the one the kit knows. Nothing was restored. Ask the operator."
        )
    path = await service.reader.consistency(replica.origin, pinned.head.size, believed.head.size)
    trust.advance(pinned, believed, path)


def _check_agreement(report: AuditReport, *, without_lost: bool) -> None:
    alarms = [alarm for alarm in report.alarms if alarm.code in DISAGREEMENTS]
    lost = [alarm for alarm in alarms if alarm.text == LOST_UNKNOWN]
    if alarms and alarms == lost:
        if not without_lost:
            raise NotProven(LOST_CHANGES.format(count=len(lost)))
    elif alarms:
        raise NotProven(
            f"The record and its log do not agree: {alarms[0].text} The record can be read here, and was not changed. Ask "
            "the operator, or someone you trust; then restore again."
        )
