"""The erasable parts of a vault, fetched and compared with the hashes that its links name."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from crypto.errors import NotProven
from crypto.statements import part_hash
from crypto.vault_links import AddVersion, Adopt, Reseal, Rotate, VaultLink
from crypto.wire.messages import PartQuery
from vault_client.service import Service


async def of_link(service: Service, link: VaultLink, sent: Sequence[bytes]) -> Mapping[bytes, bytes]:
    """The parts, by hash, of what ``link`` adds, or renews: those ``sent`` with it, else from the server.

    Those of a version may be missing: a later link may delete the document, and then they were erased. Raises NotProven
    for a keyring that is missing, and for a part that is another than was named.
    """
    known = {part_hash(part): part for part in sent}
    added = [
        name
        for operation in link.operations
        if isinstance(operation, AddVersion | Adopt)
        for name in (operation.self_wrap, operation.descriptor)
        if name not in known
    ]
    renewed = [
        operation.keyring
        for operation in link.operations
        if isinstance(operation, Rotate | Reseal) and operation.keyring not in known
    ]
    found = await _shown(service, link.vault, added)
    return known | found | await fetched(service, link.vault, renewed)


async def fetched(service: Service, vault: bytes, names: Sequence[bytes]) -> dict[bytes, bytes]:
    """Parts of ``vault`` by their hashes. Raises NotProven when one is missing or is another than was named."""
    found = await _shown(service, vault, names)
    if len(found) < len(set(names)):
        raise _withheld()
    return found


async def _shown(service: Service, vault: bytes, names: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for start in range(0, len(names), 256):
        some = tuple(names[start : start + 256])
        answer = await service.api.parts(PartQuery(vault=vault, hashes=some))
        for name, part in zip_longest(some, answer.parts[: len(some)]):
            if part is not None and part_hash(part) != name:
                raise _withheld()
            if part is not None:
                found[name] = part
    return found


def _withheld() -> NotProven:
    return NotProven("The server withholds a part of the record. It was not taken in. Try again.")
