"""What the documents of a log are called: those that are still there, and those that were deleted."""

from collections.abc import Mapping

from languages.catalogue import spoken
from vault_client.commands.names import short

# What people read
DELETED = "{title} (deleted)"
UNTITLED = "{id} (deleted, title unknown)"


def called(doc: bytes, there: Mapping[bytes, str], deleted: Mapping[bytes, str]) -> str:
    """The title of a document ``there``, or of one ``deleted``; its id where there is no title, or an empty one."""
    if doc not in deleted:
        return there.get(doc) or short(doc)
    return spoken(DELETED.format(title=deleted[doc]) if deleted[doc] else UNTITLED.format(id=short(doc)))
