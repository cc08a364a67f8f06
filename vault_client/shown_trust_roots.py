"""The trust roots that a server shows: the first one that a device believes, and those that follow from it.

What is returned was verified whole, and stands nowhere yet: believing and keeping it is for ``service``.
"""

from collections.abc import Sequence

import msgspec

from crypto import trust_root_chain
from crypto.encoding import Body
from crypto.errors import NotPermitted, NotProven, Refusal, TooMany, Unavailable, Unreachable
from crypto.signing import Envelope
from crypto.trust_root import InstanceCard
from crypto.wire.messages import TrustRootQuery
from crypto.wire.vault_api import VaultApi


class TrustRecord(Body, frozen=True):
    """The newest verified trust root. ``pinned``: the first one came by an instance card."""

    url: str
    envelope: Envelope
    pinned: bool


Shown = tuple[TrustRecord, Sequence[Envelope]]


async def first_root(api: VaultApi, url: str, card: InstanceCard | None) -> Shown:
    """What the server at ``url`` shows to a device that believes none yet.

    Raises NotPermitted when it is not the one on the card, NotProven or BadSignature for what was not signed as it must be.
    """
    since = card.root.version - 1 if card is not None else 0
    chain = (await api.trust_roots(TrustRootQuery(since=since))).chain
    if not chain:
        raise NotProven("The server shows no trust root. Nothing was believed.")
    accepted = trust_root_chain.first(chain[0], card=card.root if card is not None else None)
    trust_root_chain.advance(accepted, chain[1:])
    return TrustRecord(url=url, envelope=chain[-1], pinned=card is not None), chain


async def next_root(api: VaultApi, record: TrustRecord) -> Shown:
    """The trust root in force, as the server shows it to follow from that of ``record``.

    Raises Unreachable when it answers nothing, NotPermitted when it is another service, and NotProven or BadSignature for
    what was not signed by those who had to.
    """
    accepted = trust_root_chain.first(record.envelope, card=None)
    try:
        shown = (await api.trust_roots(TrustRootQuery(since=accepted.ref.version - 1))).chain
    except (TooMany, Unavailable) as error:
        raise Unreachable(str(error)) from None  # it says that it cannot: as good as silent, and no lie
    except Refusal as error:  # its own words have no place in an alarm about it
        raise NotProven("It shows no trust root that can be read.") from error
    if not shown or shown[0] != record.envelope:
        raise NotPermitted(
            "Another service answers at this address than the one this profile belongs to. Nothing was done. Ask its "
            "operator where your service is now."
        )
    trust_root_chain.advance(accepted, shown[1:])
    return msgspec.structs.replace(record, envelope=shown[-1]), shown
