"""``serve --fsck`` and the check at every start: each kind of row changed, removed or added by hand is found and named."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crypto.access_log import LEAF, LEAF_VERSION
from crypto.errors import Damaged, NotFound, NotPermitted, NotProven
from crypto.vault_links import Mask
from crypto.wire import messages as m
from tests.contract.grant_story import granted
from tests.contract.in_process import Clock, CosigningKeeper, serving
from tests.contract.record_story import Stored, founded
from tests.contract.test_erasures_api import erasure
from tests.contract.vault_story import World, fresh, leaves_after
from vault_server.__main__ import main
from vault_server.fsck import check
from vault_server.settings import Settings
from vault_server.store.database import Transaction

DIRECTORY, SHARD = "vault.example/coffre/directory", "vault.example/coffre/log/0"


async def lived_in(data: Path, keeper: CosigningKeeper) -> None:
    """A store with everything that has entries: links, events, an end, readings, a refusal, a rotation, cover leaves."""
    async with serving(data, keeper, shard_vaults=2) as running:
        world, stored, masked = World(running), Stored.random(), Stored.random()
        granting = await granted(world, stored, masked)
        record = granting.record
        await granting.open(stored)
        await record.append(await record.submission(Mask(doc=masked.doc, masked=True)))
        api = await granting.recipient.api()
        with pytest.raises(NotFound):
            await api.open(m.OpenRequest(request=await granting.request(masked)))
        await record.rotate()
        await granting.grant(stored, rekey=True)
        unwanted = await granting.open(stored)
        await granting.open(stored)
        request = await erasure(record, unwanted.logged.disclosure.index)
        await (await record.holder.api()).erase(m.EraseRequest(erasure=request))
        await granting.end()

        async def cover(transaction: Transaction) -> None:
            for _ in range(300):
                leaf = bytes([LEAF_VERSION]) + fresh(LEAF - 1)
                running.vault.log.stage_bytes(transaction, record.origin, leaf)

        await running.vault.writer.run(cover)
        await leaves_after(world, record.origin, 300)
        for _ in range(2):
            await founded(world)
        reserving = await world.person()
        await (await reserving.api()).reserve(m.Empty())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CosigningKeeper]:
    """The store, stopped; and its keeper."""
    data, keeper = tmp_path_factory.mktemp("sound") / "data", CosigningKeeper(Clock())
    asyncio.run(lived_in(data, keeper))
    return data, keeper


@pytest.fixture
def data(sound: tuple[Path, CosigningKeeper], tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(sound[0], tmp_path / "data")
    return tmp_path / "data"


def change(data: Path, *statements: str) -> None:
    """Do by hand what no server does."""
    with closing(sqlite3.connect(data / "server" / "coffre.db")) as database, database:
        for sql in statements:
            assert database.execute(sql).rowcount > 0, sql


def fsck(data: Path) -> int:
    """The exit code of the command."""
    return main(["serve", "--data", str(data), "--fsck", "--json"])


def test_an_honest_store_is_whole(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is found; entries, tiles and seconds are said for each log, and not a byte of the database is changed."""
    before = (data / "server" / "coffre.db").read_bytes()
    assert fsck(data) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["whole"] is True
    entries = {log["origin"]: (log["entries"], log["tiles"]) for log in said["logs"]}
    assert entries.keys() == {DIRECTORY, SHARD, SHARD[:-1] + "1"}
    assert entries[SHARD][0] > 300
    assert entries[SHARD][1] == 3  # a full one, a partial one, and the one above
    assert main(["serve", "--data", str(data), "--fsck"]) == 0
    words = capsys.readouterr().out
    assert f"{SHARD} — entries: {entries[SHARD][0]}, tiles: 3, seconds: " in words
    assert "Every log is whole" in words
    assert (data / "server" / "coffre.db").read_bytes() == before


def test_where_no_server_is_nothing_is_made(tmp_path: Path) -> None:
    """A folder without a server is refused, and stays as it was."""
    with pytest.raises(NotPermitted, match="nothing to check"):
        asyncio.run(check(Settings(data=tmp_path)))
    assert list(tmp_path.iterdir()) == []


