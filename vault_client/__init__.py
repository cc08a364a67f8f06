"""The client: decides what to believe. SDKs for patients and practitioners, the command line, the demo."""

from pathlib import Path

import crypto

# A PyPI distribution named `crypto` installs a package of that name over ours without a word.
if Path(crypto.__file__).parents[1] != Path(__file__).parents[1]:
    raise ImportError(
        "The package `crypto` found is not Coffre's own. Uninstall the other one; nothing was started."
    )
