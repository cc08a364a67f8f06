"""For every format: what either implementation makes, the other opens. The last test says which formats that were."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop import exchanged_deposits as deposits
from tests.interop import exchanged_secrets as secrets
from tests.interop import exchanged_statements as statements

FORMATS: dict[str, Callable[[], None]] = {
    "trust root": statements.trust_root,
    "identity chain": statements.identity_chain,
    "vault chain": statements.vault_chain,
    "grant event": statements.grant_event,
    "subsets of keepers": secrets.subsets,
    "rows": secrets.rows,
    "wraps": secrets.wraps,
    "A box": secrets.a_box,
    "policy blob": secrets.policy_blob,
    "release": secrets.release_,
    "deposit": deposits.deposit,
    "access request": statements.access_request,
    "self wrap": secrets.self_wrap,
    "content": secrets.content_,
    "descriptor": secrets.descriptor,
    "listing": secrets.listing,
    "leaf": statements.leaf,
    "slots": statements.slots,
    "opening": statements.opening,
    "keyring": secrets.keyring,
    "kit": secrets.kit_,
    "kit file": secrets.kit_file,
    "checkpoint and receipt": statements.checkpoint_and_receipt,
    "keeper's statement": statements.keepers_statement,
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_opens_what_the_other_made(name):
    """What either implementation makes in this format, the other opens."""
    FORMATS[name]()


def test_all_formats_were_opened_both_ways(record_property):
    """Every format of the list passes; run with ``-s`` to see which they are."""
    opened = []
    for name, exchange in FORMATS.items():
        exchange()
        opened.append(name)
    record_property("opened both ways", opened)
    print(f"opened both ways by two implementations: {', '.join(opened)}")
    assert opened == list(FORMATS)


def test_the_second_implementation_stands_alone():
    """Nothing of it imports the first, or what is built on the first."""
    for path in Path(__file__).parent.glob("*_second.py"):
        nodes = [
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        names = [
            node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in nodes
        ]
        assert not {"crypto", "vault_client", "vault_server"} & {name.partition(".")[0] for name in names}
