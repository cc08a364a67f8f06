"""A second reader of docs/format/export.md: from the folder alone, to the entries and the documents it proves."""

import hashlib

from tests.interop import content_second, identity_second, log_second, trust_second
from tests.interop.entries_second import FIRST, commitment, leaf, previous
from tests.interop.records_second import decode, demand, digest, open_envelope, pae, part_hash, unpad
from tests.interop.wraps_second import hkdf, self_key, unwrap

LINE = 1 << 23


def lines(folder, path, name):
    """The bodies of a file of lines."""
    data = (folder / path).read_bytes()
    demand(not data or data.endswith(b"\n"), "the last line does not end")
    return [decode(name, line, LINE) for line in data.split(b"\n")[:-1]]


def read(folder):
    """Check an export. Returns its manifest, its opened entries, and the content of each document by title."""
    data = (folder / "manifest.json").read_bytes()
    manifest = decode("ExportManifest", data, 1 << 26)
    for file in manifest["files"]:
        content = (folder / file["path"]).read_bytes()
        demand(
            (len(content), hashlib.sha256(content).digest()) == (file["length"], file["sha256"]), file["path"]
        )
    roots = lines(folder, "record/trust-roots.jsonl", "Envelope")
    trust_second.believe(roots, None)
    root = decode("TrustRoot", roots[-1]["body"])
    people = _people(lines(folder, "record/identities.jsonl", "ShownChain"), root)
    signatures = decode("ExportSignatures", (folder / "signatures.json").read_bytes())["signatures"]
    envelope = {"type": "coffre-1/export", "body": data, "signatures": signatures}
    open_envelope(
        envelope,
        "export",
        "ExportManifest",
        _devices(people, manifest, manifest["view"]["dir"]["size"]),
        1 << 26,
    )
    links = _chain(folder, manifest, people)
    entries = _log(folder, manifest, root, people, links)
    return manifest, entries, _documents(folder, manifest, links)


def _people(shown, root):
    """Everybody's folded chain, by size of the directory."""
    registrars = [(each["key"], each["schemes"], each["retired_since"]) for each in root["registrars"]]
    origin = trust_second.directory(root)
    keepers = [keeper["cosigning_key"] for keeper in live(root)]
    found = {}
    for each in shown:
        chain, vouched = each["chain"], set()
        ref = identity_second.fold(chain, 1 << 53, origin, registrars)["ref"]
        for envelope in each["heads"]:
            said, signers = open_envelope(envelope, "idhead", "IdentityHead", keepers)
            demand(
                (said["origin"], *(said[name] for name in ref)) == (origin, *ref.values()), "another idhead"
            )
            vouched |= signers
        demand(len(vouched) >= needed(root), "too few keepers")
        found[ref["identity"]] = lambda size, chain=chain: identity_second.fold(
            chain, size, origin, registrars
        )
    return found


def live(root):
    """The keepers in force."""
    return [keeper for keeper in root["keepers"] if keeper["retired_until"] is None]


def needed(root):
    """How many keepers must sign."""
    return max(policy["k"] for policy in root["policies"] if policy["n"] == len(live(root)))


def note_key(name, kind, raw):
    """A key of notes, from its parts."""
    encoded = bytes([kind]) + raw
    named = hashlib.sha256(name.encode() + b"\n" + encoded).digest()[:4].hex()
    return log_second.Key(f"{name}+{named}+{log_second.to64(encoded)}")


def _devices(people, body, latest):
    """The signing keys of a body's signers, live as of its ``dir`` and of the ``latest`` that the chain names so far."""

    def live(size):
        states = [people[ref["identity"]](size) for ref in body["signers"]]
        return {device["signing"] for state in states for device in state["devices"].values()}

    return sorted(live(body["view"]["dir"]["size"]) & live(latest))


def _chain(folder, manifest, people):
    """Every signed body of the chain, each after the one before."""
    found, before, latest = [], None, 0
    for n, envelope in enumerate(lines(folder, "record/chain.jsonl", "Envelope")):
        kind, name = ("vault-link", "VaultLink") if n else ("genesis", "Genesis")
        body = decode(name, envelope["body"])
        latest = max(latest, body["view"]["dir"]["size"])
        open_envelope(envelope, kind, name, _devices(people, body, latest))
        if n:
            demand((body["n"], body["prev"], body["vault"]) == (n, before, manifest["vault"]), "no link")
        else:
            demand(
                hashlib.sha256(pae("vault", envelope["body"])).digest() == manifest["vault"], "another vault"
            )
        before = digest(envelope)
        found.append((envelope, body))
    demand((len(found) - 1, before) == (manifest["n"], manifest["link"]), "another head")
    return found


