"""The one tree of errors.

    CoffreError
    ├── Refusal               a check failed; nothing was done and nothing was kept
    │   ├── Malformed         bytes that are not what they claim to be
    │   ├── TooLarge          over a limit, refused before any work
    │   ├── BadSignature      not signed by who had to sign
    │   ├── CannotOpen        every cryptographic failure of opening, without saying which
    │   ├── BrokenChain       a link, event or entry that does not follow from the one before
    │   ├── NotPermitted      well formed and signed, but the rules do not allow it
    │   ├── NeedsPasskey      allowed once a passkey of the account has been shown
    │   ├── NotProven         a receipt, proof or head that does not hold
    │   ├── Stale             too old to be believed
    │   ├── Conflict          true once, overtaken by another write
    │   ├── Lacking           what comes next was lost by the service, and has not been shown to it yet
    │   ├── Unauthenticated   no session, or one that has ended
    │   ├── TooMany           too many requests in a short time
    │   └── NotFound          unknown, masked, revoked or not granted: one answer for all
    └── Unavailable           nothing was decided; something could not be reached or stored
        ├── Unreachable       no answer from a server or keeper
        │   └── Distrusted    a server that is not asked: what it first showed is not to be believed
        ├── Damaged           a local store that cannot be read
        └── Full              no room left

A message says what happened, what was not done, and what to do next. It never holds a secret.
"""


class CoffreError(Exception):
    """Base of everything Coffre raises on purpose."""


class Refusal(CoffreError):
    """A check failed; nothing was done."""


class Malformed(Refusal):
    """Bytes that are not what they claim to be."""


class TooLarge(Refusal):
    """Over a limit, refused before any work."""


class BadSignature(Refusal):
    """Not signed by who had to sign."""


class CannotOpen(Refusal):
    """An opening failed. One outward behaviour for every cause."""

    def __init__(self, what: str = "This could not be opened") -> None:
        super().__init__(f"{what}: it is not what was sealed for this key. Nothing was released.")


class BrokenChain(Refusal):
    """A link, event or entry that does not follow from the one before."""


class NotPermitted(Refusal):
    """Well formed and signed, but not allowed."""


class NeedsPasskey(Refusal):
    """Allowed once a passkey of the account has been shown in this session."""


class NotProven(Refusal):
    """A receipt, proof or head that does not hold."""


class Stale(Refusal):
    """Too old to be believed."""


class Conflict(Refusal):
    """True once, overtaken by another write."""


class Lacking(Refusal):
    """What comes next was lost by the service: whoever has it shows it first."""


class Unauthenticated(Refusal):
    """No session, or one that has ended."""


class TooMany(Refusal):
    """Too many requests in a short time."""


class NotFound(Refusal):
    """Unknown, masked, revoked or not granted: one answer for all of them."""

    def __init__(self, what: str = "Not found") -> None:
        super().__init__(f"{what}: there is nothing here for you. Nothing was opened.")


class Unavailable(CoffreError):
    """Nothing was decided; something could not be reached or stored."""


class Unreachable(Unavailable):
    """No answer from a server or keeper."""


class Distrusted(Unreachable):
    """A server that is not asked, as its trust root is not to be believed: whatever bears no answer bears this too."""


class Damaged(Unavailable):
    """A local store that cannot be read."""


class Full(Unavailable):
    """No room left."""
