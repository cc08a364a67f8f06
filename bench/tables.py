"""Figures as tables: one for each bench, for the terminal and for a markdown page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

Row = dict[str, Any]
Cell = Callable[[Row], str]

NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Lines of text under headings. The first column is to the left, figures are to the right."""

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    def show(self, console: Console) -> None:
        """Print it."""
        table = RichTable(title=self.title, title_justify="left", box=SIMPLE_HEAD)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if number else "left")
        for line in self.lines:
            table.add_row(*line)
        console.print(table)

    def markdown(self) -> str:
        """The same as a section of a page."""
        rule = ("---", *("---:" for _ in self.headings[1:]))
        lines = (self.headings, rule, *self.lines)
        return f"## {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def tables_of(name: str, rows: list[Row]) -> list[Table]:
    """The tables of one bench."""
    return [
        Table(title, tuple(columns), tuple(tuple(cell(row) for cell in columns.values()) for row in chosen))
        for title, columns, wanted in _TABLES[name]
        if (chosen := [row for row in rows if wanted(row)])
    ]


def seconds(value: float) -> str:
    """A time, in the unit that fits."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms")):
        if value < limit:
            return f"{value * factor:.3g} {unit}"
    return f"{value:.2f} s"


def size(value: float) -> str:
    """A number of bytes, in the unit that fits."""
    for limit, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= limit:
            return f"{value / limit:.4g} {unit}"
    return f"{value:.0f} B"


def _cell(field: str, form: Callable[[Any], str]) -> Cell:
    return lambda row: NOTHING if row.get(field) is None else form(row[field])


def _text(field: str) -> Cell:
    return _cell(field, str)


def _count(field: str) -> Cell:
    return _cell(field, lambda value: f"{value:,}")


def _whole(field: str) -> Cell:
    return _cell(field, lambda value: f"{value:,.0f}")


def _time(field: str) -> Cell:
    return _cell(field, seconds)


def _size(field: str) -> Cell:
    return _cell(field, size)


def _ratio(field: str) -> Cell:
    return _cell(field, lambda value: f"{value:.2f}")


def _mib(field: str) -> Cell:
    return _cell(field, lambda value: f"{value:.0f} MiB")


def _share(field: str) -> Cell:
    return _cell(field, lambda value: f"{value:.0%}")


def _each(field: str, count: str) -> Cell:
    return lambda row: seconds(row[field] / row[count])


_FILES: Final = {
    "way and size": lambda row: f"{row['measure']} of {size(row['bytes'])}",
    "tool": _text("tool"),
    "time": _time("wall_s"),
    "without start-up": _time("wall_without_start_s"),
    "processor": _time("cpu_s"),
    "memory": _mib("peak_rss_mib"),
    "above start": _mib("rss_above_start_mib"),
    "times as fast as cp": _ratio("times_as_fast_as_cp"),
    "times as fast as age": _ratio("times_as_fast_as_age"),
}
_DOCUMENTS: Final = {
    "documents": _count("count"),
    "sealed, each": _each("seal_s", "count"),
    "HPKE wrap, each": _each("wrap_s", "count"),
    "times as fast": _ratio("times_as_fast_as_wraps"),
}
_GRANTS: Final = {
    "keepers": _text("keepers"),
    "documents": _count("documents"),
    "one grant": _time("grant_s"),
    "separate wraps": _time("separate_s"),
    "times as fast": _ratio("times_faster"),
    "own wraps read": _time("read_s"),
    "times as fast without": _ratio("times_faster_without_reading"),
}
_GRANT_SIZES: Final = {
    "keepers": _text("keepers"),
    "documents": _count("documents"),
    "rows and event": _size("rows_and_event_bytes"),
    "listing a document": _size("listing_bytes_a_document"),
    "separate wraps": _size("separate_bytes"),
    "a later event of one": _size("later_event_bytes"),
}
_OPENING: Final = {
    "keepers": _text("keepers"),
    "document": _size("bytes"),
    "pairs": _count("pairs"),
    "opening": _time("opening_s"),
    "fetch and decrypt only": _time("fetch_and_decrypt_s"),
    "times a fetch": _ratio("times_a_fetch"),
}
_BATCHES: Final = {
    "documents": _count("documents"),
    "of": _size("bytes"),
    "under one request": _time("many_s"),
    "one document": _time("one_s"),
    "times one": _ratio("times_one"),
    "fetched and decrypted only": _time("fetched_s"),
    "times one beyond that": _ratio("times_one_beyond_bytes"),
}
_READERS: Final = {
    "readers": _count("readers"),
    "client processes": _count("processes"),
    "openings a second": _cell("a_second", lambda value: f"{value:.1f}"),
    "times one reader": _ratio("times_one"),
    "processor time of the server for each": _time("server_s"),
    "of the keeper": _time("keeper_s"),
    "of the client": _time("client_s"),
}
_READERS_CORES: Final = {
    "readers": _count("readers"),
    "server": _share("server_share"),
    "server, first thread": _share("server_first_share"),
    "keeper": _share("keeper_share"),
    "keeper, first thread": _share("keeper_first_share"),
    "clients": _share("clients_share"),
    "busiest client": _share("busiest_client_share"),
    "each core, not idle": _cell("core_shares", lambda shares: ", ".join(f"{share:.0%}" for share in shares)),
    "taken by other machines": _share("stolen_share"),
    "of the rest, by this bench": _share("own_share"),
}
_GROWTH: Final = {
    "operation": _text("operation"),
    "documents and entries held": _count("held"),
    "median": _time("median_s"),
    "times that at the first size": _ratio("times_the_first"),
    "log n would allow": _ratio("times_log_n"),
}
_SCAN: Final = {
    "leaves": _count("leaves"),
    "keys": _count("keys"),
    "scan": _time("scan_s"),
    "hashing the leaves": _time("hash_s"),
    "times the hashing": _ratio("scan_over_hash"),
}
_STORE: Final = {
    "clients": _count("clients"),
    "entries a second": _whole("a_second"),
    "for each second of a processor": _whole("a_second_of_processor"),
    "single synced writes a second": _whole("synced_a_second"),
    "times those": _ratio("times_synced"),
}
_REQUESTS: Final = {
    "clients": _count("clients"),
    "requests a second": _whole("a_second"),
    "median": _time("median_s"),
    "worst": _time("worst_s"),
}
_DOWNLOAD: Final = {
    "bytes": _size("bytes"),
    "coffre": _time("coffre_s"),
    "nginx": _time("nginx_s"),
    "times nginx": _ratio("times_nginx"),
}
_SMALL_FILES: Final = {
    "files": _count("files"),
    "of": _size("bytes"),
    "added": _time("added_s"),
    "each": _time("median_s"),
    "each of the last tenth": _time("last_tenth_s"),
    "memory above start": _mib("above_start_mib"),
    "synced copies": _time("copied_s"),
    "times those": _ratio("times_copied"),
}
_STARTING: Final = {
    "command": _text("command"),
    "time": _time("wall_s"),
    "processor": _time("cpu_s"),
    "memory": _mib("peak_rss_mib"),
    "times Python": _ratio("times_python"),
}


def _any(_: Row) -> bool:
    return True


_TABLES: Final[dict[str, list[tuple[str, dict[str, Cell], Callable[[Row], bool]]]]] = {
    "files": [
        ("Files, each by a fresh process", _FILES, lambda row: "tool" in row),
        (
            "Documents of 4 KiB sealed in memory, beside one hybrid HPKE wrap each",
            _DOCUMENTS,
            lambda row: "seal_s" in row,
        ),
    ],
    "grants": [
        ("Granting many documents, beside one hybrid HPKE wrap each", _GRANTS, _any),
        ("The same in bytes", _GRANT_SIZES, _any),
    ],
    "opening": [
        ("One opening over HTTP, beside fetching and decrypting the same ciphertext", _OPENING, _any)
    ],
    "batches": [("Many documents opened under one request, beside one document", _BATCHES, _any)],
    "readers": [
        ("Openings by many readers at a time", _READERS, _any),
        ("What was full meanwhile: shares of one core, or of all where it says so", _READERS_CORES, _any),
    ],
    "growth": [("One operation on a record and a log that hold many", _GROWTH, _any)],
    "scan": [("Scanning a log, beside hashing its leaves", _SCAN, _any)],
    "appending": [
        (
            "Entries made durable by the store alone, beside single synced writes",
            _STORE,
            lambda row: "times_synced" in row,
        ),
        ("Signed requests logged, cosigned and answered over HTTP", _REQUESTS, lambda row: "worst_s" in row),
    ],
    "download": [("A ciphertext downloaded, beside the same bytes from nginx", _DOWNLOAD, _any)],
    "small_files": [("Small files added by one process, beside synced copies", _SMALL_FILES, _any)],
    "starting": [("Starting each command, beside a Python that does nothing", _STARTING, _any)],
}