def _erasure(envelope, at, manifest, people, links):
    """The entries that a holder had destroyed, signed by a device that was live by then."""
    body = decode("Erasure", envelope["body"])
    latest = max(each["view"]["dir"]["size"] for each in (body, *(link for _, link in links)))
    open_envelope(envelope, "erasure", "Erasure", _devices(people, body, latest))
    entries = body["entries"]
    demand(entries == sorted(set(entries)), "entries out of order")
    demand(entries[-1] < min(at, body["view"]["seen"]["size"]), "an erasure of what comes after it")
    demand((body["vault"], body["origin"]) == (manifest["vault"], manifest["origin"]), "another record")
    return set(entries)


def _log(folder, manifest, root, people, links):
    """Every entry's signed body, once it is shown to be in the log and to follow."""
    note = (folder / "log/checkpoint.txt").read_bytes()
    _, raw = trust_second.log_key(root, manifest["origin"])
    _, size, top = log_second.open_checkpoint(note, note_key(manifest["origin"], 1, raw))
    keepers = [note_key(keeper["name"], 4, keeper["cosigning_key"]) for keeper in live(root)]
    times = sorted(log_second.cosigners(note, keepers).values())
    together = [each for each in times if times[-1] - each <= 600]
    demand(len(together) >= needed(root), "too few cosignatures")
    demand(size >= manifest["checked"], "an older head")
    entries = lines(folder, "log/entries.jsonl", "ExportedEntry")
    demand(len(entries) == manifest["entries"], "another number of entries")
    last, due = FIRST, [digest(envelope) for envelope, _ in links]
    at, gaps, erased = -1, [], set()
    for entry in entries:
        opening = entry["opening"]
        demand(opening["part"]["body"] == digest(opening["envelope"]), "another body")
        c = commitment(opening["salt"], opening["envelope"], opening["part"])
        hashed = log_second.leaf(leaf(entry["slot_one"], entry["slot_two"], c))
        log_second.check_inclusion(hashed, entry["index"], size, entry["path"], top)
        if last not in (FIRST, opening["previous"]):
            gaps.append(set(range(at + 1, entry["index"])))
            last = opening["previous"]
        follows = FIRST if last == FIRST else previous(opening["salt2"], last)
        demand(opening["part"]["prev"] == follows, "out of order")
        last, at = c, entry["index"]
        if opening["envelope"]["type"] == "coffre-1/erasure":
            before = links[: len(links) - len(due)]
            erased |= _erasure(opening["envelope"], at, manifest, people, before)
        if due and digest(opening["envelope"]) == due[0]:
            due.pop(0)
    demand(all(gap & erased for gap in gaps), "an entry is missing")
    demand(not due, "a link is not in the log")
    return [entry["opening"]["envelope"] for entry in entries]


def _documents(folder, manifest, links):
    """Each document's content, shown to be what was sealed and signed."""
    keyring = decode("VaultKeyring", (folder / "keys.json").read_bytes(), 1 << 24)
    parts = {
        (part["doc"], part["ver"]): part for part in lines(folder, "record/parts.jsonl", "ExportedParts")
    }
    added = {
        (step["doc"], step["ver"]): step
        for _, body in links[1:]
        for step in body["operations"]
        if step["op"] in {"add_version", "adopt"}
    }
    found = {}
    for document in manifest["documents"]:
        for version in document["versions"]:
            if version["file"] is None:
                continue
            ids = (document["doc"], version["ver"])
            step, part = added[ids], parts[ids]
            demand(part_hash(part["self_wrap"]) == step["self_wrap"], "another key")
            demand(part_hash(part["descriptor"]) == step["descriptor"], "another descriptor")
            secret = keyring["epochs"][step["epoch"]]["secret"]
            key = unwrap(self_key(secret, manifest["vault"], *ids, step["ct_root"]), part["self_wrap"])
            context = content_second.pae(b"coffre-1/descriptor", manifest["vault"], *ids)
            record = content_second.decrypt(hkdf(key, context), context, part["descriptor"])
            demand(decode("Descriptor", unpad(record)) == version["descriptor"], "described otherwise")
            content = (folder / version["file"]).read_bytes()
            context = content_second.pae(b"coffre-1/document", manifest["vault"], *ids)
            sealed = content_second.encrypt_document(key, context, version["header"][:24], content)
            demand(sealed[:56] == version["header"], "another header")
            demand(content_second.ct_root(sealed) == step["ct_root"], "another content")
            found[version["descriptor"]["title"]] = content
    return found
