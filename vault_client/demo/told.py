"""What came of the story: what was received, what was refused, what others can check, and what did not hold."""

from dataclasses import dataclass, field
from typing import Any

from vault_client.audit_report import AuditReport
from vault_client.commands.patient_log import report_object
from vault_client.demo.narration import Narration
from vault_client.demo.refusals import Attempt
from vault_client.public_log import PublicLogs


@dataclass(frozen=True)
class Received:
    """A document as a practitioner received it."""

    path: str
    size: int
    sha256: str
    identical: bool


@dataclass(frozen=True)
class Proof:
    """A file of evidence that was checked, and what it proves, in English. ``heads``: those it shows."""

    file: str
    code: str
    proven: list[str]
    heads: set[tuple[int, str]]


@dataclass
class Told:
    """What came of the story."""

    documents: list[Received] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    keepers: dict[str, Any] = field(default_factory=dict)
    evidence: list[Proof] = field(default_factory=list)
    report: AuditReport | None = None
    logs: PublicLogs | None = None
    problems: list[str] = field(default_factory=list)

    def require(self, holds: bool, otherwise: str) -> bool:
        """Note a problem unless something holds. Whether it does."""
        if not holds:
            self.problems.append(otherwise)
        return holds

    def note(self, attempt: Attempt, narration: Narration) -> None:
        """Tell of an attempt. One that was not refused is a problem."""
        self.attempts.append(attempt)
        self.require(attempt.held, f"the attempt {attempt.attempt} was not refused as it must be")
        narration.attempt(attempt)

    def to_object(self) -> dict[str, Any]:
        """The story for programs."""
        logs = self.logs.logs if self.logs is not None else ()
        return {
            "documents": [
                {"path": each.path, "bytes": each.size, "sha256": each.sha256, "identical": each.identical}
                for each in self.documents
            ],
            "refusals": [
                {"attempt": each.attempt, "error": each.error, "message": each.message, "held": each.held}
                for each in self.attempts
            ],
            "log": report_object(self.report) if self.report is not None else None,
            "public_logs": [{"origin": log.origin, "size": log.size, "root": log.root.hex()} for log in logs],
            "keepers": self.keepers,
            "evidence": [
                {"file": each.file, "code": each.code, "proven": each.proven} for each in self.evidence
            ],
            "problems": self.problems,
            "ok": self.logs is not None and not self.problems,
        }
