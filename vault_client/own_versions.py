"""One version of one's own document: its key and its descriptor, out of the parts that the chain names."""

from crypto.descriptors import (
    Descriptor,
    descriptor_context,
    descriptor_key,
    descriptor_record,
    read_descriptor,
)
from crypto.sealed import content
from crypto.sealed.keyring import EpochKeys
from crypto.sealed.wrapping import SelfWrapper
from crypto.secret_bytes import SecretBytes
from crypto.vault_chain import Version


def open_key(epoch: EpochKeys, vault: bytes, doc: bytes, version: Version, self_wrap: bytes) -> SecretBytes:
    """The document key, with the secrets of the version's epoch. Raises CannotOpen."""
    wrapper = SelfWrapper(SecretBytes(epoch.secret), vault)
    return wrapper.unwrap(self_wrap, doc, version.ver, version.ct_root)


def seal_descriptor(key: SecretBytes, vault: bytes, doc: bytes, ver: bytes, descriptor: Descriptor) -> bytes:
    """A descriptor, sealed under a key that comes from the document key."""
    context = descriptor_context(vault, doc, ver)
    return content.seal(descriptor_key(key, context), context, descriptor_record(descriptor))


def open_descriptor(key: SecretBytes, vault: bytes, doc: bytes, ver: bytes, sealed: bytes) -> Descriptor:
    """What a version is called, with its document key. Raises CannotOpen."""
    context = descriptor_context(vault, doc, ver)
    return read_descriptor(content.open(descriptor_key(key, context), context, sealed))
