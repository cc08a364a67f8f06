"""``python -m tests.wire.fuzz_by_hand CORPUS -runs=N -seed=N``: the parsers that look at bytes themselves, under atheris.

Atheris follows which branches an input takes and changes those that took new ones. The first byte says which parser
reads the rest; CORPUS, filled with honest input on the first run, keeps what was found. Ends with an error at the
first input that is neither refused in words nor written again as it was.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["crypto", "vault_server"]):
    from crypto.errors import CoffreError
    from tests.wire.parsers import PARSERS

BY_HAND = [parser for parser in PARSERS if parser.samples]


def read_one(data: bytes) -> None:
    """Give the rest of ``data`` to the parser that its first byte names."""
    if not data:
        return
    parser = BY_HAND[data[0] % len(BY_HAND)]
    try:
        meaning = parser.read(data[1:])
    except CoffreError:
        return
    if parser.write is not None and parser.write(meaning) != data[1:]:
        raise ValueError(f"{parser.name} reads {data[1:]!r}, and writes {parser.write(meaning)!r}")


def main() -> None:
    """Fill the corpus where it is empty, and run."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(exist_ok=True)
    for number, parser in enumerate(BY_HAND):
        for place, sample in enumerate(parser.samples):
            (corpus / f"honest-{number}-{place}").write_bytes(bytes([number]) + sample)
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
