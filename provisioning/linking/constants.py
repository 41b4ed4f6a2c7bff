"""Constants go where they are used; the texts of our own errors become numbers."""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioning.linking.program import Program, Unit

_NAME = re.compile(r"_?[A-Z][A-Z0-9_]*$")
_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}


def put_constants(program: Program) -> None:
    """Replace every use of a named integer or short text by its value."""
    values = _find(program)
    # Followed before anything is taken away, or a name handed on twice would lead nowhere.
    imported = {
        unit.name: {local: program.origin(*pair) for local, pair in unit.names.items()}
        for unit in program.units.values()
    }
    for unit in program.units.values():
        _Put(unit, imported, values).visit(unit.tree)
        ast.fix_missing_locations(unit.tree)
    for unit in program.units.values():
        for local, origin in imported[unit.name].items():
            if origin in values:
                del unit.names[local]


def number_texts(program: Program, errors: set[str]) -> list[str]:
    """Replace the text of every raised error of ours by its number in the list returned."""
    texts: list[str] = []
    for unit in program.units.values():
        _Number(errors, texts).visit(unit.tree)
        ast.fix_missing_locations(unit.tree)
    return texts


def error_classes(program: Program) -> set[str]:
    """Return the names of the exceptions that the program defines."""
    found: set[str] = {"Exception"}
    before = 0
    while len(found) != before:
        before = len(found)
        for unit in program.units.values():
            for node in unit.tree.body:
                if isinstance(node, ast.ClassDef):
                    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                    if bases & found:
                        found.add(node.name)
    return found - {"Exception"}


def _find(program: Program) -> dict[tuple[str, str], int | str]:
    """Return the value of each constant: a name in capitals, bound once, to a number or a text."""
    values: dict[tuple[str, str], int | str] = {}
    before = -1
    while len(values) != before:
        before = len(values)
        for unit in program.units.values():
            for name, node in _assignments(unit):
                value = _fold(program, unit, node, values)
                if value is not None:
                    values[unit.name, name] = value
    return values


def _assignments(unit: Unit) -> list[tuple[str, ast.expr]]:
    found: list[tuple[str, ast.expr]] = []
    for statement in unit.tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=True)
                found += [(t.id, v) for t, v in pairs if isinstance(t, ast.Name)]
            elif isinstance(target, ast.Name):
                found.append((target.id, value))
    return [(name, value) for name, value in found if _NAME.match(name)]


def _fold(
    program: Program, unit: Unit, node: ast.expr, values: dict[tuple[str, str], int | str]
) -> int | str | None:
    if isinstance(node, ast.Constant):
        value = node.value
        return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if isinstance(node, (ast.Name, ast.Attribute)):
        for origin in program.reached(unit, node):
            return values.get(origin)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operand = _fold(program, unit, node.operand, values)
        return -operand if isinstance(operand, int) else None
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left = _fold(program, unit, node.left, values)
        right = _fold(program, unit, node.right, values)
        if isinstance(left, int) and isinstance(right, int):
            result: int = _OPERATIONS[type(node.op)](left, right)
            return result
    return None


class _Put(ast.NodeTransformer):
    def __init__(
        self,
        unit: Unit,
        imported: dict[str, dict[str, tuple[str, str]]],
        values: dict[tuple[str, str], int | str],
    ) -> None:
        self._unit, self._imported, self._values = unit, imported[unit.name], values
        self._handed_on = imported
        self._own = {name for module, name in values if module == unit.name}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load):
            return node
        origin = self._imported.get(node.id)
        if node.id in self._own:
            return ast.Constant(self._values[self._unit.name, node.id])
        if origin in self._values:
            return ast.Constant(self._values[origin])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self._unit.modules:
            module = self._unit.modules[node.value.id]
            origin = self._handed_on[module].get(node.attr, (module, node.attr))
            if origin in self._values:
                return ast.Constant(self._values[origin])
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | None:
        node.names = [
            alias
            for alias in node.names
            if self._imported.get(alias.asname or alias.name) not in self._values
        ]
        return node if node.names else None


class _Number(ast.NodeTransformer):
    def __init__(self, errors: set[str], texts: list[str]) -> None:
        self._errors, self._texts = errors, texts

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if (
            isinstance(node.func, ast.Name)
            and node.func.id in self._errors
            and len(node.args) == 1
            and not isinstance(node.args[0], ast.Name)
        ):
            self._texts.append(f"{node.func.id}: {ast.unparse(node.args[0])}")
            node.args = [ast.Constant(len(self._texts) - 1)]
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        self.generic_visit(node)
        node.cause = None  # MicroPython keeps no cause.
        return node
