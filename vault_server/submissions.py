"""What a link names, and what comes with it: its scan key, its parts, its tags. Exactly that, or nothing is changed."""

from collections.abc import Sequence

from crypto.errors import NotPermitted, TooLarge
from crypto.signing import Envelope
from crypto.statements import part_hash
from crypto.vault_links import (
    AddVersion,
    Adopt,
    AnyOperation,
    End,
    Grant,
    PolicyPart,
    ProfilePart,
    Reseal,
    Rotate,
    SnapshotPart,
    scan_key_commitment,
)
from crypto.wire import messages as m

# The opening of a link, which holds it whole, must stay below what a client reads in one piece.
MAX_LINK = 1 << 19
SELF_WRAP = 48
# Whatever a holder may store as a part can be read back: one answer holds two of these.
MAX_PART = 1 << 24
# What a policy, profile or snapshot names.
MAX_NAMED_PART = 1 << 20


def scan_key(query: m.LinkSubmission, *rotations: Rotate) -> bytes:
    """Kv as it was sent, or nothing: with a rotation and only then, and the one the rotation names."""
    if len(rotations) > 1 or (query.scan_key is None) != (not rotations):
        raise NotPermitted("A scan key belongs to each change of keys, one in a link. Nothing was changed.")
    if query.scan_key is None:
        return b""
    if scan_key_commitment(query.scan_key) != rotations[0].scan_key:
        raise NotPermitted("A scan key is not the one that was signed. Nothing was changed.")
    return query.scan_key


def named_parts(
    operations: Sequence[AnyOperation], sent: Sequence[bytes], *, whole: bool = True
) -> dict[bytes, bytes]:
    """The parts sent with a link: exactly those it names, or (not ``whole``) none but those."""
    named: set[bytes] = set()
    if any(len(part) > MAX_PART for part in sent):
        raise TooLarge(f"A part of more than {MAX_PART} bytes was refused. Nothing was changed.")
    parts = {part_hash(part): part for part in sent}
    for step in operations:
        if isinstance(step, Adopt):
            raise NotPermitted(
                "This server takes no deposits yet, so there is none to adopt. Nothing was changed."
            )
        if isinstance(step, AddVersion):
            named |= {step.self_wrap, step.descriptor}
            if len(parts.get(step.self_wrap, b"" if whole else bytes(SELF_WRAP))) != SELF_WRAP:
                raise NotPermitted("A version came without its own wrap. Nothing was added.")
        elif isinstance(step, Rotate | Reseal):
            named.add(step.keyring)
        elif isinstance(step, PolicyPart | ProfilePart | SnapshotPart):
            named.add(step.part)
            if len(parts.get(step.part, b"")) > MAX_NAMED_PART:
                raise TooLarge(
                    f"A part of more than {MAX_NAMED_PART} bytes was refused. Nothing was changed. Divide it."
                )
    if not named.issuperset(parts) or (whole and len(parts) < len(named)):
        raise NotPermitted("A link came with other parts than it names. Nothing was changed.")
    return parts


def leaf_operations(
    operations: Sequence[AnyOperation], tags: Sequence[bytes], events: Sequence[m.EventSubmission]
) -> list[tuple[Grant | End, bytes]]:
    """The operations that have a leaf of their own, each with its tag."""
    steps = [step for step in operations if isinstance(step, Grant | End)]
    granted = sum(isinstance(step, Grant) for step in steps)
    if len(tags) != len(steps) or len(events) != granted:
        raise NotPermitted("A link came with other tags or events than it names. Nothing was changed.")
    return list(zip(steps, tags, strict=True))


def check_size(envelope: Envelope) -> None:
    """Raises TooLarge for a link that its holders could not read back in one piece."""
    if len(envelope.body) > MAX_LINK:
        raise TooLarge(f"A link of more than {MAX_LINK} bytes was refused. Divide it into several.")
