"""The folder where ciphertext rests between this device and the server."""

from pathlib import Path

from crypto.errors import Damaged


def opened_spool(profile: Path) -> Path:
    """The spool of a profile, made if need be and emptied: what is left in it is from a run that was cut short.

    The caller holds the profile's lock, so nobody else is using it. Raises Damaged when it cannot be made.
    """
    spool = profile / "spool"
    try:
        spool.mkdir(mode=0o700, exist_ok=True)
        for left in spool.iterdir():
            left.unlink()
    except OSError as error:
        raise Damaged(
            f"The folder {spool} cannot be used ({error.strerror}). Nothing was done. Move it away."
        ) from None
    return spool
