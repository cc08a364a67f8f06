"""The paper kit: what it gives, and that a mistyped one is refused."""

import string

import msgspec
import pytest

from crypto import labels
from crypto.errors import Malformed, TooLarge
from crypto.sealed.recovery import GROUPS, Kit, KitFile, kit_file_text, kit_groups, read_kit_file
from crypto.sealing import seal
from crypto.secret_bytes import SecretBytes
from crypto.statements import RootRef

KIT = Kit(SecretBytes(bytes(range(32))))


def test_a_kit_gives_the_same_keys_again():
    """Root and unlock key come from the seed alone, and differ between kits and from each other."""
    again = Kit.from_text(KIT.to_text())
    assert again.root.public.raw == KIT.root.public.raw
    assert again.unlock.open(b"", seal(KIT.unlock.public, b"", b"x")) == b"x"
    other = Kit.generate()
    assert other.root.public.raw != KIT.root.public.raw
    assert other.unlock.public != KIT.unlock.public
    assert Kit.from_text(other.to_text()).root.public.raw == other.root.public.raw
    assert not KIT.root.seed.same_as(KIT.unlock.seed)


def test_the_text_is_groups_of_four():
    """14 groups of four characters of base32."""
    groups = KIT.to_text().split("-")
    assert [len(group) for group in groups] == [4] * 14
    assert set("".join(groups)) <= set(string.ascii_uppercase + "234567")


def test_a_kit_is_read_as_people_type():
    """Small letters, spaces for dashes and spaces around are read."""
    text = KIT.to_text()
    for typed in (text.lower(), text.replace("-", " "), text.replace("-", ""), f"  {text}\n"):
        assert Kit.from_text(typed).root.public.raw == KIT.root.public.raw


def test_groups_are_read_one_by_one_or_together():
    """A part of a kit's text gives its groups as they are written, however it was typed."""
    groups = KIT.to_text().split("-")
    assert len(groups) == GROUPS
    for group in groups:
        assert kit_groups(f" {group.lower()}\n") == [group]
    for joint in ("-", " ", ""):
        assert kit_groups(joint.join(groups[3:6])) == groups[3:6]
    assert kit_groups(KIT.to_text()) == groups


@pytest.mark.parametrize(
    "typed", ["", " ", "-", "ABC", "ABCDE", "AB1C", "ABC0", "ABC8", "ABC9", "ÀBCD", "AB=="]
)
def test_what_cannot_be_a_group_is_refused(typed):
    """Half a group, and characters that no kit has, are Malformed."""
    with pytest.raises(Malformed):
        kit_groups(typed)


def test_every_mistyped_character_is_noticed():
    """Each place, mistyped as each other character, is Malformed."""
    text = KIT.to_text().replace("-", "")
    taken = [
        (at, character)
        for at in range(len(text))
        for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        if character != text[at] and not refused(text[:at] + character + text[at + 1 :])
    ]
    assert taken == []


def refused(text: str) -> bool:
    """Whether ``text`` is refused."""
    try:
        Kit.from_text(text)
    except Malformed:
        return True
    return False


@pytest.mark.parametrize("change", [1, 4, 13])
def test_swapped_groups_are_noticed(change):
    """Two groups in the wrong order are Malformed."""
    groups = KIT.to_text().split("-")
    groups[0], groups[change] = groups[change], groups[0]
    assert refused("-".join(groups))


@pytest.mark.parametrize(
    "text", ["", "x", "0189", KIT.to_text()[:-1], KIT.to_text() + "AAAA", "é" * 56, "=" * 56]
)
def test_other_text_is_no_kit(text):
    """Nothing, another length, other characters: Malformed."""
    with pytest.raises(Malformed):
        Kit.from_text(text)


def test_a_kit_does_not_print():
    """No repr shows the seed or its text."""
    shown = repr(KIT) + str(KIT) + repr(KIT.root) + repr(KIT.unlock)
    assert KIT.to_text()[:4] not in shown
    assert bytes(range(32)).hex()[:8] not in shown


FILE = KitFile(
    suite=labels.SUITE,
    url="https://coffre.example",
    root=RootRef(version=1, digest=bytes(32)),
    identity=bytes(range(32)),
    vault=None,
    text=KIT.to_text(),
)


def test_a_kit_file_comes_back():
    """A file is read as it was written, with and without a vault, with white space around it; its kit is the kit."""
    for file in (FILE, msgspec.structs.replace(FILE, vault=bytes(32))):
        assert read_kit_file(f"\n {kit_file_text(file)} \n") == file
    assert read_kit_file(kit_file_text(FILE)).kit.root.public.raw == KIT.root.public.raw


@pytest.mark.parametrize(
    "text",
    [
        KIT.to_text().lower(),
        KIT.to_text().replace("-", ""),
        f"{KIT.to_text()} ",
        KIT.to_text()[:-1] + ("A" if KIT.to_text()[-1] != "A" else "B"),
    ],
    ids=["small letters", "no groups", "a space", "mistyped"],
)
def test_a_kit_file_has_one_form(text):
    """A kit that is mistyped, or written otherwise than it is printed, is Malformed in a file."""
    with pytest.raises(Malformed):
        read_kit_file(kit_file_text(msgspec.structs.replace(FILE, text=text)))


def test_a_kit_file_is_small_and_of_this_suite():
    """Another suite is Malformed, a long file TooLarge, before anything is looked at."""
    with pytest.raises(Malformed):
        read_kit_file(kit_file_text(FILE).replace("coffre-1", "coffre-2"))
    with pytest.raises(TooLarge):
        read_kit_file("x" * 4097)


def test_a_kit_file_does_not_print():
    """No repr shows the text."""
    assert repr(FILE) == "KitFile(…)"
