"""Signed notes, checkpoints and cosignatures: what is believed, and everything near it that is not."""

import base64
import hashlib

import pytest

from crypto.checkpoint import (
    MAX_NOTE,
    MAX_SIGNATURES,
    Checkpoint,
    CosignerKey,
    LogKey,
    NoteSignature,
    add_cosignature,
    claimed_origin,
    cosign,
    cosignatures,
    open_checkpoint,
    open_note,
    parse_base64,
    parse_decimal,
    parse_note,
    sign_checkpoint,
    sign_note,
)
from crypto.errors import BadSignature, Malformed, TooLarge
from crypto.merkle import EMPTY_ROOT, leaf_hash
from crypto.secret_bytes import SecretBytes
from crypto.signing import SigningKey

ORIGIN = "vault.example/coffre/log/7"
KEY, ONE, TWO = (SigningKey(SecretBytes(bytes([number]) * 32)) for number in (1, 2, 3))
LOG = LogKey(ORIGIN, KEY.public)
FIRST = CosignerKey("keeper.example/one", ONE.public)
SECOND = CosignerKey("keeper.example/two", TWO.public)
HEAD = Checkpoint(ORIGIN, 20852163, leaf_hash(b"root"))
NOTE = sign_checkpoint(HEAD, KEY)
TIME = 1_790_000_000


def line_by(key, name, time=TIME, head=HEAD):
    return cosign(head, name, key, time)


LINE = line_by(ONE, FIRST.name)


def test_a_checkpoint_is_three_lines_and_a_signature():
    """The note is origin, size, root, an empty line, and one line under the origin as name."""
    text, _, signatures = NOTE.decode().partition("\n\n")
    assert text.split("\n") == [ORIGIN, "20852163", base64.b64encode(HEAD.root).decode()]
    dash, name, encoded = signatures.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", ORIGIN)
    identified = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + KEY.public.raw).digest()[:4]
    assert base64.b64decode(encoded)[:4] == identified == LOG.id
    KEY.public.check(text.encode() + b"\n", base64.b64decode(encoded)[4:])
    assert open_checkpoint(NOTE, LOG) == HEAD
    assert claimed_origin(NOTE) == ORIGIN


def test_an_empty_log_has_a_signed_head():
    """Size 0 goes with the root of no leaves, and with no other."""
    head = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(head, KEY), LOG) == head
    with pytest.raises(Malformed):
        Checkpoint(ORIGIN, 0, HEAD.root)


def test_the_largest_head_is_one():
    """A log of 2^63-1 leaves is still named."""
    assert Checkpoint.parse(Checkpoint(ORIGIN, 2**63 - 1, HEAD.root).text).size == 2**63 - 1


def test_the_text_of_a_head_ends_with_its_third_line():
    """Something behind the last newline is Malformed."""
    with pytest.raises(Malformed):
        Checkpoint.parse(HEAD.text + "more")


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, bytes(32)),
        ("a\nb", 1, bytes(32)),
        ("a\0b", 1, bytes(32)),
        (ORIGIN, -1, bytes(32)),
        (ORIGIN, 2**63, bytes(32)),
        (ORIGIN, 1, bytes(31)),
        (ORIGIN, 1, bytes(33)),
    ],
)
def test_a_head_that_cannot_be_is_not_made(origin, size, root):
    """A checkpoint with an unfit origin, size or root does not exist, so it cannot be signed."""
    with pytest.raises(Malformed):
        Checkpoint(origin, size, root)


