"""The project's targets, and whether a run reached them. A missed target is told, not punished."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

Row = dict[str, Any]
Rows = list[Row]

GIB: Final = 1 << 30
FULL: Final = 0.95  # of a core's time
OWN: Final = 0.9  # of what the machine had, so that it was not others who filled it


@dataclass(frozen=True, slots=True)
class Target:
    """What is aimed at, which figure says whether it was reached, and the bound. ``figure`` is None without one.

    ``instead``: what counts as well where the bound was missed, in words, or nothing.
    """

    bench: str
    aim: str
    figure: Callable[[Rows], float | None]
    bound: float
    at_most: bool = False
    instead: Callable[[Rows], str] = lambda _: ""

    def verdict(self, rows: Rows) -> tuple[str, str, bool] | None:
        """Aim, figure, and whether it holds; None when the run did not measure it."""
        found = self.figure(rows)
        if found is None:
            return None
        if found <= self.bound if self.at_most else found >= self.bound:
            return self.aim, f"{found:.2f}", True
        instead = self.instead(rows)
        return self.aim, f"{found:.2f}; {instead}" if instead else f"{found:.2f}", bool(instead)


def verdicts(results: dict[str, Rows]) -> Iterator[tuple[str, str, bool]]:
    """Every target that ``results`` say something about."""
    for target in TARGETS:
        found = target.verdict(results[target.bench]) if target.bench in results else None
        if found is not None:
            yield found


def _pick(field: str, **wanted: Any) -> Callable[[Rows], float | None]:
    """The one field of the row in which all of ``wanted`` holds."""

    def figure(rows: Rows) -> float | None:
        wanted_rows = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
        found = [float(row[field]) for row in wanted_rows if row.get(field) is not None]
        return found[0] if found else None

    return figure


def _beyond_log(rows: Rows) -> float | None:
    """How far the worst growth goes beyond that of log n: 1 is just as much."""
    later = [row["times_the_first"] / row["times_log_n"] for row in rows if row["times_log_n"] > 1]
    return max(later, default=None)


def _times_one(rows: Rows) -> float | None:
    """How many times one reader's openings many make."""
    return float(rows[-1]["times_one"])


def _full(rows: Rows) -> str:
    """What had no more to give while many read: a thread that answers, or every core. Nothing where none was seen full."""
    many = rows[-1]
    for who in ("server", "keeper"):
        share = many[f"{who}_first_share"]
        if share >= FULL:
            return f"the {who}'s first thread had {share:.0%} of a core"
    if min(many["core_shares"]) >= FULL and many["own_share"] >= OWN:
        shares = " and ".join(f"{share:.0%}" for share in many["core_shares"])
        return f"the cores were {shares} busy, {many['own_share']:.0%} of it with this bench"
    return ""


TARGETS: Final = (
    Target(
        "files",
        "1 GiB is encrypted at least 1.3 times as fast as by age, signed root included",
        _pick("times_as_fast_as_age", measure="encrypt a file", bytes=GIB, tool="coffre"),
        1.3,
    ),
    Target(
        "files",
        "1 GiB is decrypted at least 1.5 times as fast as by age, signed root included",
        _pick("times_as_fast_as_age", measure="decrypt a file", bytes=GIB, tool="coffre"),
        1.5,
    ),
    Target(
        "files",
        "1 GiB is encrypted within 16 MiB above the program before the file",
        _pick("rss_above_start_mib", measure="encrypt a file", bytes=GIB, tool="coffre"),
        16,
        at_most=True,
    ),
    Target(
        "files",
        "1 GiB is decrypted within 16 MiB above the program before the file",
        _pick("rss_above_start_mib", measure="decrypt a file", bytes=GIB, tool="coffre"),
        16,
        at_most=True,
    ),
    Target(
        "files",
        "documents of 4 KiB are sealed at least 5 times as fast as hybrid HPKE wraps",
        _pick("times_as_fast_as_wraps"),
        5,
    ),
    Target(
        "grants",
        "10,000 documents are granted at least 10 times as fast as wrapped separately, 1 of 1 keeper",
        _pick("times_faster", keepers="1/1", documents=10_000),
        10,
    ),
    Target(
        "grants",
        "10,000 documents are granted at least 5 times as fast as wrapped separately, 3 of 4 keepers",
        _pick("times_faster", keepers="3/4", documents=10_000),
        5,
    ),
    Target(
        "grants",
        "rows and event of 10,000 documents have at most 1.25 MiB (1,310,720 bytes)",
        _pick("rows_and_event_bytes", keepers="3/4", documents=10_000),
        1.25 * (1 << 20),
        at_most=True,
    ),
    Target(
        "grants",
        "a listing has at most 256 bytes a document",
        _pick("listing_bytes_a_document", keepers="3/4", documents=10_000),
        256,
        at_most=True,
    ),
    Target(
        "scan",
        "scanning under 12 keys takes no longer than hashing the leaves",
        _pick("scan_over_hash"),
        1,
        at_most=True,
    ),
    Target(
        "opening",
        "an opening of 1 MiB takes at most 3 times as long as fetching and decrypting it, 1 of 1 keeper",
        _pick("times_a_fetch", keepers="1/1"),
        3,
        at_most=True,
    ),
    Target(
        "opening",
        "an opening of 1 MiB takes at most 5 times as long as fetching and decrypting it, 3 of 4 keepers",
        _pick("times_a_fetch", keepers="3/4"),
        5,
        at_most=True,
    ),
    Target(
        "batches",
        "50 documents take at most 3 times as long as one, beyond what their bytes take",
        _pick("times_one_beyond_bytes"),
        3,
        at_most=True,
    ),
    Target(
        "readers",
        "64 readers open at least 5 times as many documents a second as one, or a core is seen to be full",
        _times_one,
        5,
        instead=_full,
    ),
    Target(
        "growth",
        "an operation grows at most like log n (worst growth over that of log n, at most 1)",
        _beyond_log,
        1,
        at_most=True,
    ),
    Target(
        "appending",
        "the store alone makes 20,000 entries a second durable at 64 clients",
        _pick("a_second", way="the store alone", clients=64),
        20_000,
    ),
    Target(
        "appending",
        "1,500 whole requests a second are answered at 64 clients",
        _pick("a_second", way="whole requests", clients=64),
        1_500,
    ),
)