# By what was done: the statement, and what is said of it.
BY_HAND = {
    "a leaf changed": ("UPDATE leaves SET leaf = CAST(substr(leaf, 1, 65) || zeroblob(32) AS BLOB) WHERE origin LIKE '%/0' AND idx = 7", "Entry 7 of vault.example/coffre/log/0 is not the one"),
    "a leaf of the directory changed": ("UPDATE leaves SET leaf = CAST(x'02' || substr(leaf, 2) AS BLOB) WHERE origin LIKE '%directory' AND idx = 1", "Entry 1 of vault.example/coffre/directory is not the one"),
    "a leaf that is none": ("UPDATE leaves SET leaf = x'00' WHERE origin LIKE '%/0' AND idx = 5", "Entry 5 of vault.example/coffre/log/0 is not a log entry"),
    "a slot changed": ("UPDATE leaves SET slot_two = zeroblob(32) WHERE origin LIKE '%/0' AND idx = 6", "Entry 6 .* filed under another slot"),
    "a leaf removed": ("DELETE FROM leaves WHERE origin LIKE '%/0' AND idx = 9", "Entry 9 of vault.example/coffre/log/0 is gone"),
    "the last leaf removed": ("DELETE FROM leaves WHERE origin LIKE '%/0' AND idx = (SELECT max(idx) FROM leaves WHERE origin LIKE '%/0')", "of vault.example/coffre/log/0 is gone"),
    "a leaf added": ("INSERT INTO leaves SELECT origin, idx + 5000, slot_two, leaf FROM leaves WHERE origin LIKE '%/0' AND idx = 3", "Entry 5003 of vault.example/coffre/log/0 stands outside"),
    "a leaf of another log": ("INSERT INTO leaves SELECT 'elsewhere', idx, slot_two, leaf FROM leaves WHERE origin LIKE '%/0' AND idx = 3", "signed head of elsewhere is gone"),
    "a tile changed": ("UPDATE tiles SET data = zeroblob(8192) WHERE origin LIKE '%/0' AND level = 0 AND n = 0", "Entry 0 of vault.example/coffre/log/0 is not the one whose hash tile 0/0 holds"),
    "a tile cut": ("UPDATE tiles SET data = substr(data, 1, 32) WHERE origin LIKE '%/0' AND level = 0 AND n = 1", "Tile 0/1 of vault.example/coffre/log/0 is not of width"),
    "an upper tile changed": ("UPDATE tiles SET data = zeroblob(32) WHERE origin LIKE '%/0' AND level = 1", "Tile 1/0 of vault.example/coffre/log/0 does not hold the hashes of the tiles below"),
    "a tile removed": ("DELETE FROM tiles WHERE origin LIKE '%/0' AND level = 0 AND n = 0", "Tile 0/0 of vault.example/coffre/log/0 is gone"),
    "an upper tile removed": ("DELETE FROM tiles WHERE origin LIKE '%/0' AND level = 1", "Tile 1/0 of vault.example/coffre/log/0 is gone"),
    "a tile added": ("INSERT INTO tiles SELECT origin, level + 1, n, data FROM tiles WHERE origin LIKE '%/0' AND level = 1", "Tile 2/0 of vault.example/coffre/log/0 belongs to no log"),
    "a tile of another log": ("INSERT INTO tiles SELECT 'elsewhere', level, n, data FROM tiles WHERE origin LIKE '%/0' AND level = 1", "signed head of elsewhere is gone"),
    "a signed head changed": ("UPDATE logs SET root = zeroblob(32) WHERE shard = 0", "vault.example/coffre/log/0 do not have the root of its signed head"),
    "a signed head moved on": ("UPDATE logs SET size = size + 1 WHERE shard = 0", "of vault.example/coffre/log/0 is gone"),
    "a signed head taken back": ("UPDATE logs SET size = size - 1 WHERE shard = 0", "of vault.example/coffre/log/0"),
    "a signed head removed": ("DELETE FROM logs WHERE shard = 0", "signed head of vault.example/coffre/log/0 is gone"),
    "a signed head added": ("INSERT INTO logs SELECT 'vault.example/coffre/log/7', 7, 0, 0, zeroblob(32), NULL, 0", "another log stands in its place"),
    "a published head removed": ("UPDATE logs SET note = NULL WHERE shard = 0", "newest published checkpoint of vault.example/coffre/log/0 is gone"),
    "a published head changed": ("UPDATE logs SET note = CAST(replace(CAST(note AS TEXT), '/0', '/1') AS BLOB) WHERE shard = 0", "newest published checkpoint of vault.example/coffre/log/0 is not as"),
    "a published head of another log": ("UPDATE logs SET note = (SELECT note FROM logs WHERE shard = 1) WHERE shard = 0", "newest published checkpoint of vault.example/coffre/log/0 is not as"),
    "a published head without its newest": ("DELETE FROM directory_heads WHERE replaced_at IS NULL", "newest head of vault.example/coffre/directory is not the one"),
    "an earlier head changed": ("UPDATE directory_heads SET root = zeroblob(32) WHERE size = 1", "head of vault.example/coffre/directory of size 1 was published that"),
    "a head beyond": ("INSERT INTO directory_heads VALUES (900, zeroblob(32), 1)", "head of vault.example/coffre/directory of size 900 was published, and"),
    "places given back": ("UPDATE logs SET taken = taken - 1 WHERE shard = 0", "vault.example/coffre/log/0 says that places were given out: 1. In use are 2"),
    "a reservation removed": ("DELETE FROM reservations", "vault.example/coffre/log/1 says that places were given out: 2. In use are 1"),
    "a link of an identity changed": ("UPDATE identity_links SET envelope = (SELECT envelope FROM identity_links WHERE n = 1) WHERE n = 0 AND identity = (SELECT identity FROM identity_links WHERE n = 1)", "The link that is kept for entry . of vault.example/coffre/directory"),
    "what opens an identity's link changed": ("UPDATE identity_links SET disclosure = (SELECT disclosure FROM identity_links WHERE n = 1) WHERE n = 0 AND identity = (SELECT identity FROM identity_links WHERE n = 1)", "of vault.example/coffre/directory"),
    "a link of an identity removed": ("DELETE FROM identity_links WHERE n = 1", "The link behind entry . of vault.example/coffre/directory is gone"),
    "a link of an identity added": ("INSERT INTO identity_links SELECT identity, 9, envelope, disclosure FROM identity_links WHERE n = 1", "Two rows say that entry . of vault.example/coffre/directory is theirs"),
    "a link of an identity that is none": ("UPDATE identity_links SET envelope = x'7b' WHERE n = 1", "A link of identity [0-9a-f]{64} cannot be read"),
    "a record's head removed": ("DELETE FROM vaults WHERE vault = (SELECT vault FROM grants)", "The head of record [0-9a-f]{64} is gone"),
    "a record's head changed": ("UPDATE vaults SET last = zeroblob(32) WHERE vault = (SELECT vault FROM grants)", "The newest opening of record [0-9a-f]{64}, of an entry of vault.example/coffre/log/0, is gone"),
    "a scan key changed": ("UPDATE vaults SET scan_key = zeroblob(32) WHERE vault = (SELECT vault FROM grants)", "The scan key of record [0-9a-f]{64}, which is written in vault.example/coffre/log/0"),
    "a link removed": ("DELETE FROM vault_links WHERE n = 2", "Link 2 of record [0-9a-f]{64}, which is written in vault.example/coffre/log/0, is gone"),
    "the newest link removed": ("DELETE FROM vault_links WHERE n = (SELECT max(n) FROM vault_links)", "newest link of record [0-9a-f]{64}, which is written in vault.example/coffre/log/0, is gone"),
    "a link changed": ("UPDATE vault_links SET envelope = (SELECT envelope FROM vault_links WHERE n = 3) WHERE n = 2", "Link 2 of record [0-9a-f]{64}, which is written in vault.example/coffre/log/0, cannot be read"),
    "a founding changed": ("UPDATE vault_links SET envelope = (SELECT envelope FROM vault_links WHERE n = 0 AND vault NOT IN (SELECT vault FROM grants) LIMIT 1) WHERE n = 0 AND vault = (SELECT vault FROM grants)", "is not the one it commits to"),
    "what opens a link removed": ("DELETE FROM link_leaves WHERE n = 2 AND place = 1", "What opens the entries of link 2 of record"),
    "what opens a link added": ("INSERT INTO link_leaves SELECT vault, 99, place, disclosure FROM link_leaves WHERE n = 2 AND place = 1", "there is more to open entries of vault.example/coffre/log/0"),
    "what opens a link changed": ("UPDATE link_leaves SET disclosure = (SELECT disclosure FROM link_leaves WHERE n = 2 AND place = 1) WHERE n = 2 AND place = 0", "The link that is kept for entry . of vault.example/coffre/log/0"),
    "an event changed": ("UPDATE events SET envelope = (SELECT envelope FROM events WHERE j = 1) WHERE j = 0", "The link that is kept for entry . of vault.example/coffre/log/0"),
    "an event removed": ("DELETE FROM events WHERE j = 0", "Link 2 of record"),
    "an opening removed": ("DELETE FROM openings WHERE idx = 2 AND vault = (SELECT vault FROM grants)", "The opening of entry 2 of vault.example/coffre/log/0 is gone"),
    "an opening of a reading removed": ("DELETE FROM openings WHERE vault = (SELECT vault FROM grants) AND epoch = 1 AND idx NOT IN (SELECT max(idx) FROM openings WHERE epoch = 1) AND idx NOT IN (SELECT json_extract(disclosure, '$.index') FROM link_leaves)", "The opening of entry [0-9]+ of vault.example/coffre/log/0 is gone"),
    "the newest opening removed": ("DELETE FROM openings WHERE vault = (SELECT vault FROM grants) AND idx = (SELECT max(idx) FROM openings WHERE vault = (SELECT vault FROM grants))", "newest opening of record"),
    "an opening moved to another entry": ("UPDATE openings SET idx = 200 WHERE vault = (SELECT vault FROM grants) AND epoch = 1 AND idx = (SELECT max(idx) FROM openings WHERE epoch = 1)", "The opening of entry 200 of vault.example/coffre/log/0 is of another record"),
    "an opening of another record's entry": ("INSERT INTO openings SELECT (SELECT vault FROM vaults WHERE vault NOT IN (SELECT vault FROM grants) AND CAST(head AS TEXT) LIKE '%log/0%'), idx, 0, box FROM openings WHERE idx = 2 AND vault = (SELECT vault FROM grants)", "of vault.example/coffre/log/0"),
    "an opening of no entry": ("INSERT INTO openings SELECT vault, 5000, epoch, box FROM openings WHERE idx = 2 AND vault = (SELECT vault FROM grants)", "A row names entry 5000 of vault.example/coffre/log/0, and there is none"),
    "an erased entry forgotten": ("DELETE FROM erased", "What was erased of record"),
    "an erased entry added": ("INSERT INTO erased SELECT vault, 2, erasure FROM erased", "What was erased of record"),
    "an erasure removed": ("DELETE FROM erasures", "What was erased of record"),
    "an erasure changed": ("UPDATE erasures SET envelope = CAST(replace(CAST(envelope AS TEXT), 'coffre-1/erasure', 'coffre-1/erasurf') AS BLOB)", "The erasure that is kept for entry"),
    "an erasure's opening removed": ("DELETE FROM openings WHERE (vault, idx) IN (SELECT vault, idx FROM erasures)", "The opening of entry [0-9]+ of vault.example/coffre/log/0 is gone"),
    "an erased opening put back": ("INSERT INTO openings SELECT e.vault, e.idx, o.epoch, o.box FROM erased e JOIN openings o ON o.vault = e.vault AND o.idx = e.erasure", "is still there"),
    "a proof changed": ("UPDATE answers SET digest = zeroblob(32) WHERE at = (SELECT max(at) FROM answers) AND digest = (SELECT min(digest) FROM answers)", "What is kept of an answered request is not what entry"),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "words"), BY_HAND.values(), ids=BY_HAND)
