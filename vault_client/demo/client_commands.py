"""The client's own commands, run by the demo as a person would run them, each as a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any


async def answer_of(words: Sequence[str], passphrase: str | None = None) -> tuple[int, dict[str, Any]]:
    """The exit code of ``coffre`` with ``words``, and the object that it writes with ``--json``."""
    command, given = [sys.executable, "-P", "-m", "vault_client", *words, "--json"], None
    if passphrase is not None:
        given, writing = os.pipe()
        os.write(writing, f"{passphrase}\n".encode())
        os.close(writing)
        command += ["--passphrase-fd", str(given)]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=() if given is None else (given,),
            start_new_session=True,
        )
    finally:
        if given is not None:
            os.close(given)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # the demo was stopped
            process.kill()
            await asyncio.shield(process.wait())
    answer: dict[str, Any] = json.loads(output) if output else {}
    return process.returncode or 0, answer
