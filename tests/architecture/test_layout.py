"""What the tree must look like: who imports whom, how long files are, and that nothing secret prints."""

import ast
import importlib.metadata
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from crypto import labels
from crypto.derivation import Deriver, Mac
from crypto.encoding import SecretBody
from crypto.es256 import Es256Key
from crypto.locators import Locator
from crypto.sealed.content import Opener, Sealer
from crypto.sealed.local_records import LocalRecords
from crypto.sealed.recovery import Kit
from crypto.sealed.shares import ShareB
from crypto.sealed.unsealing import UnsealingKey
from crypto.sealed.wrapping import GrantWrapper, SelfWrapper
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from tests.strategies import all_kinds

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("crypto", "languages", "vault_server", "vault_client")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 400
EXEMPT = {"crypto/unicode14.py"}  # a table
MARK = b"very-confidential-bytes-of-a-key"
# Fields of these names hold keys, tags that are rights, or what is readable only by whom it was sealed to.
SECRET_FIELDS = {"seed", "seeds", "secret", "scan_key", "grant_key", "end_key", "shares", "token", "reason"}


def named(path: Path) -> str:
    """A source file's name within the tree."""
    return path.relative_to(ROOT).as_posix()


def in_fresh_process(code: str) -> str:
    """What ``code`` prints in a Python that has loaded nothing yet."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_contracts_are_kept():
    """Every contract of import-linter in pyproject.toml holds."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in done.stdout


def test_the_name_crypto_is_ours():
    """No other distribution brings a top-level ``crypto``, and pycrypto's ``Crypto`` is not here to be confused with."""
    owners = importlib.metadata.packages_distributions().get("crypto", [])
    assert set(owners) <= {"coffre"}
    assert importlib.util.find_spec("Crypto") is None
    assert Path(importlib.util.find_spec("crypto").origin) == ROOT / "crypto" / "__init__.py"


def test_the_lock_names_no_confusable_package():
    """None of the packages that install ``crypto`` or ``Crypto`` is locked."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    names = {package["name"] for package in packages}
    assert "cryptography" in names
    assert not names & {"crypto", "pycrypto", "pycryptodome"}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_source_file_is_short(path):
    """No source file has more than 400 lines, but for tables."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST or named(path) in EXEMPT, f"{named(path)} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_nothing_is_asserted_outside_tests(path):
    """No source file checks anything by ``assert``, which ``python -O`` removes, nor passes over an error in silence."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Assert), f"{named(path)}:{node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            silent = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            assert not silent, f"{named(path)}:{node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_module_does_not_take_a_name_of_the_standard_library(path):
    """A module of ours is not called like one of Python's."""
    assert path.stem == "__init__" or path.stem not in sys.stdlib_module_names


def test_the_server_cannot_open_anything():
    """Starting the server's app in a fresh process loads no module of ``crypto.sealed``."""
    code = "import vault_server.app, sys; print([name for name in sys.modules if name.startswith('crypto.sealed')])"
    assert in_fresh_process(code).strip() == "[]"


def test_crypto_is_pure():
    """Importing all of ``crypto`` loads nothing that talks to a network, a database or a terminal."""
    code = (
        "import pkgutil, importlib, sys, crypto\n"
        "for module in pkgutil.walk_packages(crypto.__path__, 'crypto.'): importlib.import_module(module.name)\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'aiohttp', 'litestar', 'uvicorn', 'sqlite3', 'structlog', 'rich', 'requests'}))"
    )
    assert in_fresh_process(code).strip() == "[]"


def test_labels_are_all_distinct():
    """No two labels are the same, and every one names the suite."""
    found = {name: value for name, value in vars(labels).items() if name.isupper() and name != "SUITE"}
    assert len(found) > 40
    assert len(set(found.values())) == len(found)
    assert all(value.startswith(f"{labels.SUITE}/") and value.isascii() for value in found.values())


def secret_holders() -> list[object]:
    """One of each type that holds key material and is no body, made of recognisable bytes."""
    secret = SecretBytes(MARK)
    ids = {"vault": bytes(32), "gid": bytes(32), "rekey": 0, "recipient": bytes(32), "reading_key": 0}
    sealer = Sealer(secret, b"context")
    return [
        secret,
        SigningKey(secret),
        Es256Key(secret),
        UnsealingKey(secret),
        Kit(secret),
        Kit(secret).root,
        Deriver(MARK),
        Mac(MARK, b""),
        LocalRecords(secret),
        Locator(secret, "origin"),
        ShareB([secret], "release", bytes(32), 0),
        GrantWrapper(secret, **ids),
        SelfWrapper(secret, bytes(32)),
        sealer,
        Opener(secret, b"context", sealer.header),
    ]


@pytest.mark.parametrize("holder", secret_holders(), ids=lambda holder: type(holder).__name__)
def test_key_material_does_not_print(holder):
    """No repr, str or format of a type that holds key material shows any of it."""
    assert len(MARK) == 32
    shown = f"{holder!r} {holder} {[holder]!r} {pretty_repr(holder)}"
    for form in (MARK.decode(), MARK.hex(), repr(MARK)[2:-1], Kit(SecretBytes(MARK)).to_text()):
        assert form not in shown


SECRET_BODIES = [kind for kind in all_kinds() if issubclass(kind, SecretBody)]


@pytest.mark.parametrize("kind", SECRET_BODIES, ids=lambda kind: kind.__name__)
def test_a_secret_body_shows_only_its_name(kind):
    """A body with key material prints its name, whatever its fields hold."""
    body = kind(**dict.fromkeys(kind.__struct_fields__, MARK))
    assert repr(body) == str(body) == f"{kind.__name__}(…)"


@pytest.mark.parametrize("kind", SECRET_BODIES, ids=lambda kind: kind.__name__)
def test_a_secret_body_is_not_shown_by_rich(kind):
    """The terminal library, which asks structs for their fields by another name than repr, shows none of them."""
    body = kind(**dict.fromkeys(kind.__struct_fields__, MARK))
    assert MARK.decode() not in pretty_repr(body)


def test_bodies_that_hold_key_material_are_secret():
    """A body with a field that is named like key material is one that does not print, unless it holds a hash of it."""
    hashes = {"Rotate"}  # scan_key: a commitment to Kv
    open_ = {
        kind.__name__
        for kind in all_kinds()
        if SECRET_FIELDS & set(kind.__struct_fields__) and not issubclass(kind, SecretBody)
    }
    assert open_ <= hashes
