"""A document that was granted to a practitioner, as the list of its grant calls it."""

from crypto.descriptors import ListedDocument
from crypto.encoding import Body, Bytes32, Natural


class GrantedDocument(Body, frozen=True):
    """A document that was granted, as its listing calls it. ``listed``: when the listing was opened here.

    ``person``: whose record it is, by the word of whoever founded it; nobody has certified that. Empty: not said.
    """

    vault: Bytes32
    gid: Bytes32
    person: str
    document: ListedDocument
    listed: Natural
