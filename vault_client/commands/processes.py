"""``serve``, ``keeper``, ``registrar`` and ``trust-root``: the server's own programs, started in this one's place.

No import crosses from client to server: the process is replaced, and everything typed after the word goes along.
"""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn

PROGRAMS = {
    "serve": ("vault_server", "serve"),
    "keeper": ("vault_server.keeper",),
    "registrar": ("vault_server", "registrar"),
    "trust-root": ("vault_server", "trust-root"),
}

# What people read
NOT_INSTALLED = (
    "The server's part of Coffre is not installed. Nothing was started. Install the `server` extra "
    "(pip install 'coffre[server]')."
)


def command_line(program: str, words: Sequence[str]) -> list[str]:
    """The command that runs ``program`` with ``words``; -P keeps modules of the current folder out."""
    return [sys.executable, "-P", "-m", *PROGRAMS[program], *words]


def replace_process(program: str, words: Sequence[str]) -> NoReturn:
    """Become ``program``. Raises Unavailable when it is not installed."""
    check_installed()
    os.execv(sys.executable, command_line(program, words))  # noqa: S606 - no shell, and our own interpreter


def check_installed() -> None:
    """Raises Unavailable unless the server's libraries are there."""
    from crypto.errors import Unavailable

    if find_spec("vault_server") is None or find_spec("litestar") is None:
        raise Unavailable(NOT_INSTALLED)
