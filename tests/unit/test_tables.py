"""Tables on screens of every width."""

import sys

import pytest

from vault_client.commands.tables import drawn

COLUMNS = ("", "Id", "For", "Subject", "Documents", "Until", "State")
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
    if "Id:" not in shown:
        assert max(map(len, shown.splitlines())) <= width
    words = shown.split()
    assert all(word in words for word in ("Camille", "Durand-Lefebvre", "force"))
    assert "in force" in " ".join(words)
    assert shown.endswith("\n") or not shown.splitlines()[-1].strip()


def test_a_pipe_has_no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to a file or another program is one line for each row, however long."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    lines = drawn(("Id", "Title"), [("1234", "long " * 60), ("5678", "short")]).splitlines()
    assert sum("long" in line for line in lines) == 1


@pytest.mark.parametrize("width", [20, 40, 60, 72, 80, 100])
def test_cells_of_several_short_words_are_whole(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """What stands in a table beside wide cells is never cut at its edge, and an indented table stays in its place."""
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [("compte-rendu-hospitalisation.pdf", "17\N{NO-BREAK SPACE}625", "0123456789abcdef", "oui / yes")]
    shown = drawn(("Document", "Octets", "SHA-256", "Identique"), rows, indent=3)
    assert all(" ".join(cell.split()) in " ".join(shown.split()) for cell in rows[0])
    assert all(line.startswith("   ") for line in shown.splitlines() if line.strip())
    if "SHA-256:" not in shown:
        assert max(map(len, shown.splitlines())) <= width


def test_cells_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets are shown as they are, in a table and in lines."""
    for width in ("200", "10"):
        monkeypatch.setenv("COLUMNS", width)
        assert "[bold]x[/bold]" in drawn(("Id", "Title"), [("12345678", "[bold]x[/bold]")])
