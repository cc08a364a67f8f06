"""How the demo is told, in few words, in the language of whoever runs it: every sentence stands here in French and English."""

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from crypto.encoding import acceptable
from languages.catalogue import spoken
from languages.choice import language
from vault_client.commands.tables import drawn
from vault_client.demo.refusals import Attempt

SCENES = {
    "start": (
        "Un serveur et quatre gardiens démarrent sur cette machine",
        "A server and four keepers start on this machine",
    ),
    "enrol": ("Camille ouvre un coffre, deux médecins s'inscrivent", "Camille enrols, and two practitioners"),
    "add": ("Camille ajoute ses documents", "Camille adds documents"),
    "share": ("Camille choisit qui lit quoi", "Camille decides who reads what"),
    "read": ("Les médecins lisent ce qui leur est confié", "The practitioners read what was granted"),
    "views": ("Ce que chacun voit", "What each party sees"),
    "tries": ("On essaie de tricher", "Attempts to cheat"),
    "log": ("Camille lit et vérifie son journal", "Camille reads and checks the log"),
    "revoke": ("Camille retire un accès", "Camille revokes a grant"),
    "verify": ("N'importe qui vérifie le journal public", "Anyone checks the public log"),
    "hidden": (
        "Le serveur cache que Camille retire un accès",
        "The server hides that Camille revokes a grant",
    ),
    "backup": (
        "L'exploitant remet en place une sauvegarde plus ancienne",
        "The operator puts an older backup back",
    ),
    "fork": (
        "L'exploitant et trois gardiens s'entendent pour tromper Camille",
        "The operator and three keepers collude against Camille",
    ),
    "end": ("En résumé", "In short"),
}

