"""The content types that both programs speak."""

JSON = "application/json"
BYTES = "application/octet-stream"
TEXT = "text/plain"
TREE_SIZE = "text/x.tlog.size"  # of C2SP tlog-witness
