"""The machine a run was made on, the versions it ran with, and how much of the processors others took meanwhile."""

import importlib.metadata
import os
import platform
import resource
import shutil
import sqlite3
import ssl
import subprocess
from pathlib import Path

from bench.at_work import cores


def description() -> dict[str, str]:
    """Processor, memory, system and versions."""
    from cryptography.hazmat.backends.openssl import backend

    flags = set(_processor("flags").split())
    return {
        "processor": _processor("model name") or platform.processor(),
        "cores": str(os.cpu_count()),
        "AES instructions": _yes("aes" in flags),
        "SHA instructions": _yes("sha_ni" in flags),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "cryptography": importlib.metadata.version("cryptography"),
        "PyNaCl": importlib.metadata.version("PyNaCl"),
        "OpenSSL": f"{backend.openssl_version_text()} (cryptography), {ssl.OPENSSL_VERSION} (Python)",
        "age": _age(),
        "SQLite": sqlite3.sqlite_version,
    }


class Neighbours:
    """What other programs, and other machines on this host, take of the processors from now on."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._begun = self._counters()

    def report(self) -> dict[str, str]:
        """Shares of all processor time since the beginning. Children count as ours once they have ended."""
        total, busy, stolen, own = (
            now - then for now, then in zip(self._counters(), self._begun, strict=True)
        )
        return {
            "load average at the start": f"{self._load:.2f}",
            "taken by other programs": f"{max(0.0, busy - own) / total:.0%}",
            "taken by other machines on this host": f"{stolen / total:.0%}",
        }

    @staticmethod
    def _counters() -> tuple[float, float, float, float]:
        busy, stolen, idle = map(sum, zip(*cores(), strict=True))
        own = sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return busy + idle + stolen, busy, stolen, own


def _processor(field: str) -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def _age() -> str:
    if shutil.which("age") is None:
        return "not installed"
    return subprocess.run(["age", "--version"], check=True, capture_output=True, text=True).stdout.strip()


def _yes(there: bool) -> str:
    return "yes" if there else "no"
