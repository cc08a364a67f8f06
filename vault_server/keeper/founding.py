"""Making a keeper: its keys, its empty store, its card. Done once; done again, it changes only the card."""

from pathlib import Path
from urllib.parse import urlsplit

from crypto.wire.keeper_api import KeeperCard
from vault_server.http_client import check_url
from vault_server.keeper.keys import (
    CARD,
    Keys,
    have_keys,
    load_card,
    load_keys,
    make_cosigning_key,
    make_sealing_key,
    write_card,
)
from vault_server.keeper.store import Store


async def found(data: Path, *, url: str, name: str | None, operator: str | None) -> KeeperCard:
    """The card of the keeper in ``data``, made now if there is none, to be reached at ``url``.

    Without ``name`` or ``operator`` those of an earlier card stay; else both come from the address. Raises NotPermitted
    for an address that may not be used, Malformed for a name that cannot stand before a signature.
    """
    check_url(url)
    earlier = load_card(data) if (data / CARD).exists() else None
    keys = load_keys(data) if have_keys(data) else await _made(data)
    place = urlsplit(url).netloc
    card = keys.card(
        name=name or (earlier.name if earlier else f"{place}/coffre/keeper"),
        url=url.rstrip("/"),
        operator=operator or (earlier.operator if earlier else place),
    )
    if card != earlier:
        write_card(data, card)
    return card


async def _made(data: Path) -> Keys:
    # The store is there before the keys are complete, so complete keys without a store mean that it was lost.
    cosigning = make_cosigning_key(data)
    store = await Store.open(data, cosigning.public.key_id, founding=True)
    await store.close()
    return Keys(cosigning, make_sealing_key(data))
