"""Nothing acknowledged is lost: people at work on a real server and keeper, killed at random, and what must hold after.

``make crash`` plays 400 rounds of kills and 10 of each failing disk, ``make test`` 40 rounds of kills. A seed that is
printed makes the same choices again; what the machine does between two of them is its own.
"""
