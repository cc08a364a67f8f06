"""``python -m tests.crash.doctor_at_work FOLDER PROFILE SEED``: a practitioner who reads what was granted until killed."""

import asyncio
import random
import sys
from pathlib import Path

from crypto.errors import NotFound
from tests.crash import documents
from tests.crash.place import Place
from tests.crash.work import until_there, work
from vault_client.practitioner import Practitioner


class AtWork:
    """One process of one practitioner."""

    def __init__(self, place: Place, practitioner: Practitioner) -> None:
        self._place, self._practitioner = place, practitioner
        self._ledger = place.ledger

    async def act(self) -> None:
        """Take in what came, and read one document of all that is granted."""
        for why in await self._practitioner.sync():
            self._ledger.write("problem", kind="delivery", text=why)
        granted = await self._practitioner.listing()
        for refusal in self._practitioner.set_aside().values():
            if not isinstance(refusal, NotFound):  # that is how an end shows that came meanwhile
                self._ledger.write("problem", kind="listing", text=str(refusal))
        self._ledger.write("looked", granted=len(granted))
        if not granted:
            return
        document = random.choice(granted)
        title, doc = document.document.title, document.document.doc.hex()
        to = self._place.received / f"{title}.bin"
        try:
            await self._practitioner.read(document, to)
        except NotFound:  # ended or deleted since
            return
        same = to.read_bytes() == documents.content(title)
        self._ledger.write("read" if same else "problem", doc=doc, kind="read")
        to.unlink()


async def main(place: Place) -> None:
    """Work until killed."""
    practitioner = await until_there(place, lambda: Practitioner.resume(place.open(), place.profile))
    await work(place, AtWork(place, practitioner).act)


if __name__ == "__main__":
    random.seed(sys.argv[3])
    asyncio.run(main(Place(Path(sys.argv[1]), Path(sys.argv[2]))))
