"""What is done with vectors of the trust root and of both chains."""

from collections.abc import Callable

from crypto import trust_root_chain
from crypto.signing import Envelope
from crypto.trust_root import TrustRoot, read_card
from crypto.vault_chain import VaultView, follow, found
from tests.vectors.reading import Values, body, known, plain


def trust_root_(i: Values) -> Values:
    """Believe a first trust root by its card, or without one, and follow the others."""
    chain = [body(text, Envelope) for text in i["chain"]]
    ref = read_card(i["card"]).root if i["card"] else None
    accepted = trust_root_chain.advance(trust_root_chain.first(chain[0], card=ref), chain[1:])
    return {"value": plain(accepted.ref)}


def log_of_origin(i: Values) -> Values:
    """Which log stands where an origin is named, and whose key signs the heads of that origin."""
    root, origin = body(i["trust_root"], TrustRoot), i["origin"]
    key = root.log_key_of(origin)
    signer = "directory_key" if origin == root.directory_origin else "log_key"
    return {"newest": root.newest_origin(origin), "signer": signer, "key": key.key.raw.hex()}


def identity_chain(i: Values) -> Values:
    """Fold a chain at a head of the directory."""
    at = known(i["chain"], i["registrars"], i["size"])
    state = at.state
    return {
        "ref": plain(at.ref),
        "root": state.root.hex(),
        "devices": sorted(key.hex() for key in state.devices),
        "reading_key": state.reading_key,
        "unlock_keys": sorted(key.hex() for key in state.unlock_keys),
        "keyring": (state.keyring or b"").hex(),
        "certificates": [plain(entry.statement) for entry in state.certificates.values()],
        "members": sorted(key.hex() for key in state.members),
        "delegates": sorted(key.hex() for key in state.delegations),
        "waiting": sorted(state.waiting),
        "retired": sorted(key.hex() for key in state.retired),
        "hard_stops": list(state.hard_stops),
    }


def vault_chain(i: Values) -> Values:
    """Found a record and follow its links."""
    signer = known(i["signer"], i["registrars"])
    head = found(body(i["genesis"], Envelope), [signer]).head
    view = VaultView(head=head, documents={}, grants={}, blocked={})
    for text in i["links"]:
        changes = follow(view, body(text, Envelope), [signer])
        view = VaultView(
            head=changes.head,
            documents={**view.documents, **changes.documents},
            grants={**view.grants, **changes.grants},
            blocked={**view.blocked, **changes.blocked},
        )
    return {
        "vault": view.head.vault.hex(),
        "n": view.head.n,
        "link": view.head.link.hex(),
        "epoch": view.head.keys.epoch,
        "documents": [plain(entry) for entry in view.documents.values()],
        "grants": [plain(entry) for entry in view.grants.values()],
        "blocked": sorted(key.hex() for key, blocked in view.blocked.items() if blocked),
    }


RUNS: dict[str, Callable[[Values], Values]] = {
    "trust-root": trust_root_,
    "log-of-origin": log_of_origin,
    "identity-chain": identity_chain,
    "vault-chain": vault_chain,
}
