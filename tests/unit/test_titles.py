"""What documents are called in the log, when they are there and when they were deleted."""

from vault_client.commands.titles import called

THERE, GONE, UNKNOWN = (bytes([each]) * 16 for each in (1, 2, 3))


def test_a_deleted_document_keeps_its_title_where_it_is_known(monkeypatch):
    """The title is shown as that of a deleted document; where this device never had it, that is said."""
    deleted = {GONE: "lettre", UNKNOWN: ""}
    for language, gone, unknown in (
        ("en", "lettre (deleted)", "03030303 (deleted, title unknown)"),
        ("fr", "lettre (supprimé)", "03030303 (supprimé, titre inconnu)"),
    ):
        monkeypatch.setenv("COFFRE_LANG", language)
        assert [called(each, {THERE: "scan"}, deleted) for each in (THERE, GONE, UNKNOWN)] == [
            "scan",
            gone,
            unknown,
        ]
    assert called(THERE, {}, {}) == called(THERE, {THERE: ""}, {}) == "01010101"
