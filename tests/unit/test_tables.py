"""Tables on screens of every width."""

import sys

import pytest

from vault_client.commands.tables import drawn

COLUMNS = ("", "Id", "For", "Subject", "Documents", "Until", "")
ROWS = [
    ("1", "171a2704", "Dr Camille Durand-Lefebvre", "rpps:10001234567", "12", "2027-11-22", "in force"),
    ("2", "62fab7ec", "Dr Y", "demo:2", "3", "2026-01-02", "sent, not yet in force"),
]


@pytest.mark.parametrize("width", [1, 10, 20, 40, 60, 72, 80, 81, 85, 90, 100, 120, 200])
def test_what_is_compared_or_copied_is_whole_at_any_width(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Numbers, ids, subjects, counts and dates are never cut or broken."""
    monkeypatch.setenv("COLUMNS", str(width))
    shown = drawn(COLUMNS, ROWS)
    for row in ROWS:
        for number in (1, 3, 4, 5):
            assert any(
                row[number] in line.split() or line.endswith(row[number]) for line in shown.splitlines()
            )
    assert "…" not in shown
    if "Id: " not in shown:
        assert max(map(len, shown.splitlines())) <= width
    letters = shown.replace("\n", " ")
    assert all(word in letters for word in ("Camille", "force"))


def test_a_pipe_has_no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to a file or another program is one line for each row, however long."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    lines = drawn(("Id", "Title"), [("1234", "long " * 60), ("5678", "short")]).splitlines()
    assert sum("long" in line for line in lines) == 1


def test_cells_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets are shown as they are, in a table and in lines."""
    for width in ("200", "10"):
        monkeypatch.setenv("COLUMNS", width)
        assert "[bold]x[/bold]" in drawn(("Id", "Title"), [("12345678", "[bold]x[/bold]")])
