"""Makes the vectors: ``python -m tests.vectors.generate [--force]``.

Files that are there are kept unless ``--force`` is given. Everything follows from fixed names, so making a file again
gives the same bytes, except where it holds a box: sealing is randomised, and such a file says what its box opens to.
"""

import sys
from collections.abc import Iterator
from typing import Any

from crypto.errors import CoffreError
from tests.vectors import shapes
from tests.vectors.case import Case
from tests.vectors.chain_cases import vault_chains
from tests.vectors.content_cases import contents
from tests.vectors.encoding_cases import encodings, envelopes
from tests.vectors.grant_cases import grants
from tests.vectors.identity_cases import identity_chains
from tests.vectors.keyring_cases import keyrings
from tests.vectors.log_cases import logs
from tests.vectors.runs import OUTCOMES, RUNS
from tests.vectors.sealing_cases import boxes
from tests.vectors.trust_cases import trust_roots
from tests.vectors.wrap_cases import wraps


def cases() -> Iterator[Case]:
    """Every vector, made anew."""
    for group in (encodings, envelopes, boxes, keyrings, contents, wraps, logs):
        yield from group()
    for group in (trust_roots, identity_chains, vault_chains, grants):
        yield from group()


def expected(case: Case) -> dict[str, Any]:
    """What comes out of a case; nothing where it is refused. Raises ValueError when the outcome is another one."""
    try:
        result = RUNS[case.format](case.inputs)
    except CoffreError as error:
        if type(error) is OUTCOMES.get(case.outcome):
            return {}
        raise ValueError(f"{case.name} ended in {type(error).__name__}: {error}") from error
    if case.outcome != "ok":
        raise ValueError(f"{case.name} was not refused")
    return result


def main(*, force: bool) -> int:
    """Write what is missing, or with ``force`` everything; returns how many files and shapes were written."""
    written = 0
    for case in cases():
        text = case.text(expected(case))
        if force or not case.path.exists():
            case.path.parent.mkdir(exist_ok=True)
            case.path.write_text(text, encoding="utf-8")
            written += 1
    return written + shapes.keep(force=force)


if __name__ == "__main__":
    sys.stdout.write(f"{main(force='--force' in sys.argv[1:])} files and shapes written\n")
