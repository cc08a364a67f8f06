"""How far long work has come. Loads nothing heavy: the command line names it too."""

from collections.abc import Callable

# Called with the bytes done and the bytes in all.
Progress = Callable[[int, int], None]
