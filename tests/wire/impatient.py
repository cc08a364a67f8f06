"""``python -m tests.wire.impatient serve ...``: the server as it is, but that it waits for a head for three seconds."""

import sys

from vault_server import bounded_http
from vault_server.__main__ import main

if __name__ == "__main__":
    bounded_http.HEAD_SECONDS = 3
    sys.exit(main(sys.argv[1:]))
