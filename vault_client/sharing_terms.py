"""What a grant allows when nobody says otherwise. Loads nothing heavy: the help says it too."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from crypto.grants import Act

SHARING_DAYS: Final = 365
ACTS: "Final[tuple[Act, ...]]" = ("release", "prefetch", "list", "reopen", "export")
