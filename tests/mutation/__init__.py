"""Whether the tests would notice: small faults are put into the source one at a time, and some test must fail.

``make mutation ARGS=crypto/merkle.py`` does it for one file, ``make mutation`` for ``crypto`` and what a client
believes. What lives is killed by a new test or explained in docs/decisions/0013-mutants-that-live.md.
"""
