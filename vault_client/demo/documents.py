"""The record of Camille Morel, who does not exist: five documents as a patient would have them.

Each is a real file of a real format, made here and now, so that the demo needs nothing from elsewhere and copies
nobody. No clock and no randomness is used: the same libraries give the same bytes.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from crypto.errors import Unavailable
from vault_client.demo.ct_slice import ct_slice
from vault_client.demo.discharge_letter import discharge_letter
from vault_client.demo.laboratory_report import laboratory_report
from vault_client.demo.scanned_prescription import scanned_prescription
from vault_client.demo.skin_photo import skin_photo
from vault_client.file_description import Category

_Kind = tuple[str, str, Category, str, str, Callable[[], bytes]]

_DOCUMENTS: tuple[_Kind, ...] = (
    (
        "compte-rendu-hospitalisation.pdf",
        "Compte rendu d'hospitalisation, cardiologie",
        Category.REPORT,
        "application/pdf",
        "2026-03-05",
        discharge_letter,
    ),
    (
        "ordonnance.png",
        "Ordonnance du Dr Inès Laurent",
        Category.PRESCRIPTION,
        "image/png",
        "2026-03-12",
        scanned_prescription,
    ),
    (
        "scanner-thoracique.dcm",
        "Angioscanner thoracique, coupe axiale",
        Category.IMAGING,
        "application/dicom",
        "2026-03-02",
        ct_slice,
    ),
    (
        "analyses-biologiques.xml",
        "Compte rendu d'examens biologiques",
        Category.LABORATORY,
        "text/xml",
        "2026-03-03",
        laboratory_report,
    ),
    (
        "grain-de-beaute.jpg",
        "Grain de beauté, avant-bras gauche",
        Category.PICTURE,
        "image/jpeg",
        "2026-02-14",
        skin_photo,
    ),
)


@dataclass(frozen=True, slots=True)
class DemoDocument:
    """One file that was made, and what its descriptor says of it; the date is YYYY-MM-DD."""

    path: Path
    title: str
    category: Category
    mime: str
    date: str


def make_documents(folder: Path) -> list[DemoDocument]:
    """Write the five documents into ``folder``, made if need be, each dated as the document is.

    Raises Unavailable, before anything is written, when Pillow or pydicom is not installed.
    """
    if find_spec("PIL") is None or find_spec("pydicom") is None:
        raise Unavailable(
            "The demo draws its own documents with Pillow and pydicom, which are not installed. Nothing was made. "
            "Install the `demo` extra (pip install 'coffre[demo]'), or give your own files with --documents."
        )
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, title, category, mime, date, make in _DOCUMENTS:
        path = folder / name
        path.write_bytes(make())
        noon = datetime.fromisoformat(f"{date}T12:00:00").replace(tzinfo=UTC).timestamp()
        os.utime(path, (noon, noon))
        made.append(DemoDocument(path, title, category, mime, date))
    return made
