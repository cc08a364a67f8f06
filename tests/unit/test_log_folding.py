"""Folding of machine-like acts in the log that is shown."""

from typing import Any

from vault_client.audit_report import Entry
from vault_client.commands.log_folding import folded

DAY = 86_400


def entry(index: int, **changes: Any) -> Entry:
    """A listing by one reader on the first day, but for ``changes``."""
    made: dict[str, Any] = {
        "time": 100 + index,
        "kind": "access",
        "act": "list",
        "identity": bytes(32),
        "name": "Dr Claire Martin",
        "grant": bytes(32),
        "documents": (),
        "changes": (),
        "purpose": None,
    }
    return Entry(index=index, **(made | changes))


def shown(*entries: Entry, everything: bool = False) -> list[list[int]]:
    """The indexes on each line."""
    return [[each.index for each in line] for line in folded(entries, everything=everything)]


def test_listings_of_one_reader_and_day_are_one_line() -> None:
    """Listings fold with each other and not with what is fetched ahead; the line stands where the last one does."""
    entries = [entry(0), entry(1, act="prefetch"), entry(2), entry(3, act="release"), entry(4)]
    assert shown(*entries) == [[1], [3], [0, 2, 4]]
    assert shown(*entries, everything=True) == [[0], [1], [2], [3], [4]]


def test_what_a_person_does_is_never_folded() -> None:
    """Openings, refusals and changes have a line each, however alike."""
    for changes in ({"act": "release"}, {"kind": "refused"}, {"kind": "change"}, {"act": "export"}):
        assert shown(entry(0, **changes), entry(1, **changes)) == [[0], [1]]


def test_readers_days_and_grants_are_kept_apart() -> None:
    """Nothing is hidden of who and when: another reader, day or grant is another line."""
    for changes in ({"identity": bytes([1]) * 32}, {"time": 100 + DAY}, {"grant": None}):
        assert shown(entry(0), entry(1, **changes)) == [[0], [1]]
