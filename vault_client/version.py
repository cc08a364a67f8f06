"""The version of this software, as its package says: pyproject.toml is the only place that states it."""

from importlib.metadata import version

VERSION = version("coffre")
