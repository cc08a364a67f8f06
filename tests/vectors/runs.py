"""What is done with a vector of each format: from ``inputs`` to ``expected``, by ``crypto`` alone."""

from crypto import errors
from tests.vectors import chain_runs, grant_runs, keyring_runs, log_runs, small_runs

OUTCOMES: dict[str, type[errors.CoffreError]] = {
    "malformed": errors.Malformed,
    "bad-signature": errors.BadSignature,
    "cannot-open": errors.CannotOpen,
    "broken-chain": errors.BrokenChain,
    "not-permitted": errors.NotPermitted,
    "not-proven": errors.NotProven,
}

RUNS = small_runs.RUNS | keyring_runs.RUNS | log_runs.RUNS | grant_runs.RUNS | chain_runs.RUNS
