"""What is reached when one rule is taken away: the bad state, and the worlds in which it is. Or why none is."""

from typing import NamedTuple

BAD = {
    "a": "a document opened without a leaf that the patient finds",
    "b": "a document opened after its end is in force",
    "c": "a document opened by a removed device, an excluded member, or under an act that opens nothing",
    "d": "two conflicting heads that both count, or that one client believed",
    "e": "an alarm in an honest history",
    "f": "a link by a removed device believed",
}

BOTH, ONE_OF_ONE, THREE_OF_FOUR = (" 1/1", " 3/4"), (" 1/1",), (" 3/4",)


class Reached(NamedTuple):
    """The bad state, and where."""

    bad: str
    worlds: tuple[str, ...]


def _reached(bad: str, world: str, policies: tuple[str, ...] = ("",)) -> Reached:
    return Reached(bad, tuple(world + policy for policy in policies))


REACHED = {
    "continues": _reached("d", "forks", BOTH),
    "k above two thirds": _reached("d", "forks", THREE_OF_FOUR),
    "dated together": _reached("d", "lost heads", THREE_OF_FOUR),
    "acts": _reached("c", "acts", BOTH),
    "excluded": _reached("c", "acts", BOTH),
    "slot under Kg": _reached("a", "leaves", BOTH),
    "k cosigned": _reached("a", "forks", THREE_OF_FOUR),
    "C opens to this AR": _reached("a", "one slot", BOTH),
    "slot of the leaf": _reached("a", "leaves", BOTH),
    "lowest index": _reached("a", "one slot", BOTH),
    "granted": _reached("a", "leaves", BOTH),
    "origin": _reached("a", "leaves", BOTH),
    "chain complete": _reached("c", "removal", BOTH),
    "live at newest": _reached("c", "removal", BOTH),
    "no later event": _reached("b", "rekey", BOTH),
    "no end logged": _reached("b", "end", BOTH),
    "no end posted": _reached("b", "end", BOTH),
    "expiry": _reached("b", "expiry", BOTH),
    "link counts with its receipt": _reached("b", "later event", BOTH),
    "label by act": _reached("c", "acts", BOTH),
    "from this AR only": _reached("a", "one slot", BOTH),
    "sealed to the device": _reached("c", "sealed", BOTH),
    "k keepers to open": _reached("b", "end", THREE_OF_FOUR),
    "asked after the wait": _reached("d", "lost heads", THREE_OF_FOUR),
    "k others": _reached("d", "lost heads", THREE_OF_FOUR),
    "heads consistent": _reached("d", "lost heads", THREE_OF_FOUR),
    "takes the highest head": _reached("d", "lost heads", THREE_OF_FOUR),
    "takes every post": _reached("b", "lost ends", THREE_OF_FOUR),
    "explicit order": _reached("d", "lost heads", ONE_OF_ONE),
    "a client's head goes forward": _reached("d", "reader"),
    "receipt: inclusion": _reached("a", "reader"),
    "receipt: slot two": _reached("a", "reader"),
    "receipt: C": _reached("a", "reader"),
    "receipt: outcome": _reached("a", "reader"),
    "signer live at dir": _reached("f", "record"),
    "present epoch": _reached("c", "record"),
    "removal starts an epoch": _reached("c", "record"),
    "rekey when due": _reached("c", "record"),
    "durable before signed": _reached("e", "crash"),
    "not below its keepers": _reached("e", "crash"),
    "linear": _reached("e", "writers"),
    "head before mailbox": _reached("e", "audit"),
    "the same AR once": _reached("e", "audit"),
    "refused when over": _reached("e", "audit"),
    "refused are not judged": _reached("e", "audit"),
    "judged at its leaf": _reached("e", "audit"),
    "signer live at earlier dirs": _reached("f", "record"),
    "head before chain": _reached("e", "audit"),
    "links shown when cosigned": _reached("e", "audit"),
}

# A rule, the rule that does its work when it is gone, and what removing both reaches.
COVERED = {
    "AR names the rekey": ("newest seeds only", _reached("b", "rekey", BOTH)),
    "newest seeds only": ("AR names the rekey", _reached("b", "rekey", BOTH)),
    "own head": ("k cosigned", _reached("a", "leaves", ONE_OF_ONE)),
    "k cosigned": ("own head", _reached("a", "leaves", ONE_OF_ONE)),
}

# Rules that no bad state needs as long as the others hold, and the worlds in which they are asked most.
NEEDLESS = {
    "signature": ("sealed 1/1", "sealed 3/4"),
    "own head": ("forks 3/4", "end 3/4"),
    "live at dir": ("removal 1/1", "removal 3/4"),
    "dir recent": ("removal 1/1", "removal 3/4"),
    "event logged": ("later event 1/1", "later event 3/4"),
    "silence": ("lost heads 3/4",),
}
