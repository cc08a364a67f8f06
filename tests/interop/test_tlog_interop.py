"""Whole logs, read by a second implementation: one that a server and its keeper show, and those of others."""

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
import urllib.request

import pytest

from crypto.secret_bytes import SecretBytes
from tests.interop import log_second as log
from tests.interop import tlog_second as second
from tests.interop.log_second import Refused
from tests.support.instance import running
from tests.support.lying_vault import LyingVault
from tests.support.memory import folder_in_memory
from vault_client.device_store import DeviceStore
from vault_client.log_reader import LogReader
from vault_client.patient import Patient

TIME = 1_790_000_000


def policy_of(data, origin):
    """The policy of a log as the command writes it for other tools."""
    words = ["trust-root", "show", "--data", str(data), "--tlog-policy", origin]
    asked = subprocess.run([sys.executable, "-m", "vault_server", *words], capture_output=True, check=True)
    return asked.stdout


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What a real server shows of its two logs, by origin: its files, its policy, and the keeper's newest head of it."""
    with folder_in_memory(tmp_path_factory.mktemp("logs")) as folder, running(folder / "data") as instance:
        yield from _shown(instance, folder)


def _shown(instance, folder):
    accepted = []

    async def write():
        store = DeviceStore.create_with_key(folder / "patient", SecretBytes.random())
        async with await Patient.begin(
            store, folder / "patient", card=instance.card, keep_kit=lambda _: None
        ) as patient:
            service = patient.service
            vault = service.api = LyingVault(service.api)
            service.reader = LogReader(vault)
            vault.tamper("append_link", lambda answer: accepted.append(answer) or answer)
            (folder / "letter").write_bytes(b"Potassium 4.1 mmol/l. " * 9)
            for _ in range(2):
                await patient.add(folder / "letter")
            sent = [query.envelope for query in vault.asked("append_link")]
            return service.root, patient.replica.origin, sent

    root, shard, sent = asyncio.run(write())
    logs = {}
    for origin in (shard, root.directory_origin):
        path = origin.partition("/")[2]
        kept = {}

        def fetch(name, path=path, kept=kept):
            kept[name] = read(f"{instance.url}/{path}/{name}")
            return kept[name]

        policy = policy_of(instance.data, origin)
        second.check_log(fetch, second.read_policy(policy))
        (keeper,) = root.live_keepers
        cosigned = read(f"{keeper.url}/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
        logs[origin] = (kept, policy, cosigned)
    yield shard, logs, list(zip(sent, accepted, strict=True))


def read(url):
    """One file."""
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own server
        return answer.read()


def refused(check, *arguments):
    """Whether the second reader refuses, and nothing else happens."""
    try:
        check(*arguments)
    except Refused:
        return True
    return False


def test_a_log_as_it_is_served_is_whole(shown):
    """Head, tiles and bundles of both logs are those of one tree, under the policy, at the server and at the keeper."""
    _, logs, _ = shown
    for origin, (kept, policy, cosigned) in logs.items():
        read_ = second.read_policy(policy)
        (name, size, top), entries = second.check_log(kept.__getitem__, read_)
        assert (name, len(entries)) == (origin, size)
        assert size > 0
        assert all(len(entry) == 97 and entry[0] == 1 for entry in entries)
        leaves = [log.leaf(entry) for entry in entries]
        _, at_keeper, keepers_top = second.check_policy(read_, cosigned)
        small, big = sorted([(size, top), (at_keeper, keepers_top)])
        if big[0] == size:
            log.check_consistency(*small, *big, log.proof(small[0], leaves))


def test_no_byte_of_a_served_log_can_be_changed(shown):
    """Any byte of head, tiles or bundles that is another is noticed, and no file can be left out."""
    shard, logs, _ = shown
    kept, policy, _ = logs[shard]
    read_ = second.read_policy(policy)
    for name, data in kept.items():
        step = 1 if name == "checkpoint" else 13
        for at in range(0, len(data), step):
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            assert refused(second.check_log, {**kept, name: changed}.__getitem__, read_), (name, at)
        assert refused(second.check_log, {**kept, name: data[:-1]}.__getitem__, read_)


def test_receipts_as_they_are_given_hold(shown):
    """The proof of each link and the leaf it makes stand under the policy; for another leaf they do not."""
    shard, logs, proved = shown
    kept, policy, _ = logs[shard]
    read_ = second.read_policy(policy)
    _, entries = second.check_log(kept.__getitem__, read_)
    assert len(proved) == 2
    for envelope, accepted in proved:
        for logged in accepted.logged:
            index, hashes, note = log.read_receipt(logged.receipt)
            _, size, top = second.check_policy(read_, note)
            assert entries[index] == logged.disclosure.leaf(envelope).to_bytes()
            log.check_inclusion(log.leaf(entries[index]), index, size, hashes, top)
            assert refused(log.check_inclusion, log.leaf(entries[index - 1]), index, size, hashes, top)
            for at in range(len(logged.receipt)):
                changed = logged.receipt[:at] + bytes([logged.receipt[at] ^ 1]) + logged.receipt[at + 1 :]
                assert refused(whole_receipt, changed, read_, entries[index]), at


def whole_receipt(data, policy, entry):
    """A receipt for just this entry, under a policy."""
    index, hashes, note = log.read_receipt(data)
    _, size, top = second.check_policy(policy, note)
    log.check_inclusion(log.leaf(entry), index, size, hashes, top)


def note_by(*seeds):
    """An empty log's head, cosigned by some."""
    note = log.sign("log.example", 0, log.root([]), bytes([1]) * 32)
    for seed in seeds:
        note = log.cosign(note, f"w{seed}", bytes([seed]) * 32, TIME)
    return note


LINES = [
    f"log {log.vkey('log.example', 1, bytes([1]) * 32)} https://log.example/",
    *[f"witness {seed}\t{log.vkey(f'w{seed}', 4, bytes([seed]) * 32)}" for seed in (2, 3, 4, 5)],
]


@pytest.mark.parametrize(
    ("rule", "enough", "too_few"),
    [
        (["quorum none"], [()], []),
        (["quorum 2"], [(2,), (2, 3)], [(), (3, 4, 5)]),
        (["group all4 3 2 3 4 5", "quorum all4"], [(2, 3, 4), (3, 4, 5)], [(2, 3), (2, 2, 2)]),
        (
            ["group a any 2 3", "group b all 4 5", "group c all a b", "quorum c"],
            [(2, 4, 5)],
            [(4, 5), (2, 3, 4)],
        ),
    ],
    ids=["none", "one", "3 of 4", "groups"],
)
def test_a_policy_means_what_its_page_says(rule, enough, too_few):
    """Thresholds, groups of groups and no quorum at all; comments and blank lines mean nothing."""
    policy = second.read_policy("\n".join(["# ours", "", *LINES, *rule, ""]).encode())
    for seeds in enough:
        assert second.check_policy(policy, note_by(*seeds))[:2] == ("log.example", 0)
    for seeds in too_few:
        assert refused(second.check_policy, policy, note_by(*seeds))


@pytest.mark.parametrize(
    "rule",
    [
        [],
        ["quorum none", "quorum none"],
        ["quorum 9"],
        ["group g 3 2 3", "quorum g"],
        ["group g 0 2 3", "quorum g"],
        ["group g any 2 2", "quorum g"],
        ["group g any none", "quorum g"],
        ["group g any 2", "group h all g 2", "quorum h"],
        ["group g any h", "group h any 2", "quorum g"],
        ["group 2 any 3", "quorum 2"],
        [LINES[1].replace("witness 2", "witness 7"), "quorum 7"],
        [LINES[0], "quorum none"],
        ["believe 2", "quorum 2"],
        ["quorum 2\r"],
    ],
    ids=lambda rule: "; ".join(rule)[:40],
)
def test_a_policy_that_is_none_is_refused(rule):
    """Each line that the page forbids."""
    assert refused(second.read_policy, "\n".join([*LINES, *rule, ""]).encode())


def test_the_log_of_tessera(shared_vectors, record_property):
    """Every head, tile and bundle of a real log fits every other, and every byte that is another is noticed."""
    folder = shared_vectors / "tlog" / "tessera-log"
    policy = second.read_policy(b"log " + (folder / "LOG.vkey").read_bytes().strip() + b"\nquorum none\n")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    heads = {}
    for name, data in files.items():
        if name.startswith("checkpoint"):
            _, size, top = second.check_policy(policy, data)
            heads[size] = top
            fetch = {**files, "checkpoint": data}.__getitem__
            _, entries = second.check_log(fetch, policy)
            leaves = [log.leaf(entry) for entry in entries]
            for old in range(size + 1):
                log.check_consistency(old, log.root(leaves[:old]), size, top, log.proof(old, leaves))
            for index in range(size):
                log.check_inclusion(leaves[index], index, size, log.path(index, leaves), top)
    assert sorted(heads) == list(range(16))
    whole = {name: files[name] for name in ("checkpoint", log.tile_name(0, 0, 15), "tile/entries/000.p/15")}
    for name, data in whole.items():
        for at in range(len(data)):
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            assert refused(second.check_log, {**whole, name: changed}.__getitem__, policy), (name, at)
    record_property("files of tessera, read a second time", len(files))


def test_the_exchanges_of_litewitness(shared_vectors, record_property):
    """Each add-checkpoint is answered with the status of that witness; the two exceptions are those of our own witness."""
    vectors = json.loads((shared_vectors / "tlog" / "witness-add-checkpoint.json").read_text())
    exchanges = vectors["exchanges"]
    _, _, note = log.read_request(exchanges[0]["body"].encode())
    origin = log.read_note(note)[0].split("\n")[0]
    public = bytes([1]) + bytes.fromhex(vectors["log_public_key_hex"])
    key_id = hashlib.sha256(origin.encode() + b"\n" + public).hexdigest()[:8]
    key = log.Key(f"{origin}+{key_id}+{log.to64(public)}")
    witness = second.Witness(key, vectors["witness_name"], bytes([9]) * 32)
    own = log.Key(log.vkey(vectors["witness_name"], 4, bytes([9]) * 32))
    for exchange in exchanges:
        body = exchange["body"].encode()
        if "invalid signature" in exchange["assert"]:
            assert witness.add_checkpoint(body, TIME)[0] == 400
            encoded = body.rpartition(b" ")[2].strip()
            body = body.replace(encoded, base64.b64encode(base64.b64decode(encoded)))
        status, answer = witness.add_checkpoint(body, TIME)
        assert status == (404 if "unknown log" in exchange["assert"] else exchange["status"])
        if status == 409:
            assert exchange["assert"] == f'body == "{answer.decode().strip()}\\n"'
        if status == 200:
            assert log.cosigners(log.read_request(body)[2] + answer, [own]) == {own.public: TIME}
    record_property("exchanges of litewitness, answered a second time", len(exchanges))
