"""What protocol.md demands in sections 2 to 5, one sentence a row, with what it forbids.

A rule guards a kind of step, and holds or not for what the step is about. The worlds ask only here.
"""

from itertools import combinations

from tests.model.explore import Rule
from tests.model.keepers import (
    END,
    EVENT,
    FOUND,
    NEVER,
    OPENING_ACTS,
    RANDOM,
    READING,
    SILENCE,
    Leaf,
    conflict,
    first_in_slot,
)
from tests.model.record import OWNER

KEEPERS = (
    # Cosigning
    Rule(
        "continues",
        "5",
        "A keeper cosigns a head only if it continues the highest it cosigned.",
        "cosign",
        lambda keeper, base: base == keeper.log,
    ),
    Rule("k above two thirds", "4", "One number for cosigning and releasing: 1/1, 3/4, 4/5, 5/7."),
    Rule(
        "dated together",
        "4",
        "Cosignatures and acknowledgements count together only if dated within 10 minutes.",
    ),
    # Releasing: the request
    Rule("signature", "5", "Strict AR and signature.", "release: request", lambda request: request.signed),
    Rule(
        "acts",
        "5",
        "The act is one of the policy's.",
        "release: request",
        lambda request: request.act in {*OPENING_ACTS, "list"},
    ),
    Rule(
        "excluded",
        "5",
        "The reader is not excepted.",
        "release: request",
        lambda request: not request.excluded,
    ),
    Rule(
        "slot under Kg",
        "5",
        "Slot two is a locator under Kg.",
        "release: request",
        lambda request: request.two != RANDOM,
    ),
    # Releasing: the leaf
    Rule(
        "k cosigned",
        "4",
        "A keeper releases only for a leaf in a head that bears k cosignatures,",
        "release: head",
        lambda keeper, counting, head: head in counting,
    ),
    Rule(
        "own head",
        "4",
        "which is, or is a prefix of, the highest head it cosigned itself.",
        "release: head",
        lambda keeper, counting, head: head == keeper.log[: len(head)],
    ),
    Rule(
        "C opens to this AR",
        "5",
        "C opens to this AR.",
        "release: leaf",
        lambda number, request, head, at: (
            head != () and (head[at].kind, head[at].number) == (READING, number)
        ),
    ),
    Rule(
        "slot of the leaf",
        "5",
        "The leaf's slot two is the AR's.",
        "release: leaf",
        lambda number, request, head, at: head != () and head[at].two == request.two,
    ),
    Rule(
        "lowest index",
        "5",
        "Keeper and scanner count only the lowest index of a slot two.",
        "release: leaf",
        lambda number, request, head, at: head != () and first_in_slot(head, at),
    ),
    Rule(
        "granted",
        "5",
        "The outcome is granted.",
        "release: leaf",
        lambda number, request, head, at: head != () and head[at].granted,
    ),
    Rule(
        "origin",
        "5",
        "AR, event and keeper policy name the origin; anything else is refused.",
        "release: leaf",
        lambda number, request, head, at: head != () and head[at].shard == "own",
    ),
    # Releasing: who asks
    Rule(
        "chain complete",
        "3",
        "The chain shown is complete at the directory head the keeper follows.",
        "release: chain",
        lambda state, keeper, request, whole: whole == (keeper.removal != NEVER),
    ),
    Rule(
        "live at dir",
        "3",
        "A device is live or not at `dir`.",
        "release: chain",
        lambda state, keeper, request, whole: request.device == "kept" or not (whole and request.saw_removal),
    ),
    Rule(
        "live at newest",
        "3",
        "A keeper requires the device to be live also at the newest directory head it follows.",
        "release: chain",
        lambda state, keeper, request, whole: request.device == "kept" or not whole,
    ),
    Rule(
        "dir recent",
        "3",
        "`dir` was the newest head at most 10 minutes ago.",
        "release: chain",
        lambda state, keeper, request, whole: (
            request.saw_removal == (keeper.removal != NEVER)
            or (not request.saw_removal and state.now - keeper.removal <= 1)
        ),
    ),
    # Releasing: whether the grant is in force
    Rule(
        "event logged",
        "4",
        "A keeper answers only if, at its highest head, event j is present,",
        "release: policy",
        lambda world, state, keeper, request, j, rekey: Leaf(EVENT, j) in keeper.log,
    ),
    Rule(
        "no later event",
        "4",
        "j + 1 is absent,",
        "release: policy",
        lambda world, state, keeper, request, j, rekey: Leaf(EVENT, j + 1) not in keeper.log,
    ),
    Rule(
        "no end logged",
        "4",
        "`end` is absent,",
        "release: policy",
        lambda world, state, keeper, request, j, rekey: Leaf(END) not in keeper.log,
    ),
    Rule(
        "no end posted",
        "4",
        "and only if it holds no valid end post.",
        "release: policy",
        lambda world, state, keeper, request, j, rekey: not keeper.posted,
    ),
    Rule(
        "AR names the rekey",
        "4",
        "AR.rekey must equal the blob's.",
        "release: policy",
        lambda world, state, keeper, request, j, rekey: request.rekey == rekey,
    ),
    Rule(
        "expiry",
        "4",
        "Expiry.",
        "release: policy",
        lambda world, state, keeper, request, j, rekey: state.now < world.expiry,
    ),
    Rule(
        "link counts with its receipt",
        "3",
        "A link counts with its receipt.",
        "next link",
        lambda state, counting: any(Leaf(EVENT, state.made - 1) in head for head in counting),
    ),
    # Releasing: the share
    Rule(
        "label by act",
        "4",
        "Keepers compute share-b-list for act list only and share-b for the other acts only.",
        "release: share",
        lambda request, given, rekey: (given.label == "list") == (request.act == "list"),
    ),
    Rule(
        "from this AR only",
        "5",
        "B_T only from fields of this AR.",
        "release: share",
        lambda request, given, rekey: given.doc == request.doc,
    ),
    Rule(
        "newest seeds only",
        "4",
        "A policy blob holds the newest rekey and the seeds for it; older seeds are dropped.",
        "release: share",
        lambda request, given, rekey: given.rekey == rekey,
    ),
    Rule(
        "sealed to the device",
        "5",
        "A share is sealed to the device of the AR.",
        "release: share",
        lambda request, given, rekey: given.to == request.device,
    ),
    Rule("k keepers to open", "4", "One seed for each subset of n-k+1 keepers, given to its members only."),
    # A lost store
    Rule(
        "silence",
        "5",
        "Without its heads a keeper signs, acknowledges and releases nothing for 30 minutes.",
        "return",
        lambda world, state, keeper: state.now - keeper.lost >= SILENCE,
    ),
    Rule(
        "asked after the wait",
        "5",
        "The others are asked after that wait.",
        "ask",
        lambda state, keeper: state.now - keeper.lost >= SILENCE,
    ),
    Rule(
        "k others",
        "5",
        "k others each show their newest head and their end posts not yet logged.",
        "return",
        lambda world, state, keeper: len(keeper.asked) + world.n - world.k >= world.k,
    ),
    Rule(
        "heads consistent",
        "5",
        "Heads all consistent; a conflict is FORK evidence, and then only a new trust root brings it back.",
        "return",
        lambda world, state, keeper: (
            not any(conflict(one.log, other.log) for one, other in combinations(keeper.asked, 2))
        ),
    ),
    Rule(
        "takes the highest head",
        "5",
        "It takes the highest head",
        "take",
        lambda keeper, head, posted: (
            head in [shown.log for shown in keeper.asked]
            and len(head) == max(len(shown.log) for shown in keeper.asked)
        ),
    ),
    Rule(
        "takes every post",
        "5",
        "and every valid post.",
        "take",
        lambda keeper, head, posted: posted == any(shown.posted for shown in keeper.asked),
    ),
    Rule("explicit order", "5", "A 1/1 keeper returns only by the operator's explicit order."),
)