def test_what_was_changed_by_hand_is_found(
    data: Path, sql: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends in 1, names log and place, and says what to do."""
    change(data, sql)
    with pytest.raises(NotProven, match=words):
        asyncio.run(check(Settings(data=data)))
    assert fsck(data) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "Nothing was changed. Restore the newest copy of the data folder." in said.err


# All that is one tree with its heads; what belongs to its entries comes after it, and is --fsck's.
AT_START = (
    "a leaf changed",
    "a leaf of the directory changed",
    "a leaf that is none",
    "a slot changed",
    "a leaf removed",
    "the last leaf removed",
    "a leaf added",
    "a tile changed",
    "a tile cut",
    "an upper tile changed",
    "a tile removed",
    "an upper tile removed",
    "a tile added",
    "a signed head changed",
    "a signed head moved on",
    "a signed head taken back",
    "a published head removed",
    "a published head changed",
    "a published head of another log",
)


@pytest.mark.parametrize("case", AT_START)
async def test_no_start_on_what_does_not_fit(
    data: Path, sound: tuple[Path, CosigningKeeper], case: str
) -> None:
    """Entries, their hashes, tiles, roots and published heads: whatever of them was changed, the server does not start."""
    sql, words = BY_HAND[case]
    change(data, sql)
    with pytest.raises(Damaged, match=f"The server was not started.*{words}"):
        async with serving(data, sound[1]):
            pass


async def test_an_honest_store_is_started(data: Path, sound: tuple[Path, CosigningKeeper]) -> None:
    """Control: the untouched copy serves, and is whole while it does."""
    async with serving(data, sound[1]) as running:
        await World(running).person()
        await check(Settings(data=data))


def test_a_file_that_is_no_database_is_said(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes overwritten in the file itself: in words, and not as a bug."""
    database = data / "server" / "coffre.db"
    content = bytearray(database.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    database.write_bytes(content)
    assert fsck(data) in {1, 3}
    assert "coffre.db" in capsys.readouterr().err
