"""``coffre log``: a server's logs, checked from outside."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from languages.catalogue import spoken
from vault_client.commands.output import Screen, moment
from vault_client.commands.profiles import server_url

if TYPE_CHECKING:
    from vault_client.commands import Subcommands

# What people read
WHOLE = "Every log is whole: signed, cosigned, consistent, and every tile holds what its entries give."
NO_OTHER = "Keepers that know of no log that the server leaves out: {known} of {asked}."
NO_KEEPER = (
    "No keeper answered: a whole log that the server leaves out would not be noticed, except with --keep."
)
FIRST_USE = "Checked against the trust root the server shows. With its card (--card) it cannot show another."


def add(commands: "Subcommands") -> None:
    """``log verify``."""
    parser = commands("verify", verify, "check a server's logs from outside")
    parser.add_argument(
        "--server", type=server_url, metavar="URL", required=True, help="the address of the server"
    )
    parser.add_argument("--card", type=Path, metavar="FILE", help="its instance card, which pins who it is")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep each verified head in DIR, and check that the logs continue those kept before",
    )


async def verify(arguments: Namespace, screen: Screen) -> None:
    """Fetch and check the directory and every access log."""
    from vault_client.commands.profiles import instance_card
    from vault_client.commands.trust_line import keepers, keepers_sentence
    from vault_client.kept_heads import KeptHeads
    from vault_client.public_log import verify_logs

    card = instance_card(arguments.card)
    kept = None if arguments.keep is None else KeptHeads(arguments.keep)
    with screen.progress(spoken("Checking")) as progress:
        checked = await verify_logs(arguments.server, card, kept=kept, progress=progress)
    screen.result["logs"] = [
        {
            "origin": log.origin,
            "begins": log.begins,
            "size": log.size,
            "root": log.root.hex(),
            "time": log.time,
            "continues": log.continues,
            "seconds": log.seconds,
        }
        for log in checked.logs
    ]
    screen.result["keepers"] = keepers(checked.trust_root)
    screen.result["know_no_other"] = checked.keepers
    screen.result["trust"] = "instance card" if card is not None else "first use"
    rows = [
        (log.origin, str(log.size), log.root.hex()[:16], moment(log.time), f"{log.seconds:.2f}")
        for log in checked.logs
    ]
    screen.table(("Log", "Entries", "Root", "Cosigned (UTC)", "Seconds"), rows)
    screen.say(WHOLE)
    for log in checked.logs:
        if log.begins:
            screen.say(
                f"Entries of {log.origin} below number {log.begins} are gone: keepers dated them over three years ago. Their "
                "hashes are there, and are in the root."
            )
    if kept is not None:
        for log in checked.logs:
            if log.continues is not None:
                screen.say(f"{log.origin} continues the head of size {log.continues} that was kept before.")
        screen.say(
            f"The heads are kept in {arguments.keep}: the next check with it finds out whether the logs continue them."
        )
    asked = checked.trust_root.policy.n
    screen.say(NO_OTHER.format(known=checked.keepers, asked=asked) if checked.keepers else NO_KEEPER)
    screen.say(keepers_sentence(checked.trust_root))
    if card is None:
        screen.say(FIRST_USE)
