"""How hard to look: ``make test`` tries the same few things each time, ``make fuzz`` many, and others each time."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

EFFORT: Final = int(os.environ.get("COFFRE_EFFORT", "1"))


def examples(number: int) -> settings:
    """``number`` examples for ``make test``, so many times more for ``make fuzz``."""
    return settings(
        max_examples=number * EFFORT,
        derandomize=EFFORT == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
