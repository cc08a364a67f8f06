"""Which keepers a new instance takes in, and what is refused in words before anything is made."""

from pathlib import Path

import msgspec
import pytest

from crypto.encoding import encode
from crypto.errors import Damaged, Malformed, NotPermitted
from crypto.sealed.unsealing import UnsealingKey
from crypto.signing import SigningKey
from crypto.wire.keeper_api import KeeperCard
from tests.contract.in_process import START
from vault_server import instance as instances
from vault_server.__main__ import main
from vault_server.keeper_cards import read_keepers
from vault_server.keeper_process import CARD, KEYS, stands_beside
from vault_server.settings import Settings
from vault_server.store.files import make_folder


def card(place: int) -> KeeperCard:
    """The card of a keeper that nobody runs."""
    return KeeperCard(
        name=f"keeper-{place}",
        cosigning_key=SigningKey.generate().public.raw,
        sealing_key=UnsealingKey.generate().public,
        url=f"https://keeper-{place}.example",
        operator=f"operator {place}",
    )


def files(folder: Path, cards: list[KeeperCard]) -> list[Path]:
    """The files of ``cards``."""
    paths = [folder / f"card-{place}.json" for place in range(len(cards))]
    for path, each in zip(paths, cards, strict=True):
        path.write_bytes(encode(each) + b"\n")
    return paths


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (4, 3), (5, 4), (7, 5)])
def test_the_number_of_keepers_is_the_policy(tmp_path: Path, count: int, needed: int) -> None:
    """1, 4, 5 and 7 keepers found an instance of which 1, 3, 4 and 5 must sign; some are said to be independent."""
    cards = [card(place) for place in range(count)]
    keepers = read_keepers(files(tmp_path, cards), ["keeper-0"])
    assert [keeper.independent for keeper in keepers] == [True] + [False] * (count - 1)
    settings = Settings(data=tmp_path / "data", public_host="vault.example")
    instances.found(settings, keepers, 8765, START)
    own = instances.load(settings, 8765, START)
    assert (own.root.policy.k, own.root.policy.n, own.cosignatures_needed) == (needed, count, needed)
    assert [keeper.name for keeper in own.root.live_keepers] == [each.name for each in cards]
    instances.check_keepers(own, keepers[::-1])
    instances.check_keepers(own, ())
    for other in (read_keepers(files(tmp_path, cards)), read_keepers(files(tmp_path, [card(0)]))):
        with pytest.raises(NotPermitted, match="not those of its trust root"):
            instances.check_keepers(own, other)


def test_other_numbers_of_keepers_are_refused(tmp_path: Path) -> None:
    """None, two, three, six and eight are no service, and it is said what is."""
    for count in (0, 2, 3, 6, 8):
        with pytest.raises(
            NotPermitted, match=f"this number of keepers: {count}.*or 4, of which 3 must sign"
        ):
            read_keepers(files(tmp_path, [card(place) for place in range(count)]))


def test_keepers_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    """The same card twice, or one name, address or key in two cards; a name that is nobody's; a file that is no card."""
    cards = [card(place) for place in range(4)]
    for field in ("name", "url", "cosigning_key", "sealing_key"):
        twice = [*cards[:3], msgspec.structs.replace(cards[3], **{field: getattr(cards[0], field)})]
        with pytest.raises(NotPermitted, match="Two keepers have the same"):
            read_keepers(files(tmp_path, twice))
    paths = files(tmp_path, cards)
    with pytest.raises(NotPermitted, match=r"No keeper is called keeper-9.*keeper-0, keeper-1"):
        read_keepers(paths, ["keeper-0", "keeper-9"])
    with pytest.raises(NotPermitted, match="https"):
        read_keepers(files(tmp_path, [msgspec.structs.replace(cards[0], url="http://keeper.example")]))
    paths[2].write_text("{}")
    with pytest.raises(Malformed):
        read_keepers(paths)
    paths[2].unlink()
    with pytest.raises(Damaged, match="card-2"):
        read_keepers(paths)


def test_only_a_keeper_of_the_trust_root_is_started_beside_the_server(tmp_path: Path) -> None:
    """Its keys must be here, and the trust root must name it."""
    own, settings = card(0), Settings(data=tmp_path / "data", public_host="vault.example")
    instances.found(settings, read_keepers(files(tmp_path, [own])), 8765, START)
    root = instances.load(settings, 8765, START).root
    assert not stands_beside(settings, root.live_keepers)
    make_folder(settings.keeper_folder)
    (settings.keeper_folder / CARD).write_bytes(encode(own))
    assert not stands_beside(settings, root.live_keepers)  # a copy of the card alone
    make_folder(settings.keeper_folder / KEYS)
    assert stands_beside(settings, root.live_keepers)
    (settings.keeper_folder / CARD).write_bytes(encode(card(0)))
    assert not stands_beside(settings, root.live_keepers)


def test_the_command_refuses_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three cards: exit code 1, in words, and no folder. --independent alone, or --keepers where nothing starts: 2."""
    paths = files(tmp_path, [card(place) for place in range(3)])
    data = tmp_path / "data"
    assert main(["serve", "--data", str(data), "--keepers", *map(str, paths)]) == 1
    assert "this number of keepers: 3" in capsys.readouterr().err
    named = ["--keepers", str(paths[0])]
    for meaningless in (["--independent", "keeper-0"], [*named, "--fsck"], [*named, "--backup", str(data)]):
        with pytest.raises(SystemExit) as usage:
            main(["serve", "--data", str(data), *meaningless])
        assert usage.value.code == 2
        assert "--keepers" in capsys.readouterr().err
    assert not data.exists()
