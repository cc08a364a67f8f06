"""Nothing acknowledged is lost: people at work on a real server and one keeper or four, killed at random, and what must hold after.

``make crash`` plays 400 rounds of kills, some of programs that are founded, enrol or restore, and 10 of each fault of the
server's disk and of the clients'; ``make test`` 40 rounds. A seed that is printed makes the same choices again; what the
machine does between two of them is its own.
"""
