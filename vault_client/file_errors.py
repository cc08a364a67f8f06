"""What the file system refuses, said in our words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from crypto.errors import Damaged, Full


@contextmanager
def spoken_file_errors() -> Iterator[None]:
    """Turns an OSError into Full (no room) or Damaged (anything else)."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Full(
                "There is no room left on the disk. Nothing was kept. Make room and try again."
            ) from None
        raise Damaged(
            f"{error.filename or 'A file'} could not be read or written ({error.strerror}). Nothing was kept. "
            "Check the path, and who may use it."
        ) from None
