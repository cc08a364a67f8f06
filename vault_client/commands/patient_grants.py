"""``coffre patient grants``: who may open what, and what became of one grant."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from languages.catalogue import spoken
from vault_client.commands.acts import shown
from vault_client.commands.grant_standing import GRANTS, described, standing, titles_of
from vault_client.commands.names import pick, remember, short
from vault_client.commands.output import Screen, day
from vault_client.commands.patient_queue import sentence
from vault_client.commands.purpose_codes import purposes_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vault_client.grant_history import GrantStep
    from vault_client.local_vault import LocalGrant
    from vault_client.patient import Patient

# What people read
NO_GRANTS = "Nobody may open anything."
CHANGING = "Grant {id} is in force as before until this is in the log: {what}."
LEFT_OUT = "Left out of grant {id}, and may open nothing under it: {fingerprints}."
GIVES = "Grant {id} gives: {titles}."
GRANTED, ADDED, TAKEN_OUT, KEYED_ANEW = "granted", "documents added", "documents taken out", "keyed anew"
OTHER_TERMS, OVER = "other terms", "ended"


async def grants(arguments: Namespace, screen: Screen) -> None:
    """Who may open what, newest first; or one grant, with all that became of it."""
    from vault_client.commands.profiles import patient, synced
    from vault_client.commands.trust_line import show_trust

    async with patient(arguments, screen) as (record, store):
        await synced(record, screen)
        made = [*record.grants(), *record.unanswered_grants()]
        made.sort(key=lambda grant: (-grant.made, grant.entry.gid))
        if arguments.grant is not None:
            gid = pick(store, GRANTS, arguments.grant, (grant.entry.gid for grant in made))
            grant = next(each for each in made if each.entry.gid == gid)
            _show(screen, record, [grant], is_numbered=False)
            _show_history(screen, record, grant)
        else:
            remember(store, GRANTS, (grant.entry.gid for grant in made))
            screen.result["grants"] = [described(grant, record) for grant in made]
            _show(screen, record, made)
        show_trust(screen, record.service)


def _show(
    screen: Screen, record: "Patient", made: "Sequence[LocalGrant]", *, is_numbered: bool = True
) -> None:
    from crypto.wire.cards import fingerprint

    if not made:
        screen.say(NO_GRANTS)
        return
    screen.table(
        ("", "Id", "For", "Subject", "Documents", "Acts", "Purposes", "Until", "Changes", "State"),
        [
            (
                str(number) if is_numbered else "",
                short(grant.entry.gid),
                grant.name,
                grant.subject,
                str(len(record.granted(grant.entry.gid))),
                shown(grant.acts),
                purposes_shown(grant.purposes),
                day(grant.expiry),
                str(grant.entry.j),
                spoken(standing(grant, record)),
            )
            for number, grant in enumerate(made, 1)
        ],
    )
    for grant in made:
        if grant.excluded:
            those = ", ".join(map(fingerprint, grant.excluded))
            screen.say(LEFT_OUT.format(id=short(grant.entry.gid), fingerprints=those))
        for queued in record.changing(grant.entry.gid):
            what = sentence(record, queued.change)
            screen.say(CHANGING.format(id=short(grant.entry.gid), what=what))


def _show_history(screen: Screen, record: "Patient", grant: "LocalGrant") -> None:
    gid = grant.entry.gid
    steps = record.grant_history(gid)
    screen.result |= {**described(grant, record), "history": [_step(step) for step in steps]}
    titles = titles_of(record, [version.doc for version in record.granted(gid)])
    screen.say(GIVES.format(id=short(gid), titles=titles))
    if steps:
        screen.table(
            ("Date", "What", "Documents", "Acts", "Purposes", "Until"),
            [
                (
                    day(step.time) if step.time else "",
                    " · ".join(map(spoken, _words(step))),
                    _changed(record, step),
                    "" if step.terms is None else shown(step.terms.acts),
                    "" if step.terms is None else purposes_shown(step.terms.purposes),
                    "" if step.terms is None else day(step.terms.expiry),
                )
                for step in steps
            ],
        )


def _step(step: "GrantStep") -> dict[str, Any]:
    return {
        "event": step.event,
        "time": step.time or None,
        "rekey": step.is_rekey,
        "given": [doc.hex() for doc in step.given],
        "taken_out": [doc.hex() for doc in step.taken_out],
        "acts": list(step.terms.acts) if step.terms is not None else [],
        "purposes": list(step.terms.purposes) if step.terms is not None else [],
        "until": step.terms.expiry if step.terms is not None else None,
        "excluded": [each.hex() for each in step.terms.excluded] if step.terms is not None else [],
    }


def _words(step: "GrantStep") -> list[str]:
    """What an event changed, in words."""
    if step.event is None:
        return [OVER]
    if step.event == 0:
        return [GRANTED]
    is_only_keys = step.is_rekey and not (step.given or step.taken_out)
    named = [
        *([ADDED] if step.given else []),
        *([TAKEN_OUT] if step.taken_out else []),
        *([KEYED_ANEW] if is_only_keys else []),
        *([OTHER_TERMS] if step.has_other_terms else []),
    ]
    return named or [ADDED]


def _changed(record: "Patient", step: "GrantStep") -> str:
    parts = [("+ ", step.given), ("− ", step.taken_out)]
    return "  ".join(f"{sign}{titles_of(record, documents)}" for sign, documents in parts if documents)