READER = (
    Rule(
        "a client's head goes forward",
        "5",
        "The head is consistent with the last seen.",
        "believe",
        lambda known, shown: shown[: len(known)] == known,
    ),
    Rule(
        "receipt: inclusion",
        "5",
        "The reader checks, before asking keepers: inclusion of exactly this leaf;",
        "receipt",
        lambda head, leaf: leaf in head,
    ),
    Rule("receipt: slot two", "5", "slot two;", "receipt", lambda head, leaf: leaf.two == FOUND),
    Rule(
        "receipt: C",
        "5",
        "C;",
        "receipt",
        lambda head, leaf: (leaf.kind, leaf.number) == (READING, 0),
    ),
    Rule("receipt: outcome", "5", "outcome granted.", "receipt", lambda head, leaf: leaf.granted),
)

RECORD = (
    Rule(
        "signer live at dir",
        "3",
        "A device is live or not at `dir`.",
        "link",
        lambda state, link, epoch: link.by == OWNER or link.dir == 0,
    ),
    Rule(
        "present epoch",
        "3",
        "Links and grants name the present epoch.",
        "sign",
        lambda state, link, epoch: link.what != "add" or link.key == epoch,
    ),
    Rule(
        "removal starts an epoch",
        "3",
        "Removing a holder's device starts a new epoch.",
        "sign",
        lambda state, link, epoch: link.what == "rotate" or epoch == int(state.removed),
    ),
    Rule(
        "rekey when due",
        "4",
        "A new rekey, from the current epoch, is due after removal of a patient's device.",
        "sign",
        lambda state, link, epoch: link.what != "grant" or link.key == epoch,
    ),
)