ROOT_LINE = base64.b64encode(HEAD.root).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n5\n{ROOT_LINE}\nextension\n",
        f"{ORIGIN}\n5\n{ROOT_LINE}\n\n",
        f"{ORIGIN}\n5\n",
        f"{ORIGIN}\n05\n{ROOT_LINE}\n",
        f"{ORIGIN}\n+5\n{ROOT_LINE}\n",
        f"{ORIGIN}\n5 \n{ROOT_LINE}\n",
        f"{ORIGIN}\n5_0\n{ROOT_LINE}\n",
        f"{ORIGIN}\n٥\n{ROOT_LINE}\n",
        f"{ORIGIN}\n9223372036854775808\n{ROOT_LINE}\n",
        f"{ORIGIN}\n5\n{ROOT_LINE} \n",
        f"{ORIGIN}\n5\n{ROOT_LINE[:-1]}\n",
        f"{ORIGIN}\n5\n{ROOT_LINE[:-2]}{chr(ord(ROOT_LINE[-2]) + 1)}=\n",
        f"{ORIGIN}\n5\n{base64.b64encode(bytes(31)).decode()}\n",
        f"\n5\n{ROOT_LINE}\n",
        "other.example/log\n5\n" + ROOT_LINE + "\n",
        f"cosignature/v1\ntime 5\n{ORIGIN}\n5\n{ROOT_LINE}\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_of_this_log_is_refused(text):
    """A sound signature does not make an extension line, a loose number, loose base64 or another origin acceptable."""
    note = sign_note(text, ORIGIN, KEY)
    assert open_note(note, LOG) == text
    with pytest.raises(Malformed):
        open_checkpoint(note, LOG)


def test_a_note_by_another_key_is_refused():
    """A note counts only when the very key, under its name, has signed it."""
    for other in (LogKey(ORIGIN, ONE.public), LogKey("other.example/log", KEY.public)):
        with pytest.raises(BadSignature):
            open_checkpoint(NOTE, other)


def test_a_failing_line_by_a_known_key_refuses_the_note():
    """One bad line in the log's name spoils a note that also has a good one."""
    bad = NoteSignature(LOG.name, LOG.id, bytes(64)).line().encode()
    for note in (NOTE + bad, NOTE.replace("— ".encode(), bad + "— ".encode())):
        with pytest.raises(BadSignature):
            open_checkpoint(note, LOG)


def test_lines_by_unknown_keys_are_ignored():
    """Sharing a name or an id with a known key, but not both, makes a line nobody's."""
    lines = [
        NoteSignature("stranger.example", b"1234", bytes(2420)),
        NoteSignature(LOG.name, b"1234", bytes(64)),
        NoteSignature("stranger.example", LOG.id, bytes(64)),
    ]
    note = NOTE + "".join(line.line() for line in lines).encode()
    assert open_checkpoint(note, LOG) == HEAD
    assert cosignatures(note, [FIRST]) == {}


def test_a_cosignature_is_over_the_time_and_the_text():
    """The line holds eight bytes of time and a signature over the two header lines and the note's text."""
    line = line_by(ONE, FIRST.name)
    encoded = base64.b64decode(line.decode().removesuffix("\n").split(" ")[2])
    assert encoded[:4] == hashlib.sha256(FIRST.name.encode() + b"\n\x04" + ONE.public.raw).digest()[:4]
    assert int.from_bytes(encoded[4:12], "big") == TIME
    ONE.public.check(f"cosignature/v1\ntime {TIME}\n{HEAD.text}".encode(), encoded[12:])


def test_cosigners_are_counted_by_key_with_their_newest_time():
    """Several lines by one key count once; a line by a stranger does not count."""
    note = (
        NOTE + line_by(ONE, FIRST.name, TIME) + line_by(ONE, FIRST.name, TIME + 9) + line_by(ONE, FIRST.name)
    )
    note += line_by(KEY, "stranger.example")
    assert cosignatures(note, [FIRST, SECOND]) == {FIRST.key.key_id: TIME + 9}
    note += line_by(TWO, SECOND.name, 5)
    assert cosignatures(note, [FIRST, SECOND]) == {FIRST.key.key_id: TIME + 9, SECOND.key.key_id: 5}


def test_one_key_under_two_names_counts_once():
    """A cosigner listed twice under different names is still one cosigner."""
    alias = CosignerKey("keeper.example/alias", ONE.public)
    note = NOTE + line_by(ONE, FIRST.name) + line_by(ONE, alias.name, TIME + 1)
    assert cosignatures(note, [FIRST, alias]) == {FIRST.key.key_id: TIME + 1}


