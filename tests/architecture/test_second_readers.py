"""A second implementation is one: it shares nothing with the first."""

import ast
from pathlib import Path

import pytest

READERS = sorted((Path(__file__).resolve().parents[1] / "interop").glob("*_second.py"))


@pytest.mark.parametrize("path", READERS, ids=lambda path: path.stem)
def test_a_second_reader_shares_nothing_with_the_first(path: Path) -> None:
    """It imports nothing of the packages that it is to check, nor of tests but other second readers."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert not [name for name in imported if name.split(".")[0] in {"crypto", "vault_client", "vault_server"}]
    tests = [name for name in imported if name.startswith("tests.")]
    assert all("_second" in name for name in tests)
