"""Vectors of content.md, and of the parts of a version: descriptors, listings, self wraps."""

from collections.abc import Iterator

from crypto import labels
from crypto.descriptors import (
    Descriptor,
    ListedDocument,
    ListingBody,
    descriptor_context,
    descriptor_key,
    descriptor_record,
    listing_context,
    listing_record,
)
from crypto.encoding import pae
from crypto.sealed import content
from crypto.sealed.wrapping import SelfWrapper
from crypto.secret_bytes import SecretBytes
from crypto.vault_links import Person
from tests.vectors.case import Case
from tests.vectors.fixed import (
    CT_ROOT,
    GID,
    IDS,
    VAULT,
    fixed,
    flipped,
    hexed,
)


def contents() -> Iterator[Case]:
    """content.md, the parts of a version, self wraps."""
    base = hexed(key=fixed("document key"), vault=VAULT, salt=fixed("salt", 24), **IDS)
    for length in (0, 5000, 65536, 300_000):
        inputs = base | {"pattern": bytes(range(251)).hex(), "length": length}
        yield Case(f"content/{length}-bytes", "a document sealed and padded", inputs)
    key, context = fixed("small key"), pae(labels.DOCUMENT, b"x")
    sealed = content._seal(SecretBytes(key), context, fixed("salt", 24), b"small")

    def case(name: str, what: str, outcome: str = "ok", **values: bytes) -> Case:
        inputs = {"key": key, "context": context, "ciphertext": sealed} | values
        return Case(f"content-open/{name}", what, hexed(**inputs), outcome)

    yield case("opens", "small content")
    yield case("other-context", "another context", "cannot-open", context=context + b"y")
    yield case("other-key", "another key", "cannot-open", key=fixed("x"))
    yield case("changed-tag", "a bit of the tag changed", "cannot-open", ciphertext=flipped(sealed))
    yield case("changed-commitment", "a bit of it changed", "cannot-open", ciphertext=flipped(sealed, 30))
    yield case("changed-salt", "a bit of it changed", "cannot-open", ciphertext=flipped(sealed, 0))
    yield case("cut", "a byte missing", "cannot-open", ciphertext=sealed[:-1])
    yield case("empty-body", "a header alone", "cannot-open", ciphertext=sealed[:56])

    made = Descriptor(
        title="Bilan", category="lab", author="", mime="application/pdf", date="2026-03-02", length=812
    )
    document_key = SecretBytes(fixed("document key"))
    own = descriptor_context(VAULT, IDS["doc"], IDS["ver"])
    record = descriptor_record(made)
    sealed = content._seal(descriptor_key(document_key, own), own, fixed("salt", 24), record)
    inputs = hexed(document_key=document_key.reveal(), vault=VAULT, ciphertext=sealed, **IDS)
    yield Case("descriptor/opens", "a descriptor", inputs)
    other = inputs | hexed(ver=fixed("other", 16))
    yield Case("descriptor/other-version", "under another version's id", other, "cannot-open")

    entry = ListedDocument(**IDS, title="Bilan", category="lab", author="", mime="", date="", length=812)
    ids = (VAULT, GID, IDS["doc"], IDS["ver"])
    person = Person(salt=fixed("person salt"), name="Camille Exemple")
    record = listing_record(ListingBody(person=person, documents=(entry,)))
    sealed = content._seal(document_key, listing_context(*ids), fixed("salt", 24), record)
    inputs = hexed(key=document_key.reveal(), vault=VAULT, gid=GID, ciphertext=sealed, **IDS)
    yield Case("listing/opens", "a listing of one document", inputs)
    yield Case("listing/other-grant", "in another grant", inputs | hexed(gid=VAULT), "cannot-open")

    wrap = SelfWrapper(SecretBytes(fixed("epoch")), VAULT).wrap(document_key, **IDS, ct_root=CT_ROOT)
    inputs = hexed(epoch=fixed("epoch"), vault=VAULT, ct_root=CT_ROOT, wrap=wrap, **IDS)
    yield Case("self-wrap/opens", "the patient's own wrap", inputs)
    yield Case("self-wrap/other-root", "for another ciphertext", inputs | hexed(ct_root=VAULT), "cannot-open")
