"""The keys under which the entries of this record are found in the log."""

from collections.abc import Iterable
from typing import Final

from crypto.locators import Locator, end_tag, event_tag
from crypto.sealed import shares
from crypto.secret_bytes import SecretBytes
from vault_client.kept_vault import KeptVault
from vault_client.local_vault import LocalGrant
from vault_client.log_scan import ScanKeys, Tagged

AHEAD: Final = 8
"""How many events of a grant are looked for beyond the newest that this device knows: another that knows Ke can have made them."""


def scan_keys(vault: KeptVault, looked_for: Iterable[LocalGrant]) -> ScanKeys:
    """Those of every epoch and of the grants ``looked_for``, with the tags of their events and ends."""
    origin, local = vault.origin, vault.local
    grants, tags = {}, {}
    for grant in looked_for:
        gid = grant.entry.gid
        first = SecretBytes(vault.epoch(grant.entry.epoch_first).secret)
        grants[gid] = Locator(shares.grant_key(first, gid), origin)
        end_key = shares.end_key(first, gid)
        for j in range(grant.entry.j + 1 + AHEAD):
            tags[event_tag(end_key, origin, gid, j)] = Tagged(gid, j)
        tags[end_tag(end_key, origin, gid)] = Tagged(gid, None)
    found = tuple(Locator(SecretBytes(keys.scan_key), origin) for keys in local.keyring.epochs)
    return ScanKeys(vault=found, grants=grants, tags=tags)
