"""The whole demo: a folder, its files, the cast, the story; and everything ended with it, whatever happens."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crypto.errors import Conflict
from vault_client.demo.cast import assembled
from vault_client.demo.hidden_end import hidden_end
from vault_client.demo.narration import Narration
from vault_client.demo.sources import sources_of
from vault_client.demo.story import summary, tell
from vault_client.demo.told import Told
from vault_client.demo.two_logs import copied, older_backup, two_logs


async def play(
    documents: Path | None, keep: Path | None, narration: Narration, result: dict[str, Any]
) -> Told:
    """The whole demo. ``result`` is filled also when something is raised half way."""
    told = Told()
    result |= told.to_object()
    with _folder(keep) as folder:
        sources = sources_of(documents, folder)
        narration.scene("start")
        try:
            async with assembled(folder) as cast:
                await tell(cast, sources, narration, told)
                copies = await copied(cast)
                await hidden_end(cast, narration, told)
                restored = await older_backup(cast, copies, narration, told)
                await two_logs(cast, restored, copies, narration, told)
                summary(narration, told)
        finally:
            result |= told.to_object()
        if keep is not None:
            result["folder"] = str(keep)
            narration.say("kept", folder=keep)
            narration.say("look")
    return told


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="coffre-demo-") as folder:
            yield Path(folder)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise Conflict(f"{keep} is not an empty folder. The demo was not started. Name another.")
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield keep.absolute()
