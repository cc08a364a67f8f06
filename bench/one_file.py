"""The process that ``bench.files`` measures: one file each way, or documents in memory. Prints one line of JSON.

python -m bench.one_file encrypt PLAIN SEALED SECRET      leaves a signed root in SEALED.signed
python -m bench.one_file decrypt SEALED OPENED SECRET     checks it first
python -m bench.one_file documents COUNT ROUNDS
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crypto import pieces
from crypto.encoding import number, pae
from crypto.sealed import content
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey
from vault_client.ciphertext_spool import decrypt_file, encrypt_file

CONTEXT = pae("bench/file")


def peak_kib() -> int:
    """The most memory this process has had, in KiB. Unlike ``ru_maxrss``, nothing of who started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0])


def encrypt(plain: Path, sealed: Path, secret: Path) -> None:
    """Encrypt one file and sign its root."""
    key, seed = _keys(secret)
    result = encrypt_file(plain, sealed, key=key, context=CONTEXT)
    signature = SigningKey(seed).sign_bytes(_statement(result.ct_root, result.length))
    sealed.with_suffix(".signed").write_bytes(signature + number(result.length) + result.ct_root)


def decrypt(sealed: Path, opened: Path, secret: Path) -> None:
    """Check the signature over the root, and decrypt one file."""
    key, seed = _keys(secret)
    signed = sealed.with_suffix(".signed").read_bytes()
    length, root = int.from_bytes(signed[64:72], "big"), signed[72:]
    SigningKey(seed).public.check(_statement(root, length), signed[:64])
    decrypt_file(sealed, opened, key=key, context=CONTEXT, ct_root=root, length=length)


def documents(count: int, rounds: int) -> dict[str, Any]:
    """Seconds for ``count`` documents of 4 KiB sealed in memory, and for as many hybrid HPKE wraps."""
    from cryptography.hazmat.primitives import hpke
    from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

    suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    private = hpke.MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    )
    public = private.public_key()
    originals = [os.urandom(4096) for _ in range(100)]
    keys = [SecretBytes.random(32) for _ in range(count)]

    def seal() -> None:
        for index, key in enumerate(keys):
            ciphertext = content.seal_document(key, CONTEXT, originals[index % 100])
            pieces.ct_root(ciphertext)
        if content.open_document(key, CONTEXT, ciphertext, 4096) != originals[index % 100]:
            raise SystemExit("A document did not come back.")

    def wrap() -> None:
        for key in keys:
            wrapped = suite.encrypt(key.reveal(), public, info=CONTEXT)
        if suite.decrypt(wrapped, private, info=CONTEXT) != key.reveal():
            raise SystemExit("A wrap did not come back.")

    seconds: dict[str, list[float]] = {"seal": [], "wrap": []}
    ways: list[tuple[str, Callable[[], None]]] = [("seal", seal), ("wrap", wrap)]
    for _ in range(rounds):
        for name, way in random.sample(ways, 2):
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _keys(secret: Path) -> tuple[SecretBytes, SecretBytes]:
    both = secret.read_bytes()
    return SecretBytes(both[:32]), SecretBytes(both[32:])


def _statement(root: bytes, length: int) -> bytes:
    return pae("bench/root", root, number(length))


def main(way: str, *arguments: str) -> dict[str, Any]:
    """Do what the command line says and report on it."""
    if way == "documents":
        return documents(*map(int, arguments))
    before, start = peak_kib(), time.perf_counter()
    {"encrypt": encrypt, "decrypt": decrypt}[way](*map(Path, arguments))
    return {"work_s": time.perf_counter() - start, "above_mib": (peak_kib() - before) / 1024}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
