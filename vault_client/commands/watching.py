"""What ``watch`` says of the service itself, for patients and practitioners alike."""

from typing import TYPE_CHECKING, Any

from vault_client.commands.output import Screen, moment

if TYPE_CHECKING:
    from vault_client.watching import Remark

# What people read
WATCHING = "Watching: what is new is shown as it comes. Ctrl-C ends it. Other commands can use this profile meanwhile."
FAILED = "{why} It is tried again."
SILENT = "The service has been silent since {time} UTC: no head of the log was confirmed after that. What happens meanwhile cannot be seen."
STALE = (
    "STALE: the newest head of the log was confirmed at {time} UTC, more than ten minutes ago. What happened since cannot be seen. If "
    "this computer's clock is right, ask the operator what is wrong."
)
SILENT_FOR_A_DAY = (
    "STALE: no head of the log was confirmed for a day, since {time} UTC. What happened since cannot be seen. Ask the operator, by "
    "another way than this server, what happened."
)
BACK = "The log is confirmed again, at {time} UTC."
UNTOLD = (
    "The service did not tell of what happened: it was found by looking. Coffre goes on looking by itself, at random moments, so it "
    "shows what happens some minutes later at most."
)
REMARKS = {
    "failed": FAILED,
    "silent": SILENT,
    "stale": STALE,
    "silent for a day": SILENT_FOR_A_DAY,
    "back": BACK,
    "untold": UNTOLD,
}


def show_remark(screen: Screen, remark: "Remark") -> None:
    """One remark, in words or as an object."""
    why = "" if remark.error is None else str(remark.error)
    screen.say(REMARKS[remark.kind].format(why=why, time=moment(remark.since)))
    screen.line({"remark": remark_object(remark)})


def remark_object(remark: "Remark") -> dict[str, Any]:
    """A remark for programs. ``since``: the newest confirmation, where the remark is about that."""
    error = remark.error
    return {
        "kind": remark.kind,
        "since": remark.since or None,
        "error": None if error is None else type(error).__name__,
        "message": None if error is None else str(error),
    }
