"""Whatever comes from elsewhere is read as what it is, or refused in words; nothing is left over between."""

import ast
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.encoding import decode, encode
from crypto.errors import CoffreError, Damaged
from crypto.identity_chain import Known
from crypto.identity_state import IdentityState, Waiting
from tests.strategies import all_kinds, bodies, edits
from tests.wire.effort import examples
from tests.wire.parsers import NOT_HERE, PARSERS, Parser
from vault_client import profile_file

ROOT = Path(__file__).resolve().parents[2]
COUNT = "inputs to parsers, made by hypothesis"
READER = re.compile("(read|parse|decode|split|unpad|open|from)(_|$)")
# Folded states, which are never sent.
SENT = [kind for kind in all_kinds() if kind not in {IdentityState, Known, Waiting}]


def anything(honest: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Honest input; with a few edits; cut short or doubled; and any bytes at all."""
    edited = honest.flatmap(lambda data: edits(data) if data else st.binary(max_size=9))
    return st.one_of(
        honest,
        edited,
        edited.flatmap(lambda data: edits(data) if data else st.just(data)),
        st.tuples(honest, st.integers(0, 400)).map(lambda cut: cut[0][: cut[1]]),
        honest.map(lambda data: data + data),
        st.binary(max_size=200),
        st.text(max_size=60).map(lambda said: said.encode("utf-8", "surrogatepass")),
    )


def holds(read: Callable[[bytes], Any], write: Callable[[Any], bytes] | None, data: bytes) -> None:
    """``data`` is refused in words, or is just what its meaning is written as."""
    try:
        meaning = read(data)
    except CoffreError:
        return
    assert write is None or write(meaning) == data


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_reads_or_refuses(parser: Parser, record_property: Callable[[str, object], None]) -> None:
    """Honest, spoilt or arbitrary bytes are refused by an error of ours, or are the encoding of what was read."""
    tried = 0

    @examples(20)
    @given(anything(parser.honest))
    def run(data: bytes) -> None:
        nonlocal tried
        tried += 1
        holds(parser.read, parser.write, data)

    run()
    record_property(COUNT, tried)


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_a_message_is_read_or_refused(
    kind: type[msgspec.Struct], record_property: Callable[[str, object], None]
) -> None:
    """So is every message and body, by the one decoder."""
    tried = 0

    @examples(3)
    @given(anything(bodies(kind).map(encode)))  # type: ignore[arg-type]
    def run(data: bytes) -> None:
        nonlocal tried
        tried += 1
        holds(lambda data: decode(data, kind, limit=1 << 26), encode, data)

    run()
    record_property(COUNT, tried)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"' + b"\\" * 100_001,
        b"1" * 100_000,
        b'{"since":' + b"1" * 100_000 + b"}",
        b'{"since":1' + b"0" * 400 + b"}",
        b'{"since":1e999999999}',
        b"\xff" * 100_000,
        b"null" * 1000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_depth_and_length_are_refused_at_once(data: bytes) -> None:
    """Nesting without end, numbers without end and quotes without end are refused by every parser, as all else is."""
    for parser in PARSERS:
        holds(parser.read, parser.write, data)
    for kind in SENT:
        with pytest.raises(CoffreError):
            decode(data, kind)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_reads_what_is_honest(parser: Parser) -> None:
    """A sample of each parser that looks at bytes itself is read and written again: none of them refuses everything."""
    for sample in parser.samples:
        meaning = parser.read(sample)
        assert parser.write is None or parser.write(meaning) == sample


@examples(40)
@given(
    data=anything(st.just(b"SQLite format 3\0" + bytes(44) + b"\0\0\0\1" + bytes(4) + b"Cofr" + bytes(28)))
)
def test_the_head_of_a_profile_is_recognised_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """A file that does not begin as a profile of this format is Damaged before SQLite looks at it."""
    folder = tmp_path_factory.mktemp("profile")
    (folder / profile_file.FILE).write_bytes(data)
    sound = (data[:16], data[60:64], data[68:72]) == (b"SQLite format 3\0", b"\0\0\0\1", b"Cofr")
    with nullcontext() if sound else pytest.raises(Damaged):
        profile_file.recognise(folder)


def test_a_parser_that_is_less_strict_would_be_noticed() -> None:
    """A reader that lets a byte through that it does not write, or raises something else, does not hold."""
    with pytest.raises(AssertionError):
        holds(int, lambda number: b"%d" % number, b"007")
    with pytest.raises(ValueError, match="literal"):
        holds(int, None, b"x")


def test_no_parser_is_forgotten() -> None:
    """Every function of ``crypto`` that is called like a reader has a row, or a reason for having none."""
    found = set()

    def walk(node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                walk(child, f"{name}.{child.name}")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and READER.match(child.name):
                found.add(f"{name}.{child.name}")

    for path in (ROOT / "crypto").rglob("*.py"):
        walk(ast.parse(path.read_text()), ".".join(path.relative_to(ROOT).with_suffix("").parts))
    rows = {parser.name for parser in PARSERS}
    assert len(rows) == len(PARSERS)
    assert found - rows - set(NOT_HERE) == set()
    assert {name for name in rows if name.startswith("crypto.")} - found == {"crypto.wire.problems.error_of"}
    assert set(NOT_HERE) <= found


def test_only_named_places_read_bytes_by_themselves() -> None:
    """Outside ``crypto``, base64, hexadecimal and JSON are read in these places only: all else goes through it."""
    primitive = {"b64decode", "urlsafe_b64decode", "b32decode", "from_bytes", "fromhex", "loads", "unpack"}
    found = set()
    for package in ("vault_server", "vault_client"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in primitive
                ):
                    found.add((path.relative_to(ROOT).as_posix(), node.func.attr))
    assert found == {
        ("vault_server/leaves_file.py", "from_bytes"),  # two lengths
        ("vault_server/passkeys.py", "from_bytes"),  # where the key begins in an authenticator's data
        ("vault_server/routes/gate.py", "b64decode"),
        ("vault_server/root_command.py", "fromhex"),  # a key that the operator names
        ("vault_server/store/ciphertext.py", "fromhex"),  # the names of its own files
        ("vault_client/commands/cards.py", "loads"),  # what was just encoded
        ("vault_client/commands/patient_sharing.py", "fromhex"),
        ("vault_client/commands/practitioner.py", "fromhex"),  # what was just encoded
        ("vault_client/demo/client_commands.py", "loads"),  # the --json of a command it ran
        ("vault_client/demo/processes.py", "loads"),  # the ready line of a program it started
    }
