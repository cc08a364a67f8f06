"""The faults: each is one place of a source file written otherwise.

Left alone are annotations of functions, what is raised or printed and other whole sentences (a message may say
anything), the shape of a module (imports, definitions, type variables), and the order of what max, min or
compare_digest compares. Every other comparison, condition, number, literal, argument, slice and statement is written
otherwise in each way that a slip of a developer would.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
NAMES = {"any": "all", "all": "any", "min": "max", "max": "min"}
PRINTED = {"__repr__", "__rich_repr__", "__str__", "__format__"}
UNTOUCHED = {"__slots__", "__all__"}
SENTENCE = re.compile(r"[A-Z]\S* .*\.", re.DOTALL)


@dataclass(frozen=True)
class Mutant:
    """One place of ``path`` written otherwise. ``function``: the name of the one it is in, with (), or of the class.

    ``lines``: from the beginning of its statement, so what a test reached when it reached this place.
    """

    path: str
    function: str
    lines: range
    before: str
    after: str
    source: str

    @property
    def inside(self) -> bool:
        """Whether it is in the body of a function, so not done when its module is imported."""
        return _whole(self.function)

    @property
    def row(self) -> str:
        """How the page of mutants that live begins a row about it."""
        before, after = (text.replace("|", "\\|") for text in (self.before, self.after))
        return f"| {self.path} | {self.function} | `{before}` | `{after}` |"


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """Every mutant of one file, in the order of the source."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    text = source.encode()
    statement = 1
    for node, function in _places(ast.parse(source), ""):
        if isinstance(node, ast.stmt):
            statement = node.lineno
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        before = text[start:end].decode()
        for after in _otherwise(node):
            written = after if isinstance(node, ast.stmt | ast.pattern) else f"({after})"
            mutated = text[:start] + written.encode() + text[end:]
            yield Mutant(
                path,
                function,
                range(statement, node.end_lineno + 1),
                _short(before),
                _short(after),
                mutated.decode(),
            )


def _places(node: ast.AST, function: str) -> Iterator[tuple[ast.stmt | ast.expr | ast.pattern, str]]:
    # Depth first, with the name of the outermost function around each place, classes before it.
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            if node.name in PRINTED:
                return
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.decorator_list]
            for child in defaults:
                yield from _places(child, "" if _whole(function) else function)
            name = function if _whole(function) else f"{function}{node.name}()"
            for child in node.body:
                yield from _places(child, name)
            return
        case ast.ClassDef():
            prefix = function if _whole(function) else f"{function}{node.name}."
            for child in [*node.keywords, *node.decorator_list, *node.body]:
                yield from _places(child, prefix)
            return
        case ast.Import() | ast.ImportFrom() | ast.JoinedStr():
            return
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Raise():
            yield node, function
            return
        case ast.Assign(targets=[ast.Name(id=name)]) if name in UNTOUCHED:
            return
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar"))):
            return
        case ast.Constant(value=str() as text) if SENTENCE.fullmatch(text):
            return
        case ast.AnnAssign() if _whole(function) or _is_alias(node):
            if node.value:
                yield from _places(node.value, function)
            return
        case ast.stmt() | ast.expr() | ast.MatchOr():
            yield node, function
    for child in ast.iter_child_nodes(node):
        yield from _places(child, function)


def _whole(function: str) -> bool:
    return function.endswith("()")


def _is_alias(node: ast.AnnAssign) -> bool:
    return "Final" in ast.unparse(node.annotation)


def _otherwise(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Compare():
            for at, operator in enumerate(node.ops):
                other = COMPARISONS[type(operator)]()
                yield _with(node, ops=[*node.ops[:at], other, *node.ops[at + 1 :]])
        case ast.BoolOp(values=values):
            for at in range(len(values)):
                left = values[:at] + values[at + 1 :]
                yield ast.unparse(left[0]) if len(left) == 1 else _with(node, values=left)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield ast.unparse(operand)
        case ast.BinOp(op=operator) if type(operator) in ARITHMETIC:
            yield _with(node, op=ARITHMETIC[type(operator)]())
        case ast.AugAssign(op=operator) if type(operator) in ARITHMETIC:
            yield _with(node, op=ARITHMETIC[type(operator)]())
        case ast.Constant(value=bool() as value):
            yield repr(not value)
        case ast.Constant(value=int() as value):
            yield repr(value + 1)
            if value > 0:
                yield repr(value - 1)
        case ast.Constant(value=str() as value):
            yield repr(value + "x")
        case ast.Constant(value=bytes() as value):
            yield repr(value + b"x")
        case ast.IfExp(body=body, orelse=orelse):
            yield ast.unparse(body)
            yield ast.unparse(orelse)
        case ast.Subscript(slice=ast.Slice(lower=lower, upper=upper, step=step)):
            if lower:
                yield _with(node, slice=ast.Slice(None, upper, step))
            if upper:
                yield _with(node, slice=ast.Slice(lower, None, step))
        case ast.Name(id=name) if name in NAMES:
            yield NAMES[name]
        case ast.Call(func=ast.Name(id="max" | "min") | ast.Attribute(attr="compare_digest")):
            return
        case ast.Call(args=arguments):
            for at, (first, second) in enumerate(pairwise(arguments)):
                starred = isinstance(first, ast.Starred) or isinstance(second, ast.Starred)
                if not starred and ast.unparse(first) != ast.unparse(second):
                    yield _with(node, args=[*arguments[:at], second, first, *arguments[at + 2 :]])
        case ast.Raise() | ast.Break() | ast.Continue() | ast.Expr(value=ast.Call()):
            yield "pass"
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield "pass"
        case ast.GeneratorExp() | ast.ListComp() | ast.SetComp() | ast.DictComp():
            yield from _unfiltered(node)
        case ast.MatchOr(patterns=patterns):
            for at in range(len(patterns)):
                others = patterns[:at] + patterns[at + 1 :]
                yield " | ".join(map(ast.unparse, others))


def _unfiltered(node: ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp) -> Iterator[str]:
    for at, each in enumerate(node.generators):
        if each.ifs:
            bare = ast.comprehension(each.target, each.iter, [], each.is_async)
            yield _with(node, generators=[*node.generators[:at], bare, *node.generators[at + 1 :]])


def _with(node: ast.AST, **changed: object) -> str:
    fields = {name: getattr(node, name, None) for name in node._fields} | changed
    build: Callable[..., ast.AST] = type(node)
    return ast.unparse(ast.fix_missing_locations(ast.copy_location(build(**fields), node)))


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", text)
