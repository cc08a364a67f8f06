"""The folder where ciphertext rests between this device and the server.

What is being looked at has a name of its own each time and is gone afterwards. What is to be added is named by its
version, and stays until it is in the record (``adding``). What is being fetched is named by its signed root, so that the
next attempt finds how far the last one came, whichever process that was.
"""

import re
import secrets
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from crypto.durations import DAY
from crypto.errors import Damaged, Full, Refusal, TooMany
from vault_client import private_part

# A profile has it from the end of its enrolment on.
SPOOL = "spool"

# How long what was fetched of a document is kept for somebody to go on with.
KEPT_DAYS: Final = 7

_CIPHERTEXT = re.compile(r"[0-9a-f]{32}")
_FETCHED = re.compile(r"[0-9a-f]{64}\.fetched")

_in_use: set[Path] = set()


@contextmanager
def fresh_spool(spool: Path) -> Iterator[Path]:
    """A file in ``spool`` for one ciphertext, under a name of its own. It is gone afterwards."""
    file = spool / secrets.token_hex(16)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def fetched_spool(spool: Path, ct_root: bytes) -> Iterator[Path]:
    """The file in ``spool`` for the ciphertext whose signed root is ``ct_root``, as far as it was fetched before.

    It stays when the block is cut off, or told to come back later. It is gone when the block is through or refused, and
    when there is no room. Whoever asks for it while it is in use gets a fresh file.
    """
    file = spool / f"{ct_root.hex()}.fetched"
    if file in _in_use:
        with fresh_spool(spool) as fresh:
            yield fresh
        return
    _in_use.add(file)
    try:
        yield file
    except TooMany:
        raise
    except (Refusal, Full):
        file.unlink(missing_ok=True)
        raise
    else:
        file.unlink(missing_ok=True)
    finally:
        _in_use.remove(file)


def opened_spool(profile: Path, *, kept: Set[str] = frozenset()) -> Path:
    """The spool of a profile, made if need be, without what runs that were cut short have left there.

    ``kept``: the names of files that are still wanted. Only what runs of ours leave is removed; what was fetched of a
    document, only when nobody went on with it for ``KEPT_DAYS``. The caller holds the profile's lock, so nobody else is using it. Raises as ``own_folder``.
    """
    spool = own_folder(profile, SPOOL)
    with _usable(spool):
        for left in spool.iterdir():
            is_old = (
                _FETCHED.fullmatch(left.name) and abs(time.time() - left.stat().st_mtime) > KEPT_DAYS * DAY
            )
            is_ours = _CIPHERTEXT.fullmatch(left.name) or private_part.NAME.fullmatch(left.name)
            if is_old or (is_ours and left.name not in kept):
                left.unlink()
    return spool


def own_folder(profile: Path, name: str) -> Path:
    """A folder of the profile's own, made if need be. Raises Damaged when it cannot be, or is a link to elsewhere."""
    folder = profile / name
    with _usable(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink():
            raise Damaged(f"{folder} is a link to another place. Nothing was done. Move it away.")
    return folder


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Damaged(
            f"The folder {folder} cannot be used ({error.strerror}). Nothing was done. Move it away."
        ) from None
