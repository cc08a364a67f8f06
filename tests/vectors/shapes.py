"""The shape of every body and message: its fields in their order, with what each may hold, as one line of text each.
And every operation of a server and a keeper: what it takes and answers, how long both may be, and who may ask; and every
number and label that a module of ``crypto`` gives a name; and the code and status of every problem.

``shapes.json`` keeps them. What is signed or sent today is signed and sent so for ever, limits included: a limit that
moved would let one party refuse what another has signed.
"""

import ast
import importlib
import json
import pkgutil
from dataclasses import fields
from pathlib import Path

from msgspec import inspect as kinds

import crypto
from crypto.wire import keeper_api, problems, vault_api
from tests.strategies import all_kinds

PATH = Path(__file__).with_name("shapes.json")

Shapes = dict[str, dict[str, str]]


def shapes() -> Shapes:
    """The shapes as they are in the source."""
    bodies = {f"{kind.__module__}.{kind.__name__}": _fields(kinds.type_info(kind)) for kind in all_kinds()}
    operations: list[vault_api.Operation | keeper_api.KeeperOperation] = []
    operations += vault_api.OPERATIONS + keeper_api.OPERATIONS
    named = {f"{each.__module__} {each.name}": _operation(each) for each in operations}
    return bodies | named | _constants() | _problems()


def kept() -> Shapes:
    """The shapes as they were written down."""
    found: Shapes = json.loads(PATH.read_text(encoding="utf-8"))
    return found


def keep(*, force: bool) -> int:
    """Write down what is new, or with ``force`` everything; returns how many bodies were written."""
    now, before = shapes(), {} if force or not PATH.exists() else kept()
    PATH.write_text(json.dumps(now | before, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(now.keys() - before.keys())


def _constants() -> Shapes:
    found = {}
    for each in pkgutil.walk_packages(crypto.__path__, "crypto."):
        module = importlib.import_module(each.name)
        defined = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body
        names = [
            name.id
            for statement in defined
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            for name in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
            if isinstance(name, ast.Name) and name.id.isupper() and not name.id.startswith("_")
        ]
        values = {name: getattr(module, name) for name in names}
        if kept := {name: repr(value) for name, value in values.items() if isinstance(value, int | str)}:
            found[each.name] = kept
    return found


def _problems() -> Shapes:
    found = {code: f"{kind.__name__}, {status.value}" for code, kind, status in problems.TABLE}
    return {"crypto.wire.problems.TABLE": found}


def _operation(operation: vault_api.Operation | keeper_api.KeeperOperation) -> dict[str, str]:
    values = {field.name: getattr(operation, field.name) for field in fields(operation)}
    return {name: value.__name__ if isinstance(value, type) else str(value) for name, value in values.items()}


def _fields(info: kinds.Type) -> dict[str, str]:
    if not isinstance(info, kinds.StructType):
        raise TypeError(f"{info} has no fields")
    tag = {} if info.tag is None else {str(info.tag_field): f"always {info.tag!r}"}
    unknown = {} if info.forbid_unknown_fields else {"*": "anything"}
    written = {"[]": "an array of"} if info.array_like else {}
    return written | tag | {field.encode_name: _described(field) for field in info.fields} | unknown


def _described(field: kinds.Field) -> str:
    return _of(field.type) if field.required else f"{_of(field.type)}, may be absent"


def _of(info: kinds.Type) -> str:
    match info:
        case kinds.StructType(cls=cls):
            return cls.__name__
        case kinds.UnionType(types=types):
            return " | ".join(map(_of, types))
        case kinds.VarTupleType(item_type=item, min_length=least, max_length=most):
            return f"{_span(least, most)} of ({_of(item)})"
        case kinds.IntType(ge=least, le=most):
            return f"number {_span(least, most)}"
        case kinds.BytesType(min_length=least, max_length=most):
            return f"bytes {_span(least, most)}"
        case kinds.StrType(min_length=least, max_length=most, pattern=pattern):
            return f"text {_span(least, most)}" + (f" like {pattern}" if pattern else "")
        case kinds.LiteralType(values=values):
            return f"one of {sorted(map(str, values))}"
        case kinds.FrozenSetType(item_type=item, min_length=least, max_length=most):
            return f"{_span(least, most)} different ({_of(item)})"
        case kinds.DictType(key_type=key, value_type=value):
            return f"map of ({_of(key)}) to ({_of(value)})"
        case kinds.BoolType():
            return "true or false"
        case kinds.NoneType():
            return "null"
        case _:
            raise TypeError(f"no words for {info}")


def _span(least: int | None, most: int | None) -> str:
    return f"{0 if least is None else least} to {'any' if most is None else most}"
