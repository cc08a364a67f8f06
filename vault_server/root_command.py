"""What may be typed after ``coffre trust-root``."""

import argparse
import time
from pathlib import Path
from typing import Any

from crypto.errors import Malformed
from crypto.signing import VerifyKey
from languages.asking import add_yes
from vault_server import program
from vault_server.root_changes import LEAST_RETIRED_FOR, RETIRED_FOR, TWO_YEARS, Changes
from vault_server.settings import Settings


def add(commands: Any) -> None:
    """Add ``trust-root`` and its acts to the parser's commands."""
    root = commands.add_parser("trust-root", help="say who the log, the keepers and the registrars are")
    acts = root.add_subparsers(dest="act", required=True)

    act = _act(acts, "show", _show, "say what the newest trust root says")
    _add_data(act)
    act.add_argument(
        "--tlog-policy",
        metavar="NAME",
        help="only, as a C2SP tlog-policy file: who must sign the heads of this log, such as vault.example/coffre/log/0",
    )

    act = _act(acts, "sign", _sign, "make the next version, with a new expiry and these changes, and sign it")
    _add_data(act)
    _add_changes(act)
    act.add_argument(
        "--key", type=Path, metavar="FILE", help="the root key to sign with (default: operator/root.key)"
    )
    act.add_argument(
        "--to", type=Path, metavar="FILE", help="write it to FILE for others to sign; do not publish it"
    )
    add_yes(act)

    act = _act(acts, "cosign", _cosign, "sign a version that somebody else made, in its file")
    act.add_argument("file", type=Path, metavar="FILE", help="the version to sign")
    act.add_argument(
        "--after",
        type=Path,
        required=True,
        metavar="FILE",
        help="the trust root before it, to see what changes",
    )
    act.add_argument("--key", type=Path, required=True, metavar="FILE", help="the root key to sign with")
    add_yes(act)

    act = _act(acts, "publish", _publish, "put a version that enough have signed where the server reads it")
    act.add_argument("file", type=Path, metavar="FILE", help="the version to publish")
    _add_data(act)

    act = _act(acts, "key", _key, "make a root key for somebody who is to sign trust roots too")
    act.add_argument("file", type=Path, metavar="FILE", help="where to write it; it is a secret")


def _add_changes(act: argparse.ArgumentParser) -> None:
    act.add_argument(
        "--days",
        type=program.number(3650, least=1),
        default=TWO_YEARS,
        metavar="N",
        help="how long it is good for",
    )
    act.add_argument(
        "--keeper",
        type=Path,
        nargs="+",
        default=(),
        metavar="CARD",
        help="keepers to add, or that have moved, by card",
    )
    act.add_argument(
        "--retire-keeper",
        nargs="+",
        default=(),
        metavar="NAME",
        help="keepers that new grants do not name any more; they go on answering for older ones",
    )
    act.add_argument(
        "--retire-days",
        type=program.number(3650, least=LEAST_RETIRED_FOR),
        default=RETIRED_FOR,
        metavar="N",
        help=f"for how long they answer, {LEAST_RETIRED_FOR} at least (default: %(default)s)",
    )
    act.add_argument(
        "--independent", nargs="+", default=(), metavar="NAME", help="keepers that somebody else runs"
    )
    act.add_argument("--not-independent", nargs="+", default=(), metavar="NAME", help="keepers that you run")
    act.add_argument(
        "--registrar",
        type=_registrar,
        nargs="+",
        default=(),
        metavar="KEY:SCHEME,…",
        help="registrars to add, or schemes to add to one",
    )
    act.add_argument(
        "--retire-registrar", type=_public, nargs="+", default=(), metavar="KEY", help="registrars that stop"
    )
    act.add_argument(
        "--minimum-client", metavar="VERSION", help="the oldest version of Coffre that clients may have"
    )
    act.add_argument(
        "--root-key",
        type=_public,
        nargs="+",
        default=(),
        metavar="KEY",
        help="root keys to add, by their public half",
    )
    act.add_argument(
        "--drop-root-key", type=_public, nargs="+", default=(), metavar="KEY", help="root keys to take away"
    )
    act.add_argument(
        "--threshold", type=program.number(16, least=1), metavar="N", help="how many root keys must sign"
    )


def _show(options: argparse.Namespace) -> None:
    from vault_server.root_signing import show, show_policy

    if options.tlog_policy is not None:
        show_policy(Settings(data=options.data), options.tlog_policy, as_json=options.json)
        return
    show(Settings(data=options.data), as_json=options.json)


def _sign(options: argparse.Namespace) -> None:
    from vault_server.keeper_cards import read_card
    from vault_server.root_signing import propose

    changes = Changes(
        days=options.days,
        keepers=tuple(map(read_card, options.keeper)),
        retired_keepers=tuple(options.retire_keeper),
        retired_days=options.retire_days,
        independent=tuple(options.independent),
        dependent=tuple(options.not_independent),
        registrars=tuple(options.registrar),
        retired_registrars=tuple(options.retire_registrar),
        minimum_client=options.minimum_client,
        root_keys=tuple(options.root_key),
        dropped_root_keys=tuple(options.drop_root_key),
        threshold=options.threshold,
    )
    propose(
        Settings(data=options.data),
        changes,
        key=options.key,
        to=options.to,
        now=int(time.time()),
        yes=options.yes,
        as_json=options.json,
    )


def _cosign(options: argparse.Namespace) -> None:
    from vault_server.root_signing import cosign

    cosign(
        options.file, options.after, options.key, now=int(time.time()), yes=options.yes, as_json=options.json
    )


def _publish(options: argparse.Namespace) -> None:
    from vault_server.root_signing import publish, read

    publish(Settings(data=options.data), read(options.file), as_json=options.json)


def _key(options: argparse.Namespace) -> None:
    from vault_server.root_signing import make_key

    make_key(options.file, as_json=options.json)


def _act(acts: Any, name: str, run: Any, purpose: str) -> argparse.ArgumentParser:
    act: argparse.ArgumentParser = acts.add_parser(name, help=purpose)
    act.add_argument("--json", action="store_true", help="answer as JSON")
    act.set_defaults(run=run)
    return act


def _add_data(act: argparse.ArgumentParser) -> None:
    act.add_argument("--data", type=Path, required=True, metavar="DIR", help="the instance's data folder")


def _registrar(text: str) -> tuple[bytes, tuple[str, ...]]:
    """Reads KEY:SCHEME,…, as the ``type`` of an option."""
    key, _, schemes = text.partition(":")
    named = tuple(scheme for scheme in schemes.split(",") if scheme)
    if not named:
        raise argparse.ArgumentTypeError(f"{text} names no scheme. Write KEY:SCHEME, such as ab12…:rpps")
    return _public(key), named


def _public(text: str) -> bytes:
    """Reads a public key in hexadecimal, as the ``type`` of an option."""
    try:
        return VerifyKey(bytes.fromhex(text)).raw
    except (ValueError, Malformed):
        raise argparse.ArgumentTypeError(f"{text} is not a public key in hexadecimal") from None
