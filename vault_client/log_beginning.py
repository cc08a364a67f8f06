"""From where the entries of a log are there: what a server says of that, believed only with a head that dates the others."""

from crypto.errors import NotProven
from crypto.pruning import check_beginning
from crypto.statements import Head
from crypto.trust_root import TrustRoot
from crypto.wire.messages import LogQuery
from crypto.wire.vault_api import VaultApi
from vault_client import trust
from vault_client.log_reader import LogReader
from vault_client.trust import BelievedHead


async def believed_beginning(api: VaultApi, root: TrustRoot, believed: BelievedHead) -> int:
    """The index of the first entry that is there, of a log under ``believed``.

    Those before it were in the log three years before that head, by a quorum of keepers. Raises NotProven when the server
    does not show that, and of the directory, which always begins at 0.
    """
    origin = believed.origin
    said = await api.log_beginning(LogQuery(origin=origin))
    if not said.minimum or said.note is None or origin == root.directory_origin:
        raise NotProven(
            f"Entries of {origin} are not shown, and not shown to be over three years old. Nothing was believed. Try again "
            "later, and ask the operator why."
        )
    dated = check_beginning(root, origin, said.minimum, said.note, believed.time)
    old = BelievedHead(origin=origin, head=Head(size=dated.size, root=dated.root), time=0)
    path = await LogReader(api).consistency(origin, dated.size, believed.head.size)
    trust.advance(old, believed, path)
    return said.minimum
