"""Every message that the product prints when it refuses something, read from its code by the syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

LIB = Path(__file__).resolve().parents[1] / "lib" / "lakehouse"
_SAYING = frozenset({"Problem", "problem", "Finding", "refused", "_refused"})
_VALUE = "…"
_WORD = re.compile(r"[A-Za-z]{2,}")

Function = ast.FunctionDef
Parents = dict[ast.AST, ast.AST]


@dataclass(frozen=True)
class Module:
    """A module's tree, its functions and calls by name, what it imports from the product, and who encloses whom."""

    name: str
    tree: ast.Module
    functions: dict[str, Function]
    calls: dict[str, list[ast.Call]] = field(repr=False)
    imported: dict[str, str]
    parents: Parents = field(repr=False)


@dataclass(frozen=True)
class Message:
    """A message with `…` for its values, and the package or module of the product that says it (see `_unit`)."""

    unit: str
    text: str


@cache
def module(name: str) -> Module | None:
    """A module of the product by its dotted name below `lakehouse`."""
    path = LIB / Path(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.exists():
        return None
    tree = ast.parse(file.read_text())
    nodes = list(ast.walk(tree))
    functions = {node.name: node for node in nodes if isinstance(node, Function)}
    imports = [
        node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lakehouse.")
    ]
    imported = {
        alias.asname or alias.name: str(node.module).removeprefix("lakehouse.")
        for node in imports
        for alias in node.names
    }
    parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
    calls: dict[str, list[ast.Call]] = {}
    for node in nodes:
        if isinstance(node, ast.Call):
            calls.setdefault(_called(node), []).append(node)
    return Module(name, tree, functions, calls, imported, parents)


@cache
def _walked(scope: ast.AST) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(scope))


@cache
def messages() -> tuple[Message, ...]:
    """All of them, by unit, in the order of the code; none twice."""
    found: dict[str, Message] = {}
    for file in sorted(LIB.rglob("*.py")):
        parts = file.relative_to(LIB).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        here = module(name) if name else None
        for node in ast.walk(here.tree) if here is not None else ():
            for text in said_at(node, here):
                if _is_sentence(text):
                    found.setdefault(text, Message(_unit(parts), text))
    return tuple(sorted(found.values(), key=lambda message: message.unit))


def _unit(parts: tuple[str, ...]) -> str:
    """The package or module at the top; a command by its own module, for commands are of many subjects."""
    return ".".join(parts[:2]) if parts[0] == "commands" else parts[0]


def said_at(node: ast.AST, here: Module) -> Iterator[str]:
    """What a raise, or a call that names a problem, says."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        yield from texts(node.exc, here, set())
    elif isinstance(node, ast.Call) and _called(node) in _SAYING:
        yield from texts(node, here, set())


def texts(node: ast.AST, here: Module, seen: set[int]) -> Iterator[str]:
    """The texts that an expression may be: through conditions, names, and the functions that make it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    text = _template(node)
    if text is not None and (_is_sentence(text) or not isinstance(node, ast.JoinedStr)):
        yield " ".join(text.split())
    elif isinstance(node, ast.FormattedValue):
        yield from texts(node.value, here, seen)
    elif isinstance(node, ast.Name):
        yield from _of_name(node, here, seen)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, here, seen)
    elif isinstance(node, ast.IfExp):
        yield from _of_all([node.body, node.orelse], here, seen)
    elif isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
        yield from _of_all([node.elt], here, seen)
    elif isinstance(node, ast.DictComp):
        yield from _of_all([node.value], here, seen)
    elif isinstance(node, ast.Compare | ast.Subscript | ast.Attribute):
        return
    else:
        yield from _of_all(ast.iter_child_nodes(node), here, seen)


def _is_sentence(text: str) -> bool:
    """True for what tells something: two words with a blank between, not all in capitals as SQL is."""
    return len(_WORD.findall(text)) > 1 and re.search(r"\w.* .*\w", text) is not None and not text.isupper()


def _of_all(nodes: object, here: Module, seen: set[int]) -> Iterator[str]:
    for node in nodes:
        yield from texts(node, here, seen)


def _template(node: ast.AST) -> str | None:
    """A literal text, or one put together, with `…` for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else _VALUE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _template(node.left), _template(node.right)
        return None if left is None and right is None else (left or _VALUE) + (right or _VALUE)
    return None


def _of_call(node: ast.Call, here: Module, seen: set[int]) -> Iterator[str]:
    """What is given to it, and what a function of the product returns or yields."""
    yield from _of_all([*node.args, *(keyword.value for keyword in node.keywords)], here, seen)
    if isinstance(node.func, ast.Attribute):
        yield from texts(node.func.value, here, seen) if isinstance(node.func.value, ast.Constant) else ()
        return
    name = _called(node)
    owner = here if name in here.functions else module(here.imported[name]) if name in here.imported else None
    function = owner.functions.get(name) if owner is not None else None
    if owner is not None and function is not None:
        results = [item.value for item in _walked(function) if isinstance(item, ast.Return | ast.Yield | ast.YieldFrom)]
        yield from _of_all([item for item in results if item is not None], owner, seen)


def _of_name(node: ast.Name, here: Module, seen: set[int]) -> Iterator[str]:
    """What the name is bound to: by an assignment, a loop, or as a parameter by the callers in this module."""
    function = _around(node, here)
    scope = function if function is not None else here.tree
    bound = list(_bindings(scope, node.id)) or list(_bindings(here.tree, node.id, deep=False))
    if not bound and function is not None:
        bound = list(_arguments(function, node.id, here))
    yield from _of_all(bound, here, seen)


def _bindings(scope: ast.AST, name: str, *, deep: bool = True) -> Iterator[ast.AST]:
    for item in _walked(scope) if deep else ast.iter_child_nodes(scope):
        if isinstance(item, ast.Assign):
            for target in item.targets:
                yield from _part(target, item.value, name)
        elif isinstance(item, ast.AnnAssign | ast.NamedExpr) and item.value is not None:
            yield from _part(item.target, item.value, name)
        elif isinstance(item, ast.For | ast.comprehension):
            yield from _part(item.target, item.iter, name)
        elif isinstance(item, ast.AugAssign):
            yield from _part(item.target, item.value, name)


def _part(target: ast.AST, value: ast.AST, name: str) -> Iterator[ast.AST]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, of_it in zip(target.elts, value.elts, strict=True):
            yield from _part(one, of_it, name)
    elif any(isinstance(item, ast.Name) and item.id == name for item in ast.walk(target)):
        yield value


def _arguments(function: Function, name: str, here: Module) -> Iterator[ast.AST]:
    names = [argument.arg for argument in function.args.args]
    for call in here.calls.get(function.name, ()):
        yield from (keyword.value for keyword in call.keywords if keyword.arg == name)
        if name in names and names.index(name) < len(call.args):
            yield call.args[names.index(name)]


def _around(node: ast.AST, here: Module) -> Function | None:
    """The function that a node stands in."""
    while node in here.parents:
        node = here.parents[node]
        if isinstance(node, Function):
            return node
    return None


def _called(node: ast.Call) -> str:
    return (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else node.func.id
        if isinstance(node.func, ast.Name)
        else ""
    )
