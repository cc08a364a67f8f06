"""The content types that both programs speak."""

JSON = "application/json"
BYTES = "application/octet-stream"
TEXT = "text/plain"
