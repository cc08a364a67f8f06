"""For how long a grant may last: said once, for programs and for the command line."""

import pytest

from crypto.durations import DAY
from crypto.errors import NotPermitted
from crypto.pruning import RETENTION
from vault_client.sharing_terms import MAX_SHARING_DAYS, SHARING_DAYS, check_days


def test_a_grant_lasts_no_longer_than_its_entries() -> None:
    """Entries of the log are kept for three years, and a grant lasts from a day to as long."""
    assert MAX_SHARING_DAYS * DAY == RETENTION
    for days in (1, SHARING_DAYS, MAX_SHARING_DAYS):
        check_days(days)
    for days in (-1, 0, MAX_SHARING_DAYS + 1, 10**30):
        with pytest.raises(NotPermitted, match="Nothing was shared"):
            check_days(days)
