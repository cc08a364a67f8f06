"""Nothing that is signed or sent changes its shape, and nothing that was decided changes."""

import importlib
import inspect
import pkgutil
from dataclasses import fields, is_dataclass

import crypto
from crypto.encoding import Body
from crypto.vault_chain import Changes, Named
from tests.strategies import with_bases
from tests.vectors.shapes import kept, shapes
from vault_client import trust


def test_shapes_are_kept():
    """Every body has the fields, types and limits it had; one that is new is written down by ``make vectors``."""
    now, before = shapes(), kept()
    assert {name: now.get(name) for name in before} == before
    assert now.keys() == before.keys(), "new bodies: add them to tests/vectors/shapes.json by `make vectors`"


def test_bodies_do_not_change():
    """A body that was verified stays as it was, and holds no field it does not know."""
    here = [kind for kind in vars(trust).values() if inspect.isclass(kind) and issubclass(kind, Body)]
    for kind in (*with_bases(), *here):
        config = kind.__struct_config__
        assert (config.frozen, config.forbid_unknown_fields) == (True, True), kind


def test_what_was_verified_does_not_change():
    """No value of ``crypto`` is written to once it is made, but for the two that are filled step by step."""
    modules = [
        importlib.import_module(each.name) for each in pkgutil.walk_packages(crypto.__path__, "crypto.")
    ]
    made = {
        kind
        for module in [*modules, trust]
        for kind in vars(module).values()
        if inspect.isclass(kind) and is_dataclass(kind)
    }
    assert len(made) > 8
    for kind in made - {Changes, Named}:
        assert kind.__dataclass_params__.frozen, kind
        assert fields(kind)