def test_what_was_verified_once_vouches_for_nothing_else():
    """A signature that was found to fit is remembered with its key and its text; each of the three is still looked at."""
    line = line_by(ONE, FIRST.name)
    other_text = Checkpoint(ORIGIN, HEAD.size + 1, HEAD.root)
    other_key = CosignerKey(FIRST.name, TWO.public)
    parsed = parse_note(NOTE + line).signatures[1]
    changed = bytes([*parsed.signature[:-1], parsed.signature[-1] ^ 1])
    for _ in range(2):
        assert cosignatures(NOTE + line, [FIRST]) == {FIRST.key.key_id: TIME}
        with pytest.raises(BadSignature):
            cosignatures(sign_checkpoint(other_text, KEY) + line, [FIRST])
        with pytest.raises(BadSignature):
            other_key.check(HEAD.text, parsed.signature)
        with pytest.raises(BadSignature):
            FIRST.check(HEAD.text, changed)


def test_a_failing_cosignature_by_a_known_key_refuses_the_note():
    """Another text, another time, or an impossible time under a known name is not overlooked."""
    other = line_by(ONE, FIRST.name, head=Checkpoint(ORIGIN, 5, HEAD.root))
    parsed = parse_note(NOTE + line_by(ONE, FIRST.name)).signatures[1]
    later = (
        NoteSignature(parsed.name, parsed.id, (TIME + 1).to_bytes(8, "big") + parsed.signature[8:])
        .line()
        .encode()
    )
    signature = ONE.sign_bytes(f"cosignature/v1\ntime {2**63}\n{HEAD.text}".encode())
    never = NoteSignature(parsed.name, parsed.id, (2**63).to_bytes(8, "big") + signature).line().encode()
    for line in (other, later, never):
        with pytest.raises(BadSignature):
            cosignatures(NOTE + line_by(TWO, SECOND.name) + line, [FIRST, SECOND])


def test_a_log_signature_is_no_cosignature_and_the_reverse():
    """One key under one name signs for the two types apart: neither signature passes for the other."""
    as_cosigner = CosignerKey(ORIGIN, KEY.public)
    assert as_cosigner.id != LOG.id
    assert cosignatures(NOTE, [as_cosigner]) == {}
    moved = parse_note(NOTE).signatures[0].signature
    with pytest.raises(BadSignature):
        as_cosigner.check(HEAD.text, bytes(8) + moved)


def test_a_signature_of_another_length_cannot_move_the_border_of_the_text():
    """Bytes behind the 64 of a signature are not read as the beginning of what was signed."""
    signed = f"cosignature/v1\ntime {TIME}\n".encode()
    signature = KEY.sign_bytes(signed + HEAD.text.encode())
    with pytest.raises(BadSignature):
        LOG.check(HEAD.text, signature + signed)
    with pytest.raises(BadSignature):
        LOG.check(HEAD.text, signature)
    signature = TIME.to_bytes(8, "big") + ONE.sign_bytes(b"before\n" + signed + HEAD.text.encode())
    with pytest.raises(BadSignature):
        FIRST.check(HEAD.text, signature + b"before\n")


def test_a_cosigners_answer_is_verified_before_it_is_added():
    """Only good lines by that cosigner join the note, and a bad one refuses the answer."""
    good = line_by(ONE, FIRST.name)
    note = add_cosignature(NOTE, line_by(TWO, SECOND.name) + good, FIRST)
    assert note == NOTE + good
    assert open_checkpoint(note, LOG) == HEAD
    stale = line_by(ONE, FIRST.name, head=Checkpoint(ORIGIN, 5, HEAD.root))
    for answer in (line_by(TWO, SECOND.name), stale, good + stale):
        with pytest.raises(BadSignature):
            add_cosignature(NOTE, answer, FIRST)
    forged = NoteSignature(SECOND.name, SECOND.id, bytes(72)).line().encode()
    assert add_cosignature(NOTE, forged + good, FIRST) == NOTE + good


