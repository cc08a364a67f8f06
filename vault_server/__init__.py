"""The vault server: stores what it cannot open. The keeper in `keeper` is a program of its own."""

from pathlib import Path

import crypto

# A PyPI distribution named `crypto` installs a package of that name over ours without a word.
if Path(crypto.__file__).parents[1] != Path(__file__).parents[1]:
    raise ImportError(
        "The package `crypto` found is not Coffre's own. Uninstall the other one; nothing was started."
    )
