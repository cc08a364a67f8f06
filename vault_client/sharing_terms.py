"""What a grant allows when nobody says otherwise, and for how long it may. Loads nothing heavy: the help says it too."""

from typing import TYPE_CHECKING, Final

from crypto.errors import NotPermitted

if TYPE_CHECKING:
    from crypto.grants import Act

SHARING_DAYS: Final = 365
MAX_SHARING_DAYS: Final = 1095  # as long as log entries are kept
ACTS: "Final[tuple[Act, ...]]" = ("release", "prefetch", "list", "reopen", "export")

# What people read
BAD_DAYS = f"A grant lasts from 1 to {MAX_SHARING_DAYS} days, three years. Nothing was shared. Choose another number of days."


def check_days(days: int) -> None:
    """Raises NotPermitted unless a grant may last ``days`` days from now."""
    if not 1 <= days <= MAX_SHARING_DAYS:
        raise NotPermitted(BAD_DAYS)
