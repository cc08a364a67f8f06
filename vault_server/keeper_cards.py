"""The cards of keepers that the operator names, as a trust root takes them in.

How many there are fixes how many must sign. Which of them somebody else runs is the operator's own claim: nothing here can
check it, and clients say whose word it is.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from crypto.encoding import decode
from crypto.errors import NotPermitted
from crypto.trust_root import Keeper, policy_of
from crypto.wire.keeper_api import KeeperCard
from vault_server.http_client import check_url
from vault_server.store.files import read_whole


def read_keepers(cards: Sequence[Path], independent: Collection[str] = ()) -> tuple[Keeper, ...]:
    """The keepers of the files ``cards``, those named in ``independent`` as run by somebody else.

    Raises Damaged or Malformed for a file that is no card, NotPermitted for a number of keepers that no policy is for, for two
    that cannot be told apart, for an address that may not be used, and for a name in ``independent`` that none of them has.
    """
    policy_of(len(cards))
    keepers = tuple(as_keeper(read_card(path), independent) for path in cards)
    for what, those in (
        ("name", [keeper.name for keeper in keepers]),
        ("address", [keeper.url for keeper in keepers]),
        ("cosigning key", [keeper.cosigning_key for keeper in keepers]),
        ("sealing key", [keeper.sealing_key for keeper in keepers]),
    ):
        if len(set(those)) != len(those):
            raise NotPermitted(
                f"Two keepers have the same {what}. Nothing was made or started. Give the card of each keeper once; init "
                "makes cards with names and addresses of their own."
            )
    for keeper in keepers:
        check_url(keeper.url)
    names = {keeper.name for keeper in keepers}
    for name in independent:
        if name not in names:
            raise NotPermitted(
                f"No keeper is called {name}. Nothing was made or started. The cards name: {', '.join(sorted(names))}."
            )
    return keepers


def read_card(path: Path) -> KeeperCard:
    """The card in the file ``path``. Raises Damaged when there is none, Malformed when it is something else."""
    return decode(read_whole(path).strip(), KeeperCard)


def as_keeper(card: KeeperCard, independent: Collection[str] = ()) -> Keeper:
    """A keeper as the trust root names it."""
    return Keeper(
        name=card.name,
        cosigning_key=card.cosigning_key,
        sealing_key=card.sealing_key,
        url=card.url,
        operator=card.operator,
        independent=card.name in independent,
        retired_until=None,
    )