def test_the_newest_answer_takes_the_place_of_the_earlier():
    """A note that is cosigned again and again does not grow, and never goes back in time."""
    others = line_by(TWO, SECOND.name)
    note = NOTE + line_by(ONE, FIRST.name) + others
    newer = add_cosignature(note, line_by(ONE, FIRST.name, TIME + 300), FIRST)
    assert newer == NOTE + others + line_by(ONE, FIRST.name, TIME + 300)
    assert add_cosignature(newer, line_by(ONE, FIRST.name), FIRST) == newer


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n",
        b"no line\n",
        b"\xff",
        LINE[:-1],
        b"\n" + LINE,
        LINE + b"\n" + LINE,
        b"other text\n\n" + LINE,
    ],
)
def test_an_answer_that_is_not_signature_lines_is_refused(answer):
    """Nothing but whole signature lines can be put behind a note."""
    with pytest.raises(Malformed):
        add_cosignature(NOTE, answer, FIRST)


def test_a_time_out_of_range_is_not_signed():
    """A cosigner signs times from 0 to 2^63-1 only."""
    for time in (-1, 2**63):
        with pytest.raises(Malformed):
            cosign(HEAD, FIRST.name, ONE, time)
    for time in (0, 2**63 - 1):
        note = NOTE + cosign(HEAD, FIRST.name, ONE, time)
        assert cosignatures(note, [FIRST]) == {FIRST.key.key_id: time}


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        b"text\n",
        LINE,
        b"text\n\n",
        b"text\n\n" + LINE + LINE[:-1],
        b"text\n" + LINE,
        b"\n" + LINE,
        b"text\n\n" + LINE[:-1],
        b"text\n\n" + LINE + b"\n",
        b"text\n\n" + LINE + b"more\n",
        b"text\r\n\r\n" + LINE,
        b"te\x01xt\n\n" + LINE,
        b"te\txt\n\n" + LINE,
        b"te\xffxt\n\n" + LINE,
        b"te\xed\xa0\x80xt\n\n" + LINE,
        b"text\n\n" + LINE.replace("—".encode(), b"-"),
        b"text\n\n" + LINE.replace("— ".encode(), "—  ".encode()),
        b"text\n\n" + LINE.replace(b"\n", b" \n"),
        b"text\n\n" + LINE.replace(b"keeper", b"kee+per"),
        b"text\n\n" + LINE.replace(b"keeper", "kee\u00a0per".encode()),
        b"text\n\n" + LINE.replace(b"keeper", "kee\u2028per".encode()),
        "text\n\n—  AAAAAAAA\n".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name AAAAAA==\n".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        "text\n\n— name AAAAAAA\n".encode(),
        "text\n\n— name AAAA_AAA\n".encode(),
    ],
)
def test_what_is_not_a_note_is_refused(note):
    """Every part of the form is demanded, in unknown lines as well."""
    with pytest.raises(Malformed):
        parse_note(note)


def test_an_unknown_signature_has_at_least_one_byte():
    """Behind the four bytes of the key's id one more is enough where nobody knows the type."""
    (line,) = parse_note("text\n\n— name AAAAAAE=\n".encode()).signatures
    assert (line.id, line.signature) == (bytes(4), b"\1")


def test_a_text_may_hold_empty_lines():
    """The last empty line divides text from signatures; earlier ones belong to the text."""
    text = "one\n\ntwo\n\n\n"
    note = sign_note(text, "signer", KEY)
    assert open_note(note, LogKey("signer", KEY.public)) == text


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "one\n\n— two"])
def test_text_that_cannot_stand_in_a_note_is_not_signed(text):
    """What would not be read back as the same text is refused before it leaves."""
    with pytest.raises(Malformed):
        sign_note(text, "signer", KEY)