HONEST = (
    Rule(
        "durable before signed",
        "5",
        "The server signs no head before its tiles, openings and `signed_head` row are durable.",
        "sign head",
        lambda state: state.durable == len(state.log),
    ),
    Rule(
        "not below its keepers",
        "design 5",
        "At start the server refuses to run below the heads its keepers know.",
        "restore",
        lambda state: state.backup >= state.published,
    ),
    Rule(
        "linear",
        "3",
        "A device appends by compare-and-swap on the head and gets 409 with the missing links.",
        "append",
        lambda own, known: own == known,
    ),
    Rule(
        "head before mailbox",
        "5",
        "The reader takes its newest head before it reads its mailbox.",
        "request",
        lambda reader, seen: seen == reader.before,
    ),
    Rule(
        "the same AR once",
        "5",
        "The same AR gets the same receipt and no new leaf; a slot two already in the log is refused without one.",
        "log request",
        lambda log, request: request not in log,
    ),
    Rule(
        "refused when over",
        "5",
        "Refusals: an AR that the grant does not allow is refused.",
        "answer request",
        lambda log: not any(leaf.kind == END or leaf.less for leaf in log),
    ),
    Rule(
        "refused are not judged",
        "5",
        "A refused AR's leaf gets a random slot two; MISPLACED_BY_READER does not apply.",
    ),
    Rule("judged at its leaf", "3", "Stored bodies are judged at their leaf."),
)

# What the model found missing: with these the bad states that they stop are no more reached.
PROPOSED = (
    Rule(
        "signer live at earlier dirs",
        "proposed",
        "The signer of a link is live also at the largest `dir` that an earlier link of the chain names.",
        "link",
        lambda state, link, epoch: link.by == OWNER or all(earlier.dir == 0 for earlier in state.links),
    ),
    Rule(
        "head before chain",
        "proposed",
        "The patient takes the head that it will scan before it takes in the record's links.",
        "audit: sync",
        lambda own: own.head >= 0,
    ),
    Rule(
        "links shown when cosigned",
        "proposed",
        "The server shows a link to other devices when a cosigned head has its leaf.",
    ),
)

ALL = (*KEEPERS, *READER, *RECORD, *HONEST, *PROPOSED)
