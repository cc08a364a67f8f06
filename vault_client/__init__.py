"""The client: decides what to believe. SDKs for patients and practitioners, the command line, the demo."""

import os.path

import crypto

# A PyPI distribution named `crypto` installs a package of that name over ours without a word.
if os.path.dirname(os.path.dirname(crypto.__file__)) != os.path.dirname(os.path.dirname(__file__)):
    raise ImportError(
        "The package `crypto` found is not Coffre's own. Uninstall the other one; nothing was started."
    )