LINES = {
    "ready": ("Le serveur répond à {url}", "The server answers at {url}"),
    "keepers": (
        "{needed} gardiens sur {of} doivent être d'accord. Ces {of} programmes tiennent lieu d'exploitants indépendants",
        "{needed} keepers of {of} must agree. These {of} programs stand for independent operators",
    ),
    "certified": (
        "{name}, certifié par le registre de démonstration",
        "{name}, certified by the demo's registrar",
    ),
    "encrypted": (
        "Documents chiffrés ici, chacun avec sa clé, puis envoyés\N{NO-BREAK SPACE}: {count}",
        "Documents encrypted here, each with its own key, then sent: {count}",
    ),
    "granted": (
        "Documents confiés à {name}\N{NO-BREAK SPACE}: {count}, rien d'autre",
        "Documents granted to {name}: {count}, and nothing else",
    ),
    "received": (
        "Documents reçus par {name}\N{NO-BREAK SPACE}: {count}",
        "Documents received by {name}: {count}",
    ),
    "original": ("Le document de Camille commence ainsi", "Camille's document begins"),
    "stored": ("Voici ce qu'en a le serveur", "The server has this"),
    "rows": ("Dans ses tables, ce qui porte un de ses numéros", "In its tables, what bears one of its ids"),
    "leaf": ("Au journal public, l'entrée {index}", "In the public log, entry {index}"),
    "link": ("Et ce que Camille a signé", "And what Camille signed"),
    "keeper-sees": (
        "Chaque gardien a {size} entrées de 97 octets qui ne disent rien, mais ni document ni nom",
        "Each keeper has {size} entries of 97 bytes that say nothing, and no document or name",
    ),
    "reader-sees": ("{name} voit\N{NO-BREAK SPACE}: {titles}", "{name} sees: {titles}"),
    "entries": ("{count} entrées, alarmes\N{NO-BREAK SPACE}: {alarms}", "{count} entries, alarms: {alarms}"),
    "asked": (
        "Une demande y reste même quand rien n'a été remis ensuite\N{NO-BREAK SPACE}: ainsi l'essai où le serveur change un bit",
        "An opening stays there even when nothing was released after it, as when the server changed one bit",
    ),
    "ended": (
        "{name} n'a plus accès\N{NO-BREAK SPACE}: ce qui a été lu ne peut être repris",
        "{name} has no access any more: what was read cannot be unread",
    ),
    "whole": (
        "{origin}\N{NO-BREAK SPACE}: {size} entrées, racine {root}. Entier, cosigné, cohérent",
        "{origin}: {size} entries, root {root}. Whole, cosigned, consistent",
    ),
    "granted-again": (
        "Camille confie de nouveau un document à {name}, puis le lui retire",
        "Camille grants {name} a document again, then revokes that",
    ),
    "not-in-force": (
        "Le serveur fait le mort, et deux gardiens sont éteints. L'écran de Camille le dit\N{NO-BREAK SPACE}: demandé, pas encore en vigueur",
        "The server plays dead, and two keepers are off. Camille's screen says so: asked for, not yet in force",
    ),
    "in-force": (
        "Les deux gardiens reviennent. L'appareil de Camille leur écrit sans passer par le serveur\N{NO-BREAK SPACE}: c'est en vigueur",
        "The two keepers are back. Camille's device writes to them past the server: it is in force",
    ),
    "asked-after": (
        "Le journal de Camille garde la demande de {name}\N{NO-BREAK SPACE}; rien n'a été remis",
        "Camille's log keeps what {name} asked for: nothing was released",
    ),
    "in-log": (
        "Le serveur répond de nouveau\N{NO-BREAK SPACE}: le retrait est aussi au journal",
        "The server answers again: the end is in the log too",
    ),
    "restored": (
        "La sauvegarde date d'avant ce retrait\N{NO-BREAK SPACE}: le serveur l'aurait oublié",
        "The backup is from before that: the server would have forgotten it",
    ),
    "colluding": (
        "Trois gardiens sur quatre font comme si rien n'avait eu lieu depuis la sauvegarde. Cette fois le serveur démarre",
        "Three of the four keepers act as if nothing had happened since the backup. This time the server starts",
    ),
    "second-log": (
        "{name} lit dans ce second journal sans le savoir. Deux appareils, deux journaux",
        "{name} reads in that second log without knowing. Two devices, two logs",
    ),
    "evidence": (
        "Alarme {code}, et ce que n'importe qui peut vérifier sans compte ni serveur",
        "Alarm {code}, and what anybody can check with no account and no server",
    ),
    "undeniable": (
        "Trois gardiens complices sur quatre peuvent tromper. Dès que leurs deux journaux se rencontrent, la preuve est là",
        "Three colluding keepers of four can deceive. As soon as their two logs meet, there is proof",
    ),
    "kept": (
        "Tout est resté dans {folder}\N{NO-BREAK SPACE}; les phrases secrètes n'ont été écrites nulle part",
        "Everything is in {folder}; the passphrases were written nowhere",
    ),
    "look": (
        "À voir\N{NO-BREAK SPACE}: server/coffre.db, server/ciphertext, keeper-1, practitioner-1/received, evidence",
        "Look at server/coffre.db, server/ciphertext, keeper-1, practitioner-1/received, evidence",
    ),
    "held": ("Tout a tenu", "Everything held"),
    "failed": ("Cela n'a pas tenu\N{NO-BREAK SPACE}: {problem}", "This did not hold: {problem}"),
}

ATTEMPTS = {
    "not-granted": (
        "Lire un document qui ne lui a pas été confié",
        "Reading a document that was not granted",
    ),
    "tampered": ("Le serveur change un bit du document", "The server changes one bit of the document"),
    "log-skipped": (
        "Le serveur n'écrit pas la lecture au journal",
        "The server does not log the reading",
    ),
    "receipt-skipped": (
        "Un logiciel modifié ne demande pas de preuve et s'adresse aux gardiens",
        "A modified SDK skips the receipt and asks the keepers",
    ),
    "revoked": ("Lire après le retrait de l'accès", "Reading after the grant was revoked"),
    "revoked-earlier-receipt": (
        "Redonner aux gardiens la preuve d'une lecture d'avant le retrait",
        "Showing the keepers the receipt of an earlier reading",
    ),
    "hidden-end": (
        "Lire tout de même\N{NO-BREAK SPACE}: le serveur accepte, les gardiens non",
        "Reading all the same: the server agrees, the keepers do not",
    ),
    "older-backup": (
        "Démarrer le serveur sur cette sauvegarde",
        "Starting the server on that backup",
    ),
    "rollback": (
        "Montrer à Camille le journal raccourci",
        "Showing Camille the shortened log",
    ),
    "fork": (
        "Montrer ce second journal à Camille, devenu plus long que le sien",
        "Showing Camille that second log, once it is longer than hers",
    ),
}

