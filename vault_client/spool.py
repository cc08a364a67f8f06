"""The folder where ciphertext rests between this device and the server."""

import re
import secrets
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from crypto.errors import Damaged
from vault_client import private_part

# A profile has it from the end of its enrolment on.
SPOOL = "spool"

_CIPHERTEXT = re.compile(r"[0-9a-f]{32}")


@contextmanager
def fresh_spool(spool: Path) -> Iterator[Path]:
    """A file in ``spool`` for one ciphertext, under a name of its own. It is gone afterwards."""
    file = spool / secrets.token_hex(16)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def opened_spool(profile: Path, *, kept: Set[str] = frozenset()) -> Path:
    """The spool of a profile, made if need be and emptied: what is left in it is from a run that was cut short.

    ``kept``: the names of files that are still wanted. Only what runs of ours leave is removed, and only from a folder of
    the profile's own. The caller holds the profile's lock, so nobody else is using it. Raises Damaged when it cannot be
    made, or is a link to somewhere else.
    """
    spool = profile / SPOOL
    try:
        spool.mkdir(mode=0o700, exist_ok=True)
        if spool.is_symlink():
            raise Damaged(f"{spool} is a link to another place. Nothing was done. Move it away.")
        for left in spool.iterdir():
            is_ours = _CIPHERTEXT.fullmatch(left.name) or private_part.NAME.fullmatch(left.name)
            if is_ours and left.name not in kept:
                left.unlink()
    except OSError as error:
        raise Damaged(
            f"The folder {spool} cannot be used ({error.strerror}). Nothing was done. Move it away."
        ) from None
    return spool