def test_notes_are_limited_in_size_and_signatures():
    """Sixty-four signatures are read, one more is not; nor is a note above 64 KiB."""
    lines = [
        NoteSignature(f"stranger{number}", b"1234", bytes(64)).line().encode()
        for number in range(MAX_SIGNATURES)
    ]
    assert len(parse_note(b"text\n\n" + b"".join(lines)).signatures) == MAX_SIGNATURES
    with pytest.raises(TooLarge):
        parse_note(b"text\n\n" + b"".join(lines) + LINE)
    text = b"x" * (MAX_NOTE - len(LINE) - 2) + b"\n\n"
    assert len(text + LINE) == MAX_NOTE
    parse_note(text + LINE)
    with pytest.raises(TooLarge):
        parse_note(b"x" + text + LINE)
    with pytest.raises(TooLarge):
        add_cosignature(NOTE, LINE * 700, FIRST)
    full = NOTE + b"".join(lines[1:])
    assert len(parse_note(full).signatures) == MAX_SIGNATURES
    with pytest.raises(TooLarge):
        add_cosignature(full, LINE, FIRST)


def test_a_verifier_key_is_read_back():
    """The text of a key names its name, id, type and key, and only a key of the expected type is read."""
    for kind, other in ((LogKey, CosignerKey), (CosignerKey, LogKey)):
        key = kind("example.com/a-key", KEY.public)
        again = kind.parse(key.vkey)
        assert (again.name, again.id, again.key.raw) == (key.name, key.id, KEY.public.raw)
        with pytest.raises(Malformed):
            other.parse(key.vkey)


@pytest.mark.parametrize(
    "vkey",
    [
        "", "name", "name+", "name+00000000", "name+00000000+", LOG.vkey + "\n", LOG.vkey + "=", " " + LOG.vkey,
        LOG.vkey.upper(), LOG.vkey.replace("+", "++", 1), LOG.vkey.replace("log", "lot"), LOG.vkey[:-4],
        f"name+{hashlib.sha256(b'name' + bytes([10, 1]) + bytes(32)).hexdigest()[:8]}+"
        + base64.b64encode(bytes([1]) + bytes(32)).decode(),
    ],
)  # fmt: skip
def test_no_other_text_is_a_verifier_key(vkey):
    """A changed name, id, type, length or letter case, and a key of small order, are refused."""
    with pytest.raises(Malformed):
        LogKey.parse(vkey)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "a\u3000b", "a\x00b", "a\x1fb"])
def test_key_names_hold_no_space_plus_or_control(name):
    """A name that could not stand in a signature line names no key."""
    with pytest.raises(Malformed):
        LogKey(name, KEY.public)


@pytest.mark.parametrize(
    "text", ["", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "1_0", "1.0", "1e3", "٣", "²", "0x1"]
)
def test_numbers_are_plain_decimals(text):
    """What int() would take and the formats do not is refused."""
    with pytest.raises(Malformed):
        parse_decimal(text)


def test_numbers_end_at_63_bits():
    """0 and 2^63-1 are read, 2^63 and longer ones are not."""
    assert [parse_decimal(text) for text in ("0", "10", str(2**63 - 1))] == [0, 10, 2**63 - 1]
    for text in (str(2**63), "9" * 19, "1" + "0" * 5000):
        with pytest.raises(Malformed):
            parse_decimal(text)


@pytest.mark.parametrize(
    "text", ["AAB=", "AAA", "AAA==", "AA\nA=", " AAA=", "AAA=\n", "-AA=", "ÄAA=", "A", "===="]
)
def test_base64_has_one_form(text):
    """Unused bits, missing padding, other alphabets and white space are refused."""
    with pytest.raises(Malformed):
        parse_base64(text)


SMUGGLED = NoteSignature(FIRST.name, FIRST.id, bytes(72)).line().removesuffix("\n")


@pytest.mark.parametrize("text", ["", "no newline at its end", "a\0control\n", f"a text\n\n{SMUGGLED}"])
def test_what_cannot_stand_in_a_note_is_not_signed(text):
    """A text that would not be read back as it was is refused before anything is published."""
    with pytest.raises(Malformed):
        sign_note(text, ORIGIN, KEY)
