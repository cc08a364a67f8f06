"""The earlier record that this one goes on from: what its export said, kept sealed in the profile.

All files of the export but the documents, which live on in this record: so what happened before stays as verifiable as
it was. They are kept in pieces, all of them or none.
"""

from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING, Final

from crypto import exports
from crypto.encoding import SecretBody
from crypto.errors import NotProven, Unavailable
from vault_client.device_store import DeviceStore
from vault_client.export_check import CheckedExport, check_export
from vault_client.export_files import ExportFiles

if TYPE_CHECKING:
    from collections.abc import Collection

    from _typeshed import WriteableBuffer

_PIECE: Final = 1 << 20

# What people read
NOT_HERE = (
    "The earlier record that this one goes on from is not kept on this device: the kit brings back the record alone. "
    "Nothing was shown. If you have the export it came from: coffre patient history DIR"
)


class HistoryPiece(SecretBody, frozen=True):
    """One piece of a file of an export."""

    data: bytes


class KeptFiles:
    """The files of an export as a profile keeps them."""

    def __init__(self, store: DeviceStore) -> None:
        self._store = store

    def open(self, path: str) -> BufferedReader:
        """See ``ExportFiles``."""
        if self._store.get(_piece(path, 0), HistoryPiece) is None:
            raise FileNotFoundError(path)
        return BufferedReader(_Pieces(self._store, path), _PIECE)


def keep_history(store: DeviceStore, files: ExportFiles, good: "Collection[str]") -> None:
    """Keep the record of an export that was checked: those of its files, but for documents, that are ``good``."""
    if _is_kept(store):
        return
    wanted = [*(path for path in exports.RECORD_FILES if path in good), exports.SIGNATURES, exports.MANIFEST]
    with store.transaction():
        for path in wanted:
            with files.open(path) as file:
                number = 0
                while (data := file.read(_PIECE)) or not number:
                    store.put(_piece(path, number), HistoryPiece(data=data))
                    number += 1


def read_history(store: DeviceStore, digest: bytes, files: ExportFiles | None = None) -> CheckedExport:
    """The earlier record, checked anew; ``digest`` is what this record's founding says of its export.

    ``files``: that export; its record is kept where none is, as after a restore. Raises NotProven when another is kept or
    shown, or what is shown is not whole, Malformed when that cannot be read, Unavailable when there is neither. Then
    nothing was kept.
    """
    if _is_kept(store):
        return _checked(KeptFiles(store), digest)
    if files is None:
        raise Unavailable(NOT_HERE)
    checked = _checked(files, digest)
    if checked.findings:
        raise NotProven(
            "This export is not whole. Nothing of it was kept. What is wrong with it says: coffre patient verify-export DIR"
        )
    keep_history(store, files, checked.good)
    return checked


def _checked(files: ExportFiles, digest: bytes) -> CheckedExport:
    checked = check_export(files, contents=False)
    if checked.digest != digest:
        raise NotProven(
            "This is not the earlier record that the one here goes on from. Nothing was shown. Check the "
            "export itself: coffre patient verify-export DIR"
        )
    return checked


def _is_kept(store: DeviceStore) -> bool:
    return store.get(_piece(exports.MANIFEST, 0), HistoryPiece) is not None


class _Pieces(RawIOBase):
    """Reads the pieces of a file one after the other."""

    def __init__(self, store: DeviceStore, path: str) -> None:
        self._store = store
        self._path = path
        self._next = 0
        self._left = b""
        self._at = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._left:
            piece = self._store.get(_piece(self._path, self._next), HistoryPiece)
            self._next += 1
            self._left = piece.data if piece is not None else b""
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        self._at += count
        return count


def _piece(path: str, number: int) -> str:
    return f"history/{path}/{number:06d}"
