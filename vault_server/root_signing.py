"""Signing a new trust root: made from the newest, signed by as many as must sign, and then put where the server reads it.

With one root key that is one command. With several, the first signer writes a file, the others sign it where their keys
are, and the operator publishes it. Each signer sees in words what it changes.
"""

import json
import sys
from pathlib import Path

import msgspec

from crypto import labels, trust_root_chain
from crypto.encoding import decode, encode
from crypto.errors import BadSignature, Conflict, NotPermitted
from crypto.signing import Envelope, SigningKey, sign, sign_encoded
from crypto.tlog_policy import tlog_policy
from crypto.trust_root import Accepted, TrustRoot
from languages.asking import agreed, check_answerable
from languages.catalogue import spoken
from languages.wrapping import wrapped
from vault_server import instance
from vault_server.root_changes import Changes, following
from vault_server.root_words import contents, differences
from vault_server.settings import Settings
from vault_server.store.files import PUBLIC_FILE, in_words, read_whole, write_durably

ROOT_KEY = "root.key"


def make_key(path: Path, *, as_json: bool) -> None:
    """Make a root signing key for somebody who is to sign trust roots too. Raises Conflict when the file is there."""
    if path.exists():
        raise Conflict(f"{path} is there already. No key was made. Choose another file.")
    key = SigningKey.generate()
    with in_words("No key was made."):
        write_durably(path, key.seed.reveal())
    public = key.public.raw.hex()
    _say(
        {"public": public},
        [
            f"The key is in {path}: keep it secret, and apart from the server.",
            f"Its public half is {public}.",
        ],
        as_json=as_json,
    )