DEEDS = {
    "list": ("voit la liste", "listed"),
    "release": ("ouvre", "opened"),
    "refused": ("refusé", "refused"),
    "granted": ("reçoit", "was granted"),
    "ended": ("fin d'accès", "ended"),
    "founded": ("fonde", "founded"),
    "added": ("ajoute", "added"),
    "shared": ("confie", "shared"),
}
LOG_COLUMNS = (("", ""), ("UTC", "UTC"), ("Qui", "Who"), ("Quoi", "What"), ("Document", "Document"))
ROW_COLUMNS = (("Table", "Table"), ("Colonne", "Column"), ("Contenu", "Content"))
SUMMARY_COLUMNS = (
    ("Document", "Document"),
    ("Octets", "Bytes"),
    ("SHA-256", "SHA-256"),
    ("Identique", "Identical"),
)
REFUSED = ("refusé", "refused")
WENT_THROUGH = ("ACCEPTÉ", "ACCEPTED")
YES, NO = ("oui", "yes"), ("NON", "NO")
BETWEEN = ("\N{NO-BREAK SPACE}; ", "; ")

InBoth = tuple[str, str]


def chosen(words: InBoth) -> str:
    """The French or the English of ``words``, as this process speaks."""
    french, english = words
    return french if language() == "fr" else english


def number(count: int) -> str:
    """A number in groups of three digits; French puts a no-break space between them."""
    return f"{count:,}".replace(",", chosen(("\N{NO-BREAK SPACE}", ",")))


class Narration:
    """Tells the story on a terminal, with or without colours, or not at all."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False)
        self._scene = 0

    def scene(self, scene: str) -> None:
        """Begin a scene."""
        self._scene += 1
        title = f"{self._scene}  {chosen(SCENES[scene])}"
        self._console.print()
        self._console.print(Rule(Text(title, style="bold"), align="left", style="dim"))

    def say(self, line: str, /, **values: object) -> None:
        """One line of a scene."""
        self._print(acceptable(chosen(LINES[line]).format(**values)), 3)

    def show(self, content: str) -> None:
        """Something as it is, such as bytes in hexadecimal."""
        self._print(acceptable(content), 5, "cyan")

    def table(self, columns: Sequence[InBoth], rows: Sequence[Sequence[str]]) -> None:
        """Rows of a scene."""
        cells = [[acceptable(cell) for cell in row] for row in rows]
        self._console.out(drawn([chosen(column) for column in columns], cells, indent=3))

    def attempt(self, attempt: Attempt) -> None:
        """One attempt, and the words it was refused with."""
        outcome, style = (REFUSED, "bold green") if attempt.held else (WENT_THROUGH, "bold red")
        mark = chosen(outcome)
        told = self._filled(f"{chosen(ATTEMPTS[attempt.attempt])}  {mark}", 3)
        told.stylize(style, len(told) - len(mark))
        self._console.print(told)
        self._print(acceptable(f"{attempt.error}: {spoken(attempt.message)}"), 5, "dim")

    def _print(self, content: str, indent: int, style: str = "") -> None:
        self._console.print(self._filled(content, indent, style))

    def _filled(self, content: str, indent: int, style: str = "") -> Text:
        # Not left to the console: it would break a line at a no-break space.
        width, edge = max(self._console.width, indent + 1), " " * indent
        filled = textwrap.fill(
            content, width, initial_indent=edge, subsequent_indent=edge, break_on_hyphens=False
        )
        return Text(filled, style=style)
