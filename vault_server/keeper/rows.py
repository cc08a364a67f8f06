"""What the keeper's database gives and takes: values, one for each thing it keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto.statements import Head


@dataclass(frozen=True, slots=True)
class LogRow:
    """A followed log and the highest head cosigned. ``note`` is empty before the first."""

    log: int
    origin: str
    size: int
    root: bytes
    note: bytes

    @property
    def head(self) -> Head:
        """Size and root."""
        return Head(size=self.size, root=self.root)


@dataclass(frozen=True, slots=True)
class HeldPost:
    """An end that is held until it is logged: its tag, and what was posted, sealed to the keeper's own key."""

    log: int
    tag: bytes
    post: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the keeper stands. ``clock``: the newest time ever stated.

    ``lost``: when its former store was found to be gone, until it has come back; ``ordered``: whether its operator has
    ordered it to go on without. ``contradicted``: under which version of the trust root the others contradicted each
    other when it asked them. ``joined``: whether it has taken over what the others know.
    """

    clock: int
    lost: int | None
    ordered: bool
    contradicted: int | None
    joined: bool


@dataclass(frozen=True, slots=True)
class PastHead:
    """A head that was once the highest: its root, and when a larger one replaced it (none: it is the highest)."""

    root: bytes
    replaced: int | None


@dataclass(frozen=True, slots=True)
class NewLeaves:
    """Leaves from place ``start`` on, the 256-leaf subtrees they complete, and the slot by which each is looked up.

    A leaf without a slot is looked up by none.
    """

    start: int
    leaves: Sequence[bytes]
    slots: Sequence[bytes | None]
    subtrees: Mapping[int, bytes]
