"""Fetching and decrypting a document as its owner: no log, no keeper, and no copy kept. What openings are measured beside."""

from pathlib import Path

from crypto.descriptors import document_context
from crypto.wire.messages import CiphertextQuery
from vault_client.ciphertext_spool import decrypt_file, in_thread
from vault_client.local_vault import newest
from vault_client.patient import Patient
from vault_client.transfer import Download


async def fetch_and_decrypt(patient: Patient, doc: bytes, destination: Path) -> None:
    """The same code of the client as in an opening, with a key that is here."""
    document = patient.replica.document(doc)
    version = newest(document.document)
    query = CiphertextQuery(vault=patient.vault, request=None, ver=version.ver, start=0)
    fetched = destination.with_name(f"{version.ver.hex()}.fetched")
    try:
        await Download(patient.service.api, fetched, query, version.length).fetch()
        await in_thread(
            lambda report: decrypt_file(
                fetched,
                destination,
                key=patient.replica.document_key(document),
                context=document_context(patient.vault, doc, version.ver),
                ct_root=version.ct_root,
                length=document.descriptor.length,
                progress=report,
            ),
            None,
        )
    finally:
        fetched.unlink(missing_ok=True)
