"""What is done with vectors of grants and access requests."""

from collections.abc import Callable

from crypto.deposits import Deposited
from crypto.grants import (
    GrantEvent,
    ReleasePolicy,
    Rows,
    SealedPolicy,
    accept,
    split_rows,
    subset_name,
    subsets_of,
)
from crypto.requests import check_request, read_request
from crypto.sealed import shares
from crypto.sealed.policy_blob import open_policy
from crypto.sealed.release import open_release
from crypto.sealed.standing import StandingWrapper, standing_share
from crypto.sealed.wrapping import GrantWrapper, open_a_box
from crypto.secret_bytes import SecretBytes
from crypto.signing import Envelope
from crypto.trust_root import TrustRoot
from tests.vectors.reading import Values, body, known, opener, plain, raw, secret


def _policy(i: Values) -> ReleasePolicy:
    keepers = tuple(map(raw, i["keepers"]))
    return ReleasePolicy(k=i["k"], n=i["n"], keepers=keepers, subsets=subsets_of(i["k"], i["n"]), blobs=())


def wrap(i: Values) -> Values:
    """All secrets of a grant from its epoch secrets, and one wrap."""
    epoch, gid, rekey, policy = secret(i["epoch"]), raw(i["gid"]), i["rekey"], _policy(i)
    a, seeds = shares.share_a(epoch, gid, rekey), shares.seeds(epoch, gid, rekey, policy)
    ids = (raw(i["doc"]), raw(i["ver"]), raw(i["ct_root"]))
    b = shares.ShareB(seeds, i["act"], gid, rekey).shares(*ids)
    return {
        "grant_key": shares.grant_key(secret(i["epoch_first"]), gid).reveal().hex(),
        "end_key": shares.end_key(secret(i["epoch_first"]), gid).reveal().hex(),
        "share_a": a.reveal().hex(),
        "subsets": [subset_name(policy, subset).hex() for subset in policy.subsets],
        "seeds": [seed.reveal().hex() for seed in seeds],
        "share_b": [share.hex() for share in b],
        "wrap": _wrapper(i, a).wrap(secret(i["document_key"]), b, *ids).hex(),
    }


def unwrap(i: Values) -> Values:
    """Unwrap a row's wrap with A and B."""
    ids = (raw(i["doc"]), raw(i["ver"]), raw(i["ct_root"]))
    b = list(map(raw, i["share_b"]))
    opened = _wrapper(i, secret(i["share_a"])).unwrap(raw(i["wrap"]), b, *ids)
    return {"document_key": opened.reveal().hex()}


def _wrapper(i: Values, a: SecretBytes) -> GrantWrapper:
    ids = {name: raw(i[name]) for name in ("vault", "gid", "recipient")}
    return GrantWrapper(a, rekey=i["rekey"], reading_key=i["reading_key"], **ids)


def standing_wrap(i: Values) -> Values:
    """The shares of a deposit, and its wrap for standing readers."""
    ids = (raw(i["doc"]), raw(i["ver"]), raw(i["ct_root"]))
    place = Deposited(i["origin"], raw(i["vault"]), raw(i["card"]), *ids)
    b = [standing_share(secret(seed), *ids) for seed in i["seeds"]]
    wrapper = StandingWrapper(secret(i["share_a"]), place, raw(i["category"]))
    wrapped = wrapper.wrap(secret(i["document_key"]), b, *ids)
    return {"share_b": [share.hex() for share in b], "wrap": wrapped.hex()}


def rows(i: Values) -> Values:
    """Take rows apart."""
    named = Rows(root=raw(i["root"]), count=i["count"])
    return {"rows": [plain(row) for row in split_rows(raw(i["rows"]), named)]}


def grant_event(i: Values) -> Values:
    """Believe the events of a grant, in order; open the box of the newest."""
    root, state = body(i["trust_root"], TrustRoot), None
    signer, recipient = known(i["signer"], i["registrars"]), known(i["recipient"], i["registrars"])
    for text in i["events"]:
        state = accept(state, body(text, Envelope), [signer], recipient, root)
    if state is None:
        raise ValueError("a vector without events")
    named = {"digest": state.digest.hex(), "j": state.event.j, "rekey": state.event.rekey}
    a, grant_key = open_a_box(opener(i["reading_seed"]), state.event, state.a_box)
    return named | {"share_a": a.reveal().hex(), "grant_key": grant_key.reveal().hex()}


def a_box(i: Values) -> Values:
    """Open an event's box for its recipient."""
    event: GrantEvent = body(i["event"], GrantEvent)
    a, grant_key = open_a_box(opener(i["reading_seed"]), event, event.a_box or b"")
    return {"share_a": a.reveal().hex(), "grant_key": grant_key.reveal().hex()}


def policy_blob(i: Values) -> Values:
    """Open a keeper's policy blob."""
    sealed = body(i["blob"], SealedPolicy)
    return {"value": plain(open_policy(opener(i["seed"]), sealed, i["origin"], raw(i["gid"])))}


def release(i: Values) -> Values:
    """Open a keeper's answer."""
    of = (raw(i["digest"]), i["index"], raw(i["keeper"]))
    return {"value": plain(open_release(opener(i["seed"]), raw(i["box"]), *of))}


def access_request(i: Values) -> Values:
    """Check a request against the reader's chain, and the team's if there is one."""
    team = known(i["team"], i["registrars"]) if i["team"] else None
    request = body(i["request"], Envelope)
    time = read_request(request).time
    read = check_request(request, known(i["reader"], i["registrars"]), team, time)
    return {"digest": request.digest.hex(), "recipient": read.recipient.hex()}


RUNS: dict[str, Callable[[Values], Values]] = {
    "wrap": wrap,
    "unwrap": unwrap,
    "standing-wrap": standing_wrap,
    "rows": rows,
    "grant-event": grant_event,
    "a-box": a_box,
    "policy-blob": policy_blob,
    "release": release,
    "access-request": access_request,
}