def propose(
    settings: Settings,
    changes: Changes,
    *,
    key: Path | None,
    to: Path | None,
    now: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Make the version after the newest, have it confirmed, and sign it with ``key`` (by default the operator's).

    It is published if that is enough. If not, or when ``to`` is given, it is written to ``to`` for others to sign. Raises
    NobodyToAskError before anything is done when nobody can confirm it.
    """
    check_answerable(yes=yes, as_json=as_json)
    known = newest(settings)
    body = following(known, changes, now)
    signing = instance.read_key(key or settings.operator_folder / ROOT_KEY)
    envelope = sign(labels.TRUST_ROOT, body, signing)
    missing = _missing(known, envelope)
    if any(missing) and to is None:
        raise NotPermitted(
            f"{max(missing)} more must sign this trust root. Nothing was signed. Name a file for them with --to."
        )
    said = _confirmed(known, body, now, yes=yes, as_json=as_json)
    if to is None:
        publish(settings, envelope, as_json=as_json)
    else:
        _write(to, envelope)
        _handed_on(to, body, missing, said, as_json=as_json)


def cosign(path: Path, after: Path, key: Path, *, now: int, yes: bool, as_json: bool) -> None:
    """Sign the proposal in the file ``path``, which follows the trust root in the file ``after``, and write it back."""
    check_answerable(yes=yes, as_json=as_json)
    known = trust_root_chain.first(read(after), card=None)
    envelope = read(path)
    _missing(known, envelope)
    signing = instance.read_key(key)
    if signing.public.key_id in envelope.signers:
        raise Conflict(f"This key has signed {path} already. Nothing was signed.")
    added = sign_encoded(envelope.type, envelope.body, signing).signatures
    signed = msgspec.structs.replace(envelope, signatures=(*envelope.signatures, *added))
    missing = _missing(known, signed)
    body = decode(signed.body, TrustRoot)
    said = _confirmed(known, body, now, yes=yes, as_json=as_json)
    _write(path, signed)
    _handed_on(path, body, missing, said, as_json=as_json)


def publish(settings: Settings, envelope: Envelope, *, as_json: bool) -> None:
    """Put a version that enough have signed where the server reads it at its next start."""
    known = newest(settings)
    if any(missing := _missing(known, envelope)):
        raise BadSignature(
            f"{max(missing)} more must sign this trust root. It was not published. Have them sign its file."
        )
    accepted = trust_root_chain.advance(known, [envelope])
    said, version = differences(known.root, accepted.root), accepted.ref.version
    with in_words("The trust root was not published."):
        instance.add_trust_root(settings, version, envelope)
    _say(
        {"version": version, "published": True, "missing": 0, "changes": said},
        [
            f"Version {version} of the trust root is signed and published.",
            "The server shows it from its next start on: start it again. Keepers take it over within five minutes, clients when "
            "they are used.",
        ],
        as_json=as_json,
    )


def show(settings: Settings, *, as_json: bool) -> None:
    """Say what the newest trust root says."""
    known = newest(settings)
    answer = {"version": known.ref.version, "digest": known.ref.digest.hex(), "expiry": known.root.expiry}
    _say(
        answer,
        [f"This is version {known.ref.version} of the trust root.", *contents(known.root)],
        as_json=as_json,
    )


def show_policy(settings: Settings, origin: str, *, as_json: bool) -> None:
    """Write who must sign the heads of the log ``origin``, as a C2SP tlog-policy file. Raises as ``tlog_policy`` does."""
    policy = tlog_policy(newest(settings).root, origin)
    print(json.dumps({"policy": policy}) if as_json else policy, end="\n" if as_json else "")


def newest(settings: Settings) -> Accepted:
    """The newest published trust root, expired or not. Raises NotPermitted when there is no instance."""
    if not instance.exists(settings):
        raise NotPermitted(
            f"There is no server in {settings.data}. Nothing was signed. Name the data folder of one that was started."
        )
    chain = instance.trust_roots(settings)
    return trust_root_chain.advance(trust_root_chain.first(chain[0], card=None), chain[1:])


def read(path: Path) -> Envelope:
    """A signed trust root from a file. Raises Damaged without a file, Malformed when it is none."""
    return decode(read_whole(path).strip(), Envelope)


def _missing(known: Accepted, envelope: Envelope) -> tuple[int, int]:
    """As ``missing_signatures``, and a key that signs for neither version is refused in words of its own."""
    try:
        return trust_root_chain.missing_signatures(known, envelope)
    except BadSignature:
        raise BadSignature(
            "This trust root is signed by a key that neither it nor the one before names, or a signature does not fit. "
            "Nothing was signed or published."
        ) from None


def _confirmed(known: Accepted, body: TrustRoot, now: int, *, yes: bool, as_json: bool) -> list[str]:
    """What ``body`` changes, once whoever signs has agreed to it. Raises NotPermitted."""
    said = differences(known.root, body)
    if body.expiry <= now:
        raise NotPermitted("This trust root has expired already. Nothing was signed.")
    if not as_json:
        print(wrapped(spoken(f"Version {body.version} of the trust root changes this:"), sys.stdout))
        for each in said:
            print(wrapped(f"- {spoken(each)}", sys.stdout))
    if not yes and not agreed():
        raise NotPermitted("It was not agreed to. Nothing was signed.")
    return said


def _write(path: Path, envelope: Envelope) -> None:
    with in_words("What was signed was not kept."):
        write_durably(path, encode(envelope) + b"\n", PUBLIC_FILE)


def _handed_on(
    path: Path, body: TrustRoot, missing: tuple[int, int], said: list[str], *, as_json: bool
) -> None:
    lacking = max(missing)
    further = (
        f"{lacking} more must sign it: coffre trust-root cosign {path} --after FILE --key FILE"
        if lacking
        else f"Enough have signed it. Publish it: coffre trust-root publish {path} --data DIR"
    )
    _say(
        {"version": body.version, "published": False, "missing": lacking, "changes": said},
        [f"It is signed, and written to {path}.", further],
        as_json=as_json,
    )


def _say(answer: dict[str, object], words: list[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer))
        return
    for each in words:
        print(wrapped(spoken(each), sys.stdout))
