"""A manifest of an export: what it may say of its files, each rule broken alone."""

import msgspec
import pytest

from crypto import exports, labels
from crypto.access_log import FIRST, Opening, ServerPart, commitment
from crypto.descriptors import Descriptor
from crypto.encoding import encode
from crypto.errors import Malformed, TooLarge
from crypto.exports import (
    RECORD_FILES,
    ExportedDocument,
    ExportedEntry,
    ExportedFile,
    ExportedVersion,
    ExportManifest,
    ExportSignatures,
    read_manifest,
    versions,
)
from crypto.pieces import HEADER
from crypto.signing import SigningKey, sign, sign_encoded
from tests.support.people import LOG, NOW, Person, Service, fresh

replace = msgspec.structs.replace
SERVICE = Service()
DESCRIPTOR = Descriptor(
    title="Bilan", category="", author="", mime="application/pdf", date="2026-03-14", length=5
)
SHOWN = ExportedVersion(
    ver=fresh(16), ct_root=fresh(), header=bytes(HEADER), descriptor=DESCRIPTOR, file="documents/Bilan.pdf"
)
GONE = ExportedVersion(ver=fresh(16), ct_root=fresh(), header=None, descriptor=None, file=None)


def file(path):
    """One file of an export."""
    return ExportedFile(path=path, length=5, sha256=fresh())


def manifest(*shown, paths=None):
    """A manifest of one document with these versions; it names their files and the record's unless told otherwise."""
    named = [*RECORD_FILES, *(each.file for each in shown if each.file)] if paths is None else paths
    document = ExportedDocument(doc=fresh(16), masked=False, deleted=False, versions=shown)
    return ExportManifest(
        suite=labels.SUITE,
        vault=fresh(),
        person=None,
        origin=LOG,
        n=3,
        link=fresh(),
        checked=9,
        entries=4,
        time=NOW,
        documents=(document,),
        grants=(),
        alarms=(),
        files=tuple(map(file, sorted(named) if paths is None else named)),
        signers=(Person(SERVICE).known().ref,),
        view=SERVICE.view,
    )


def test_an_honest_manifest_is_read():
    """It comes back, with its versions beside their documents: those that are there and those that are gone."""
    made = manifest(SHOWN, GONE)
    assert read_manifest(encode(made)) == made
    assert list(versions(made.documents)) == [(made.documents[0], SHOWN), (made.documents[0], GONE)]


HONEST = sorted([*RECORD_FILES, SHOWN.file])


@pytest.mark.parametrize(
    "paths",
    [HONEST[::-1], [*HONEST, HONEST[-1]], HONEST[1:], [*HONEST, "record/zz"], sorted(RECORD_FILES)],
    ids=["another order", "a file twice", "a file missing", "a file too many", "no content"],
)
def test_files_are_named_once_in_order_and_all(paths):
    """Nothing is missing, nothing is hidden, nothing is there twice."""
    with pytest.raises(Malformed):
        read_manifest(encode(manifest(SHOWN, paths=paths)))


@pytest.mark.parametrize(
    "path",
    [
        "Bilan.pdf",
        "record/Bilan.pdf",
        "documents",
        "documents/",
        "documents/a/b",
        "documents/..",
        "/a",
        "../a",
    ],
)
def test_content_lies_in_the_folder_of_documents(path):
    """No document is written elsewhere, nor under a name that leads elsewhere."""
    with pytest.raises(Malformed):
        read_manifest(encode(manifest(replace(SHOWN, file=path))))


def test_no_two_files_are_one_on_any_system():
    """Names that differ in capitals only are one file where capitals do not count."""
    other = replace(SHOWN, ver=fresh(16), file="documents/Bilan2.pdf")
    assert read_manifest(encode(manifest(SHOWN, other)))
    for name in ("documents/bilan.pdf", SHOWN.file):
        with pytest.raises(Malformed):
            read_manifest(encode(manifest(SHOWN, replace(other, file=name))))


@pytest.mark.parametrize("absent", ["header", "descriptor", "file"])
def test_a_version_is_there_or_gone(absent):
    """Header, descriptor and file go together."""
    with pytest.raises(Malformed):
        read_manifest(encode(manifest(replace(SHOWN, **{absent: None}))))


def test_a_manifest_has_a_limit(monkeypatch):
    """One of the limit is read, a longer one is refused before it is parsed."""
    made = encode(manifest(SHOWN))
    monkeypatch.setattr(exports, "MAX_MANIFEST", len(made))
    assert read_manifest(made)
    monkeypatch.setattr(exports, "MAX_MANIFEST", len(made) - 1)
    with pytest.raises(TooLarge):
        read_manifest(made)


def test_signatures_belong_to_the_manifests_bytes():
    """With them a manifest is the very body that was signed, with its digest."""
    made = manifest(SHOWN)
    signed = sign(labels.EXPORT, made, SigningKey.generate())
    again = ExportSignatures(signatures=signed.signatures).over(encode(made))
    assert again == signed
    assert again.digest == signed.digest


def test_an_entry_gives_its_leaf():
    """Slots as they are, and the commitment of what the opening holds."""
    envelope = sign_encoded(labels.VAULT_LINK, b"body", SigningKey.generate())
    part = ServerPart(body=envelope.digest, time=NOW, outcome="accepted", prev=FIRST)
    opening = Opening(salt=fresh(), salt2=fresh(), previous=bytes(32), envelope=envelope, part=part)
    leaf = ExportedEntry(index=3, slot_one=fresh(), slot_two=fresh(), path=(), opening=opening)
    found = leaf.leaf
    assert (found.slot_one, found.slot_two) == (leaf.slot_one, leaf.slot_two)
    assert found.commitment == commitment(opening.salt, envelope, part)
