"""A ciphertext on its way into a file, cut wherever it may be."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import CannotOpen, TooLarge, Unreachable
from crypto.wire.messages import CiphertextQuery
from vault_client import transfer
from vault_client.transfer import Download

QUERY = CiphertextQuery(vault=bytes(32), request=None, ver=bytes(16), start=0)
DATA = bytes(range(200))


class Server:
    """Serves DATA, and breaks off after as many bytes as the next of ``cuts`` says; then no more."""

    def __init__(self, cuts: list[int]) -> None:
        self.cuts = cuts
        self.sent = 0
        self.data = DATA

    async def ciphertext(self, query: CiphertextQuery) -> AsyncGenerator[bytes, None]:
        """From a byte on."""
        size = self.cuts.pop(0) if self.cuts else len(self.data)
        for start in range(query.start, min(query.start + size, len(self.data)), 7):
            chunk = self.data[start : min(start + 7, query.start + size)]
            self.sent += len(chunk)
            yield chunk
        if size < len(self.data) - query.start:
            raise Unreachable("Cut.")


def download(server: Server, file: Path) -> Download:
    """Of all of DATA."""
    return Download(server, file, QUERY, len(DATA))  # type: ignore[arg-type]


@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=8))
async def test_no_byte_is_asked_for_twice(cuts: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Wherever and however often it is cut: every byte comes once, whether the program lived on or not."""
    file, server = tmp_path_factory.mktemp("spool") / "file", Server(cuts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transfer, "WAITS", (0.0, 0.0))
        while True:
            try:
                await download(server, file).fetch()
            except Unreachable:
                continue
            break
    assert file.read_bytes() == DATA
    assert server.sent == len(DATA)


async def test_it_is_said_how_much_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is given up: how much stays, and how to go on; nothing of that when nothing came."""
    monkeypatch.setattr(transfer, "WAITS", ())
    with pytest.raises(Unreachable, match="50 % of the document is here and stays for 7 days"):
        await download(Server([100]), tmp_path / "file").fetch()
    with pytest.raises(Unreachable, match="Cut"):
        await download(Server([0]), tmp_path / "other").fetch()


async def test_what_is_too_long_is_not_gone_on_with(tmp_path: Path) -> None:
    """A file longer than the document is begun anew; a server that sends more than that is refused."""
    file, server = tmp_path / "file", Server([])
    file.write_bytes(DATA + b"x")
    await download(server, file).fetch()
    assert file.read_bytes() == DATA
    server.data = DATA + b"x"
    file.unlink()
    with pytest.raises(TooLarge):
        await download(server, file).fetch()


async def test_only_what_was_left_is_fetched_a_second_time(tmp_path: Path) -> None:
    """What does not open is fetched anew if an earlier run had begun it, and only once."""
    for left, fetched in ((b"", 1), (DATA[:50], 2)):
        file, server, tries = tmp_path / "file", Server([]), []
        file.write_bytes(left)
        download_of_it = download(server, file)
        await download_of_it.fetch()

        async def fail(tries: list[int] = tries) -> None:
            tries.append(1)
            raise CannotOpen

        with pytest.raises(CannotOpen):
            await download_of_it.opened(fail)
        assert len(tries) == fetched
        assert server.sent == fetched * len(DATA) - len(left)
