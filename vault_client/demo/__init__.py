"""The documents of ``coffre demo``: real formats, fictional people, the same bytes at every run."""
