"""How one version of the trust root follows another: signed by the thresholds of both, and taking nothing back.

So a client that holds one version can follow to the newest, and a server cannot swap anything in it. The first version
comes by its digest on the instance card; without a card it is trusted on first use, and the client says so.
"""

from collections.abc import Sequence

import msgspec

from crypto import labels
from crypto.encoding import decode
from crypto.errors import BadSignature, BrokenChain, NotPermitted
from crypto.signing import Envelope, key_id, verify, verify_keys
from crypto.statements import RootRef
from crypto.trust_root import Accepted, TrustRoot, check_sound


def first(envelope: Envelope, *, card: RootRef | None) -> Accepted:
    """Believe a first trust root: by the card's digest, or, without a card, on first use (the caller says so).

    A later version may also bear signatures by the keys of the one before; unknown here, they are not looked at.
    """
    body = decode(envelope.body, TrustRoot)
    ref = RootRef(version=body.version, digest=envelope.digest)
    if card is not None and card != ref:
        raise NotPermitted(
            "The server's trust root is not the one on the instance card. Nothing was believed."
        )
    own = verify_keys(*body.root_keys)
    by_own = tuple(signature for signature in envelope.signatures if signature.key in own)
    _check_signed(msgspec.structs.replace(envelope, signatures=by_own), body)
    check_sound(body)
    return Accepted(root=body, ref=ref)


def advance(current: Accepted, chain: Sequence[Envelope]) -> Accepted:
    """Follow ``chain`` from ``current`` to its end: versions grow by one, each signed by both thresholds."""
    for envelope in chain:
        body = _next(current, envelope)
        _check_signed(envelope, current.root, body)
        check_sound(body)
        _check_continuity(current.root, body)
        current = Accepted(root=body, ref=RootRef(version=body.version, digest=envelope.digest))
    return current


def missing_signatures(current: Accepted, envelope: Envelope) -> tuple[int, int]:
    """How many signatures a proposed next version lacks: by the keys of ``current``, and by its own.

    All else that ``advance`` checks is checked, and raises as it does there; none of it is to be believed before both are 0.
    """
    body = _next(current, envelope)
    missing = _missing(envelope, current.root, body)
    check_sound(body)
    _check_continuity(current.root, body)
    return missing[0], missing[1]


def _next(current: Accepted, envelope: Envelope) -> TrustRoot:
    """The body of the version after ``current``. Raises BrokenChain when it is another."""
    body = decode(envelope.body, TrustRoot)
    if body.version != current.ref.version + 1 or body.previous != current.ref.digest:
        raise BrokenChain("A new trust root does not follow from the known one. The known one was kept.")
    return body


def _check_signed(envelope: Envelope, *judges: TrustRoot) -> None:
    """``envelope`` carries the threshold of each of ``judges``, and nobody else's signature."""
    if any(_missing(envelope, *judges)):
        raise BadSignature("A trust root is signed by too few of its keys. It was not believed.")


def _missing(envelope: Envelope, *judges: TrustRoot) -> tuple[int, ...]:
    """How many signatures each of ``judges`` misses. Raises BadSignature for one by a key that none of them names."""
    keys = verify_keys(*(key for judge in judges for key in judge.root_keys))
    signed = verify(envelope, labels.TRUST_ROOT, keys)
    return tuple(
        max(0, judge.threshold - len(signed & set(map(key_id, judge.root_keys)))) for judge in judges
    )


def _check_continuity(known: TrustRoot, body: TrustRoot) -> None:
    """Raises NotPermitted when ``body`` takes back what was believed of registrars, keepers and logs under ``known``."""
    now = {entry.key: entry for entry in body.registrars}
    for before in known.registrars:
        after = now.get(before.key)
        if (
            after is None
            or not set(before.schemes) <= set(after.schemes)
            or before.retired_since not in (None, after.retired_since)
        ):
            raise NotPermitted(
                "A new trust root takes back what a registrar was allowed. The known one was kept."
            )
    listed = {(entry.cosigning_key, entry.sealing_key): entry.retired_until or 0 for entry in body.keepers}
    for keeper in known.keepers:
        until = listed.get((keeper.cosigning_key, keeper.sealing_key))
        if until is None or until < (keeper.retired_until or 0):
            raise NotPermitted(
                "A new trust root leaves out a keeper of the known one, or what a retired one was to go on doing. The known "
                "one was kept."
            )
    directory = body.newest_origin(known.directory_origin)
    moved = body.hosts[0] != known.hosts[0] and not directory.startswith(f"{body.hosts[0]}/")
    if not set(known.successors) <= set(body.successors) or body.directory_origin != directory or moved:
        raise NotPermitted(
            "A new trust root has other logs than the known one, and names no successor for them. The known one was "
            "kept."
        )
