"""What people are told when their service lost its newest data: what came back by their device, and what did not."""

from typing import TYPE_CHECKING, Any

from vault_client.commands.output import Screen, counted, moment, several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crypto.wire.losses import Loss
    from vault_client.audit_report import AuditReport
    from vault_client.patient import Patient

# What people read
GAVE_BACK = (
    "The service lost its newest data, and went back to an older copy on {time} UTC: so its operator declares. This device gave it "
    "back what it has: {changes}, {contents}."
)
CONTENT_LOST = "Lost at the service, and not on this device either: the content of {titles}. If you have the file, add it again."
LEFT = (
    "Of {count} of this record that are in its log, nobody has shown again what they say. A device that may have it is waited for: "
    "until then nothing can be added. Start Coffre there."
)
DECLARED = (
    "The service's operator declares that it lost, before {time} UTC, what {count} of this log said, from number {first} on. What "
    "devices have of it comes back by itself."
)
STILL_LOST = (
    "Still without what they said: {count} of yours. That something was done is certain, and under whose grant: ask that person "
    "what it was. A loss is the operator's word alone: it could be claimed to hide what was read."
)


def show_given_back(screen: Screen, record: "Patient") -> None:
    """Say what was given back to a service that lost it, once it was; and what neither it nor this device has, each time."""
    back = record.given_back
    if back is None:
        return
    screen.result["given_back"] = {
        "losses": losses_object(back.losses),
        "changes": back.changes,
        "contents": back.contents,
        "contents_lost": [doc.hex() for doc in back.lost],
        "entries_left": back.left,
    }
    if back.changes or back.contents:
        changes, contents = counted(back.changes, "change"), counted(back.contents, "document")
        time = moment(back.losses[-1].time)
        screen.aside(GAVE_BACK.format(time=time, changes=changes, contents=contents))
    if back.lost:
        titles = {document.doc: document.descriptor.title for document in record.documents()}
        screen.aside(CONTENT_LOST.format(titles=several([titles[doc] for doc in back.lost])))
    if back.left:
        screen.aside(LEFT.format(count=counted(back.left, "entry", "entries")))


def show_losses(screen: Screen, report: "AuditReport") -> None:
    """Say which entries of the log the operator declares to be without what they said, if some of the record still are."""
    lost = [entry.index for entry in report.entries if entry.kind == "lost"]
    alarmed = [alarm.index for alarm in report.alarms if alarm.index is not None]
    for loss in report.losses:
        if any(loss.start <= index < loss.end for index in lost + alarmed):
            count = counted(loss.end - loss.start, "entry", "entries")
            screen.say(DECLARED.format(count=count, first=loss.start, time=moment(loss.time)))
    if lost:
        screen.say(STILL_LOST.format(count=counted(len(lost), "entry", "entries")))


def losses_object(losses: "Sequence[Loss]") -> list[dict[str, Any]]:
    """Losses for programs."""
    return [{"start": loss.start, "end": loss.end, "time": loss.time} for loss in losses]
