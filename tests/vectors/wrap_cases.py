"""Vectors of the shares, wraps, rows, policy blobs and releases of grant.md."""

from collections.abc import Iterator
from typing import Any

import msgspec

from crypto import labels, sealing
from crypto.encoding import encode, number, pae
from crypto.grants import Act, Row, rows_root, subset_name
from crypto.sealed import shares
from crypto.sealed.policy_blob import PolicyBlob, Rate, Seed, seal_policy
from crypto.sealed.release import Release, SubsetShares
from crypto.sealed.wrapping import GrantWrapper
from crypto.secret_bytes import SecretBytes
from tests.vectors.case import Case
from tests.vectors.fixed import (
    CT_ROOT,
    GID,
    IDS,
    KEEPERS,
    LOG,
    NOW,
    SIGNED_ROOT,
    VAULT,
    fixed,
    flipped,
    hexed,
    policy,
    text_of,
    unsealing,
)


def wraps() -> Iterator[Case]:
    """Shares, wraps, rows, policy blobs and releases of grant.md."""
    fields: dict[str, Any] = hexed(
        epoch=fixed("epoch 1"),
        epoch_first=fixed("epoch"),
        vault=VAULT,
        gid=GID,
        recipient=fixed("recipient"),
        ct_root=CT_ROOT,
        document_key=fixed("document key"),
        **IDS,
    ) | {"rekey": 1, "reading_key": 2}
    acts: tuple[tuple[int, int, Act], ...] = ((1, 1, "release"), (3, 4, "release"), (3, 4, "list"))
    for k, n, act in acts:
        keepers = [key.hex() for key in policy(k, n).keepers]
        inputs = fields | {"k": k, "n": n, "keepers": keepers, "act": act}
        yield Case(f"wrap/{k}-of-{n}-{act}", "every secret on the way to a wrap", inputs)

    ruled = policy(3, 4)
    epoch, ids = SecretBytes(fixed("epoch 1")), {**IDS, "ct_root": CT_ROOT}
    a, seeds = shares.share_a(epoch, GID, 1), shares.seeds(epoch, GID, 1, ruled)
    b = shares.ShareB(seeds, "release", GID, 1).shares(**ids)
    wrapper = GrantWrapper(a, vault=VAULT, gid=GID, rekey=1, recipient=fixed("recipient"), reading_key=2)
    made = wrapper.wrap(SecretBytes(fixed("document key")), b, **ids)
    good = {name: fields[name] for name in ("vault", "gid", "recipient", "rekey", "reading_key")}
    good |= hexed(share_a=a.reveal(), wrap=made, **ids) | {"share_b": [share.hex() for share in b]}
    swapped = [b[1].hex(), b[0].hex(), *(share.hex() for share in b[2:])]
    changes: dict[str, tuple[str, dict[str, Any]]] = {
        "other-share": ("one share of B wrong", {"share_b": [bytes(32).hex(), *good["share_b"][1:]]}),
        "shares-in-another-order": ("the shares of B in another order", {"share_b": swapped}),
        "a-share-missing": ("a share of B missing", {"share_b": good["share_b"][:-1]}),
        "other-a": ("another A", hexed(share_a=bytes(32))),
        "other-rekey": ("another rekey", {"rekey": 0}),
        "other-reading-key": ("another reading key", {"reading_key": 1}),
        "other-recipient": ("another recipient", hexed(recipient=VAULT)),
        "other-grant": ("another grant", hexed(gid=VAULT)),
        "other-version": ("another version", hexed(ver=IDS["doc"])),
        "changed": ("a bit of the wrap changed", hexed(wrap=flipped(made))),
    }
    yield Case("unwrap/opens", "a wrap with A and B", good)
    for name, (what, change) in changes.items():
        yield Case(f"unwrap/{name}", what, good | change, "cannot-open")

    held_by = hexed(vault=VAULT, card=fixed("card"), category=fixed("category"), share_a=a.reveal(), **ids)
    yield Case(
        "standing-wrap/makes",
        "the shares and the wrap of a deposit for standing readers",
        held_by
        | hexed(document_key=fixed("document key"))
        | {"origin": LOG, "seeds": [seed.reveal().hex() for seed in seeds]},
    )

    table = sorted(
        Row(doc=fixed(f"doc {n}", 16), ver=fixed(f"ver {n}", 16), ct_root=CT_ROOT, wrap=made).to_bytes()
        for n in range(3)
    )

    def rows_case(name: str, what: str, rows: list[bytes], outcome: str = "malformed", **more: Any) -> Case:
        inputs = {"rows": b"".join(rows).hex(), "count": len(rows), "root": rows_root(rows).hex()}
        return Case(f"rows/{name}", what, inputs | more, outcome)

    yield rows_case("three", "three rows", table, "ok")
    yield rows_case("none", "no row", [], "ok")
    yield rows_case("other-order", "rows out of order", table[::-1])
    yield rows_case("twice", "a row twice", [table[0], *table])
    yield rows_case("other-root", "another root", table, root=VAULT.hex())
    yield rows_case("other-count", "another number", table, count=2)

    keeper = KEEPERS[0]
    name = sealing.key_hash(keeper.public)
    place = ruled.keepers.index(name)
    held = tuple(
        Seed(subset=subset_name(ruled, subset), seed=seed.reveal())
        for subset, seed in zip(ruled.subsets, seeds, strict=True)
        if place in subset
    )
    blob = PolicyBlob(
        origin=LOG,
        gid=GID,
        j=3,
        recipient=fixed("recipient"),
        excluded=(),
        expiry=NOW,
        acts=("release", "list"),
        rates=(Rate(seconds=3600, documents=100), Rate(seconds=86_400, documents=400)),
        standing=(),
        grant_key=fixed("kg"),
        end_key=fixed("ke"),
        rekey=1,
        seeds=held,
    )
    sealed = seal_policy(blob, keeper.public, SIGNED_ROOT.digest)
    seed = keeper.seed.reveal().hex()
    inputs = {"seed": seed, "blob": text_of(sealed), "origin": LOG, "gid": GID.hex()}
    yield Case("policy-blob/opens", "a keeper's policy blob", inputs, once=True)
    older = inputs | {"blob": text_of(msgspec.structs.replace(sealed, j=2))}
    yield Case("policy-blob/other-event", "shown for another event", older, "cannot-open", once=True)
    elsewhere = inputs | {"gid": VAULT.hex()}
    yield Case("policy-blob/other-grant", "shown for another grant", elsewhere, "cannot-open", once=True)

    device, digest = unsealing("device of reader"), fixed("request")
    answer = Release(index=9, subsets=(SubsetShares(subset=held[0].subset, shares=(b[0],)),))
    info = pae(labels.RELEASE, digest, number(9), name)
    box = sealing.seal(device.public, info, encode(answer))
    inputs = hexed(seed=device.seed.reveal(), box=box, digest=digest, keeper=name) | {"index": 9}
    yield Case("release/opens", "a keeper's answer", inputs, once=True)
    yield Case("release/other-leaf", "for another leaf", inputs | {"index": 8}, "cannot-open", once=True)
    another = inputs | hexed(digest=VAULT)
    yield Case("release/other-request", "for another request", another, "cannot-open", once=True)
