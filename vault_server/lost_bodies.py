"""What is lost when entries are there and what they commit to is not: noted once, and what waits for it until it is shown.

A link of an identity is found by its slot one; what belongs to a record, by the record's scan key. So the server knows which
identity and which record must not go on, and which entry a record's next one follows, without knowing what was in it.
"""

from crypto.access_log import FIRST, parse_leaf
from crypto.errors import Lacking
from crypto.locators import Locator, SlotColumn
from crypto.secret_bytes import SecretBytes
from crypto.wire.losses import Loss
from vault_server.store import leaves as leaf_rows
from vault_server.store import losses as rows
from vault_server.store import vaults as vault_rows
from vault_server.store.database import Statements
from vault_server.store.vaults import VaultRow

BLOCK = 4096


async def note(db: Statements, origin: str, loss: Loss, *, directory: bool) -> None:
    """Note a loss, and which identities and records of a log it concerns. No slot given out in it is given out again."""
    await rows.add(db, origin, loss)
    if directory:
        for start in range(loss.start, loss.end, BLOCK):
            leaves = await leaf_rows.leaves(db, origin, start, min(BLOCK, loss.end - start))
            parsed = enumerate(map(parse_leaf, leaves), start)
            await rows.add_links(db, [(leaf.slot_one, index) for index, leaf in parsed if leaf is not None])
        return
    known = 0
    for vault in await vault_rows.in_log(db, origin):
        row = await vault_rows.vault(db, vault)
        known += await find(db, row, loss.start - 1)
    # Whoever founded a record in it has one of the other entries.
    await leaf_rows.give_out(db, origin, loss.end - loss.start - known)
    await vault_rows.forget_reservations(db, origin)


async def find(db: Statements, vault: VaultRow, after: int) -> int:
    """Note the entries of a record that are lost, behind entry ``after``, under its scan key; returns how many.

    The record's next entry follows the newest of all.
    """
    head, found = vault.head, 0
    locator = Locator(SecretBytes(vault.scan_key), head.origin)
    for loss in await rows.of_log(db, head.origin):
        for start in range(max(loss.start, after + 1), loss.end, BLOCK):
            leaves = await leaf_rows.leaves(db, head.origin, start, min(BLOCK, loss.end - start))
            places = locator.find(SlotColumn(b"".join(leaves), 1))
            await rows.add_entries(db, head.vault, head.keys.epoch, [start + place for place in places])
            found += len(places)
    newest = await rows.newest_entry(db, head.vault)
    if newest is not None and (leaves := await leaf_rows.leaves(db, head.origin, newest, 1)):
        leaf = parse_leaf(leaves[0])
        await vault_rows.set_last(db, head.vault, FIRST if leaf is None else leaf.commitment)
    return found


async def waits(db: Statements, vault: VaultRow) -> bool:
    """Whether something may be lost that came after the record's newest link."""
    if not await rows.unshown(db, vault.head.vault, -1, 1):
        return False
    newest = await vault_rows.link_leaves(db, vault.head.vault, vault.head.n)
    return bool(await rows.unshown(db, vault.head.vault, newest[-1].index, 1))


async def check_whole(db: Statements, vault: VaultRow) -> None:
    """Raises Lacking while something may be lost that came after the record's newest link."""
    if await waits(db, vault):
        raise lacking()


def lacking() -> Lacking:
    """What is raised where the server must not go on."""
    return Lacking(
        "The service lost its newest data: its log has an entry here, and the service no longer has what that says. Nothing was "
        "done. The device that made it gives it back when Coffre is next used there. If no device has it, ask the service's operator."
    )
