"""Nothing that is signed or sent changes its shape."""

from tests.vectors.shapes import kept, shapes


def test_shapes_are_kept():
    """Every body has the fields, types and limits it had; one that is new is written down by ``make vectors``."""
    now, before = shapes(), kept()
    assert {name: now.get(name) for name in before} == before
    assert now.keys() == before.keys(), "new bodies: add them to tests/vectors/shapes.json by `make vectors`"
