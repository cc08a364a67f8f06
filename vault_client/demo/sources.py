"""The files of the demo: those it makes itself, or those of a folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from crypto.descriptors import Descriptor
from crypto.errors import NotPermitted
from vault_client.demo.documents import make_documents


@dataclass(frozen=True)
class Source:
    """A file of the story: its name in it, where it lies, and what it is called if not by its name."""

    name: str
    path: Path
    descriptor: Descriptor | None


def sources_of(documents: Path | None, folder: Path) -> list[Source]:
    """The demo's own documents, or every file of the folder ``documents`` and of those in it."""
    if documents is None:
        made = make_documents(folder / "documents")
        return [
            Source(
                each.path.name,
                each.path,
                Descriptor(
                    title=each.title,
                    category=each.category,
                    author="",
                    mime=each.mime,
                    date=each.date,
                    length=each.path.stat().st_size,
                ),
            )
            for each in made
        ]
    if not documents.is_dir():
        raise NotPermitted(f"{documents} is not a folder. The demo was not started. Check the path.")
    found = [
        Path(place) / name for place, _, names in os.walk(documents, onerror=_unreadable) for name in names
    ]
    if not found:
        raise NotPermitted(f"There is no file in {documents}. The demo was not started. Name another folder.")
    return [Source(path.relative_to(documents).as_posix(), path, None) for path in sorted(found)]


def _unreadable(error: OSError) -> None:
    raise NotPermitted(f"{error.filename} could not be read ({error.strerror}). The demo was not started.")
