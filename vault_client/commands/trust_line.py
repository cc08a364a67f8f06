"""How far the server shown can be believed, in one or two lines: on every screen that rests on it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crypto.trust_root import TrustRoot
    from vault_client.commands.output import Screen
    from vault_client.service import Service

# What people read
ONE_KEEPER = "A keeper watches that the log is not changed. It is 1 of 1 and stands beside the server: not independent."
TOO_FEW = "Keepers watch that the log is not changed: {k} of {n} must sign. Too few of them are independent of the server."
INDEPENDENT = (
    "Keepers watch that the log is not changed: {k} of {n} must sign. Independent of the server, by its operator's word: "
    "{apart} of {n}."
)
FIRST_USE = "Trust on first use: this server was believed without an instance card."


def show_trust(screen: "Screen", service: "Service") -> None:
    """Say who witnesses the log, and how the server came to be believed."""
    note_trust(screen, service)
    for sentence in trust_sentences(service):
        screen.say(sentence)


def note_trust(screen: "Screen", service: "Service") -> None:
    """The same for programs."""
    screen.result["keepers"] = keepers(service.root)
    screen.result["trust"] = "instance card" if service.record.pinned else "first use"
    if service.alarm:
        screen.result["distrusted"] = service.alarm
    elif service.standstill:
        screen.result["standstill"] = service.standstill


def trust_sentences(service: "Service") -> list[str]:
    """The same for people."""
    first_use = [] if service.record.pinned else [FIRST_USE]
    return [keepers_sentence(service.root), *first_use, *filter(None, [service.standstill])]


def keepers(root: "TrustRoot") -> dict[str, Any]:
    """How many keepers must sign, of how many, and whether they bind the operator too."""
    from vault_client import trust

    policy = root.policy
    return {"needed": policy.k, "of": policy.n, "independent": trust.independent(root)}


def keepers_sentence(root: "TrustRoot") -> str:
    """The same for people."""
    facts = keepers(root)
    if facts["independent"]:
        apart = sum(keeper.independent for keeper in root.live_keepers)
        return INDEPENDENT.format(k=facts["needed"], n=facts["of"], apart=apart)
    if facts["of"] == 1:
        return ONE_KEEPER
    return TOO_FEW.format(k=facts["needed"], n=facts["of"])
