"""A log's policy as C2SP tlog-policy has it: what the trust root says of one log, for tools of others."""

from crypto.trust_root import TrustRoot


def tlog_policy(root: TrustRoot, origin: str) -> str:
    """The policy under which a head of the log ``origin`` counts: its key, the live keepers, how many of them must sign.

    The keepers are named by their place, as two of them may have one name. Raises NotPermitted for a log that is none of this
    service's, and when the trust root names no usable number of keepers.
    """
    live = list(enumerate(root.live_keepers))
    lines = [
        f"log {root.log_key_of(origin).vkey}",
        *(f"witness {place} {keeper.cosigner.vkey} {keeper.url}" for place, keeper in live),
        f"group keepers {root.policy.k} {' '.join(str(place) for place, _ in live)}",
        "quorum keepers",
    ]
    return "".join(f"{line}\n" for line in lines)
