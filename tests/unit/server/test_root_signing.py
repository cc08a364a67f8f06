"""The operator's command for trust roots: what it signs, what it says of it, and what it refuses to sign."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crypto import labels, trust_root_chain
from crypto.encoding import decode, encode
from crypto.signing import Envelope, SigningKey, sign
from crypto.trust_root import Policy, TrustRoot
from tests.contract.in_process import START
from tests.unit.server.test_keeper_cards import card, files
from vault_server import instance as instances
from vault_server import root_command, root_words
from vault_server.__main__ import main
from vault_server.instance import TWO_YEARS
from vault_server.keeper_cards import read_keepers
from vault_server.root_signing import newest
from vault_server.settings import Settings
from vault_server.version import VERSION

DAY = 24 * 3600
Type = Callable[..., tuple[int, str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A new instance with four keepers."""
    made = Settings(data=tmp_path / "data", public_host="vault.example")
    cards = files(tmp_path, [card(place) for place in range(4)])
    instances.found(made, read_keepers(cards), 8765, START)
    return made


@pytest.fixture
def type_(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command at ``START``: exit code, and what was printed."""
    monkeypatch.setattr(root_command.time, "time", lambda: START)

    def typed(act: str, *words: str, data: bool = True) -> tuple[int, str]:
        named = ["--data", str(settings.data)] if data else []
        code = main(["trust-root", act, *words, *named])
        said = capsys.readouterr()
        return code, said.out + said.err

    return typed


def root_of(settings: Settings) -> TrustRoot:
    """The newest."""
    return newest(settings).root


def test_a_new_expiry_is_the_least_change(settings: Settings, type_: Type) -> None:
    """It is said, signed once it is agreed to, and served from the next start on, though the one before has expired."""
    before = root_of(settings)
    code, said = type_("sign", "--days", "100", "--yes")
    assert (code, root_of(settings).expiry) == (0, START + 100 * DAY)
    assert "It expires on 2027-04-25; the one before expires on 2029-01-14." in said
    changed = {"version", "previous", "expiry"}
    after = msgspec.structs.asdict(root_of(settings))
    assert {name for name, value in msgspec.structs.asdict(before).items() if after[name] != value} == changed
    late = START + 101 * DAY
    with pytest.raises(Exception, match="has expired"):
        instances.load(settings, 8765, late)
    assert type_("sign", "--yes")[0] == 0
    assert instances.load(settings, 8765, late).ref.version == 3
    assert root_of(settings).expiry == START + TWO_YEARS


@pytest.mark.parametrize(("answer", "signs"), [("yes", True), ("Yes ", True), ("no", False), ("", False)])
def test_nothing_is_signed_without_a_yes(
    settings: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch, answer: str, signs: bool
) -> None:
    """The question comes after what changes; another answer signs nothing."""
    at_a_terminal(monkeypatch, lambda _: answer)
    code, said = type_("sign")
    assert "Version 2 of the trust root changes this:" in said
    assert (code, newest(settings).ref.version) == ((0, 2) if signs else (1, 1))


def test_where_nobody_can_be_asked_a_yes_is_typed_beforehand(
    settings: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a terminal, with --json, or when the input ends, it is wrong use, as in every other command; --yes signs."""
    first = settings.server_folder / "trust-roots" / "1.json"
    cosigning = ("cosign", str(first), "--after", str(first), "--key", str(tmp_path / "none"))
    for words, named in ((("sign",), True), (("sign", "--json"), True), (cosigning, False)):
        code, said = type_(*words, data=named)
        assert (code, "Add --yes if it is meant." in said) == (2, True)

    def ended(_: str) -> str:
        raise EOFError

    at_a_terminal(monkeypatch, ended)
    assert type_("sign", "--json")[0] == 2
    code, said = type_("sign")
    assert (code, "The question was not answered." in said) == (2, True)
    assert newest(settings).ref.version == 1
    assert type_("sign", "--json", "--yes")[0] == 0


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], str]) -> None:
    """Have somebody at the terminal who answers."""
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--registrar", "00"), "00 names no scheme"),
        (("--registrar", "xy:rpps"), "xy is not a public key in hexadecimal"),
        (("--retire-registrar", "00"), "00 is not a public key"),
        (("--root-key", "0" * 63), "is not a public key"),
    ],
)
def test_what_is_no_key_is_not_understood(
    type_: Type, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """A key or a scheme that is none is wrong use, said before anything is done."""
    with pytest.raises(SystemExit) as ended:
        type_("sign", *words, "--yes")
    assert (ended.value.code, said in capsys.readouterr().err) == (2, True)


def test_a_keeper_retires_and_another_comes(settings: Settings, type_: Type, tmp_path: Path) -> None:
    """The retired one stays listed for 400 days, the number of live ones stays, and what changes is said of each."""
    (path,) = files(tmp_path, [card(4)])
    words = ("--keeper", str(path), "--retire-keeper", "keeper-0", "--independent", "keeper-1", "keeper-4")
    code, said = type_("sign", *words, "--yes")
    assert code == 0
    root = root_of(settings)
    assert [keeper.name for keeper in root.live_keepers] == [f"keeper-{place}" for place in (1, 2, 3, 4)]
    assert [keeper.independent for keeper in root.live_keepers] == [True, False, False, True]
    assert root.keepers[0].retired_until == START + 400 * DAY
    for sentence in (
        "The keeper keeper-0 retires. It answers for what was granted before until 2028-02-19",
        "The keeper keeper-4 is added, run by operator 4 and reached at https://keeper-4.example.",
        "The keeper keeper-4 is independent of the server",
        "The keeper keeper-1 is independent of the server",
    ):
        assert sentence in said
    assert "Keepers who must sign" not in said
    assert type_("sign", "--not-independent", "keeper-1", "--yes")[0] == 0
    assert not root_of(settings).keepers[1].independent


def test_more_keepers_are_another_policy_and_the_earlier_one_stays(
    settings: Settings, type_: Type, tmp_path: Path
) -> None:
    """With a fifth keeper 4 of 5 must sign; what was granted under 3 of 4 is believed as before. A card may move a keeper."""
    (path,) = files(tmp_path, [card(4)])
    code, said = type_("sign", "--keeper", str(path), "--yes")
    assert code == 0
    assert "Keepers who must sign from now on: 4 of 5, instead of 3 of 4." in said
    root = root_of(settings)
    assert (root.policies, root.policy) == ((Policy(k=3, n=4), Policy(k=4, n=5)), Policy(k=4, n=5))
    (path,) = files(tmp_path, [moved(root, url="https://moved.example")])
    code, said = type_("sign", "--keeper", str(path), "--yes")
    assert "is called keeper-4 from now on, run by operator 4 and reached at https://moved.example." in said
    assert len(root_of(settings).keepers) == 5


def test_from_seven_keepers_to_four_the_way_is_by_five(
    tmp_path: Path, settings: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 of 7 straight to 3 of 4 is refused in words that say the way; by way of 4 of 5 each step is signed.

    The twin, which does not look whether quorums meet, signs it. One that was signed so elsewhere is not published.
    """
    more = files(tmp_path, [card(place) for place in range(4, 7)])
    assert type_("sign", "--keeper", *map(str, more), "--yes")[0] == 0
    assert root_of(settings).policy == Policy(k=5, n=7)
    straight = ("--retire-keeper", "keeper-0", "keeper-1", "keeper-2")
    code, said = type_("sign", *straight, "--yes", "--json")
    assert (code, "Go by way of 4 of 5: sign and publish that first" in said) == (1, True)
    elsewhere = tmp_path / "next.json"
    with monkeypatch.context() as twin:
        twin.setattr(root_words, "_quorums_meet", lambda *_: True)
        assert type_("sign", *straight, "--yes", "--to", str(elsewhere))[0] == 0
    assert type_("publish", str(elsewhere))[0] == 1
    assert newest(settings).ref.version == 2
    for retired in (("keeper-0", "keeper-1"), ("keeper-2",)):
        assert type_("sign", "--retire-keeper", *retired, "--yes")[0] == 0
    assert root_of(settings).policy == Policy(k=3, n=4)


def moved(root: TrustRoot, **changes: str) -> object:
    """The card of the last keeper, with changes."""
    keeper = root.keepers[-1]
    own = card(0)
    return msgspec.structs.replace(
        own,
        name=keeper.name,
        cosigning_key=keeper.cosigning_key,
        sealing_key=keeper.sealing_key,
        operator=keeper.operator,
        **changes,
    )


def test_registrars_and_the_least_client(settings: Settings, type_: Type) -> None:
    """A registrar comes with its schemes, gets one more, and retires; clients are asked to be no newer than this program."""
    key = SigningKey.generate().public.raw.hex()
    assert type_("sign", "--registrar", f"{key}:rpps,finess", "--minimum-client", VERSION, "--yes")[0] == 0
    code, said = type_("sign", "--registrar", f"{key}:rpps,x", "--yes")
    assert (code, f"The registrar {key} may certify: x." in said) == (0, True)
    assert type_("sign", "--retire-registrar", key, "--yes")[0] == 0
    registrar = root_of(settings).registrars[-1]
    assert (registrar.schemes, registrar.retired_since) == (("rpps", "finess", "x"), START)


WRONG = {
    "three keepers": ("--retire-keeper", "keeper-0"),
    "no such keeper": ("--retire-keeper", "keeper-9"),
    "no such registrar": ("--retire-registrar", SigningKey.generate().public.raw.hex()),
    "a client of the future": ("--minimum-client", "999.0.0"),
    "no version": ("--minimum-client", "new"),
    "no such root key": ("--drop-root-key", SigningKey.generate().public.raw.hex()),
    "more signatures than keys": ("--threshold", "2"),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_not_signed(settings: Settings, type_: Type, words: tuple[str, ...]) -> None:
    """It is refused before the question, and the chain stays as it was."""
    assert type_("sign", *words, "--yes")[0] == 1
    assert newest(settings).ref.version == 1


def test_a_retired_keeper_does_not_come_back(settings: Settings, type_: Type, tmp_path: Path) -> None:
    """Neither by its card nor by its name; a new one with its name has other keys. Nor does it retire for some days only."""
    retiring = root_of(settings).keepers[0]
    (new,) = files(tmp_path, [msgspec.structs.replace(card(0), name="keeper-0")])
    assert type_("sign", "--keeper", str(new), "--yes")[0] == 1  # two of one name at once
    assert type_("sign", "--keeper", str(new), "--retire-keeper", "keeper-0", "--yes")[0] == 1
    (other,) = files(tmp_path, [card(4)])
    assert type_("sign", "--keeper", str(other), "--retire-keeper", "keeper-0", "--yes")[0] == 0
    again = msgspec.structs.replace(
        card(0), cosigning_key=retiring.cosigning_key, sealing_key=retiring.sealing_key
    )
    (path,) = files(tmp_path, [again])
    code, said = type_("sign", "--keeper", str(path), "--yes")
    assert (code, "does not come back" in said) == (1, True)
    with pytest.raises(SystemExit):
        type_("sign", "--retire-keeper", "keeper-1", "--retire-days", "365")


def test_several_sign_in_several_places(settings: Settings, type_: Type, tmp_path: Path) -> None:
    """A second root key is added by both, then both must sign: a file goes round, and is published once enough have signed."""
    key, file = tmp_path / "second.key", tmp_path / "next.json"
    first, second = (
        settings.server_folder / "trust-roots" / "1.json",
        settings.server_folder / "trust-roots" / "2.json",
    )
    code, said = type_("key", str(key), "--json", data=False)
    public = json.loads(said)["public"]
    assert (code, key.stat().st_mode & 0o077) == (0, 0)
    assert type_("key", str(key), data=False)[0] == 1  # it is not overwritten

    adding = ("--root-key", public, "--threshold", "2", "--yes")
    code, said = type_("sign", *adding)
    assert (code, "Name a file" in said) == (1, True)
    assert json.loads(type_("sign", *adding, "--to", str(file), "--json")[1])["missing"] == 1
    assert type_("publish", str(file))[0] == 1
    signing = ("--after", str(first), "--key", str(key), "--yes")
    code, said = type_("cosign", str(file), *signing, data=False)
    assert (code, "Root keys that must sign a trust root: 2 of 2." in said) == (0, True)
    assert type_("cosign", str(file), *signing, data=False)[0] == 1  # it has signed
    assert type_("publish", str(file))[0] == 0
    assert type_("publish", str(file))[0] == 1  # once
    assert second.exists()

    assert type_("sign", "--yes")[0] == 1
    assert type_("sign", "--yes", "--to", str(file))[0] == 0
    code, _ = type_("cosign", str(file), *signing, data=False)
    assert code == 1  # it does not follow the first
    after_second = ("--after", str(second), "--key", str(key), "--yes")
    assert type_("cosign", str(file), *after_second, data=False)[0] == 0
    assert type_("publish", str(file))[0] == 0
    assert instances.load(settings, 8765, START).ref.version == 3

    assert (
        type_("sign", "--drop-root-key", public, "--yes", "--to", str(file))[0] == 1
    )  # of one key two cannot sign
    assert type_("sign", "--drop-root-key", public, "--threshold", "1", "--yes", "--to", str(file))[0] == 0


UNSPOKEN = {
    "hosts": ("vault.example", "other.example"),
    "never_granted": (),
    "log_key": SigningKey.generate().public.raw,
    "policies": (Policy(k=1, n=1),),
}


@pytest.mark.parametrize("field", UNSPOKEN)
def test_what_has_no_words_is_neither_signed_nor_published(
    settings: Settings, type_: Type, tmp_path: Path, field: str
) -> None:
    """Somebody else's proposal that changes what no sentence would show is refused to both, however well it is signed."""
    known = newest(settings)
    body = msgspec.structs.replace(
        known.root, version=2, previous=known.ref.digest, expiry=START + DAY, **{field: UNSPOKEN[field]}
    )
    second = SigningKey.generate()
    body = msgspec.structs.replace(body, root_keys=(*body.root_keys, second.public.raw))
    key = instances.read_key(settings.operator_folder / "root.key")
    file, other = tmp_path / "next.json", tmp_path / "second.key"
    file.write_bytes(encode(sign(labels.TRUST_ROOT, body, key)))
    other.write_bytes(second.seed.reveal())
    first = settings.server_folder / "trust-roots" / "1.json"
    cosigning = ("cosign", str(file), "--after", str(first), "--key", str(other), "--yes")
    assert type_(*cosigning, data=False)[0] == 1
    assert type_("publish", str(file))[0] == 1
    control = msgspec.structs.replace(body, **{field: getattr(known.root, field)})
    file.write_bytes(encode(sign(labels.TRUST_ROOT, control, key)))
    assert type_(*cosigning, data=False)[0] == 0
    assert len(decode(file.read_bytes().strip(), Envelope).signatures) == 2
    assert type_("publish", str(file))[0] == 0


def test_a_strangers_signature_is_refused(settings: Settings, type_: Type, tmp_path: Path) -> None:
    """A key that neither version names signs nothing, and what it signed is not published."""
    file, key = tmp_path / "next.json", tmp_path / "stranger.key"
    assert type_("key", str(key), data=False)[0] == 0
    assert type_("sign", "--key", str(key), "--yes", "--to", str(file))[0] == 1
    assert not file.exists()
    known = newest(settings)
    body = msgspec.structs.replace(known.root, version=2, previous=known.ref.digest)
    file.write_bytes(encode(sign(labels.TRUST_ROOT, body, instances.read_key(key))))
    assert type_("publish", str(file))[0] == 1
    assert newest(settings).ref == trust_root_chain.first(instances.trust_roots(settings)[0], card=None).ref


def test_what_it_says_now_is_shown(settings: Settings, type_: Type, tmp_path: Path) -> None:
    """Keepers, registrars, root keys and expiry, retired ones as such; a folder without a server is refused."""
    (path,) = files(tmp_path, [card(4)])
    assert type_("sign", "--keeper", str(path), "--retire-keeper", "keeper-0", "--yes")[0] == 0
    code, said = type_("show")
    assert code == 0
    for sentence in (
        "This is version 2 of the trust root.",
        "The keeper keeper-0 has retired; it answers until 2028-02-19.",
        "The keeper keeper-4 is run by operator 4 and reached at https://keeper-4.example.",
        "Keepers who must sign: 3 of 4.",
        "may certify: demo, app.",
        "Root keys that must sign a trust root: 1 of 1.",
    ):
        assert sentence in said
    assert json.loads(type_("show", "--json")[1])["version"] == 2
    assert main(["trust-root", "show", "--data", str(tmp_path / "nothing")]) == 1
