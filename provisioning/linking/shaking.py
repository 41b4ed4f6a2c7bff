"""Leaves out what nothing reaches: top-level names, and methods that nobody calls."""

from __future__ import annotations

import ast

from provisioning.linking.program import Program, Unit, bound


def shake(program: Program, roots: dict[str, set[str]], outside: set[str]) -> None:
    """Remove unreachable definitions and unused imports from every unit.

    Args:
        program: Changed in place.
        roots: Module -> the names in it that the world outside calls.
        outside: Names that the world outside may call on any object.
    """
    before = -1
    while (size := _size(program)) != before:
        before = size
        _drop_unreached(program, roots)
        _drop_methods(program, outside)
    for unit in program.units.values():
        _drop_imports(unit)


def _size(program: Program) -> int:
    return sum(1 for unit in program.units.values() for _ in ast.walk(unit.tree))


def _drop_unreached(program: Program, roots: dict[str, set[str]]) -> None:
    waiting = [(module, name) for module, names in roots.items() for name in names]
    for unit in program.units.values():
        for statement in unit.tree.body:
            if not _is_definition(statement):
                waiting += program.reached(unit, statement)
                waiting += [(unit.name, name) for name in bound(statement)]
    reached: set[tuple[str, str]] = set()
    while waiting:
        key = waiting.pop()
        if key in reached:
            continue
        reached.add(key)
        unit = program.units[key[0]]
        defining = unit.defined().get(key[1])
        if defining is not None:
            waiting += program.reached(unit, defining)
    for unit in program.units.values():
        unit.tree.body = [
            statement
            for statement in unit.tree.body
            if not _is_definition(statement)
            or isinstance(statement, (ast.Import, ast.ImportFrom))
            or any((unit.name, name) in reached for name in bound(statement))
        ]


def _is_definition(statement: ast.stmt) -> bool:
    """Say whether a statement only binds names, so that unreached names make it superfluous."""
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, (ast.Name, ast.Tuple)) for target in statement.targets)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return isinstance(statement, kinds)


def _drop_methods(program: Program, outside: set[str]) -> None:
    used = set(outside)
    for unit in program.units.values():
        for node in ast.walk(unit.tree):
            if isinstance(node, ast.Attribute):
                used.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    for unit in program.units.values():
        for node in ast.walk(unit.tree):
            if isinstance(node, ast.ClassDef):
                node.body = [
                    part
                    for part in node.body
                    if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))
                    or part.name in used
                    or part.name.startswith("__")
                ] or [ast.Pass()]


def _drop_imports(unit: Unit) -> None:
    used = {node.id for node in ast.walk(unit.tree) if isinstance(node, ast.Name)}

    class Drop(ast.NodeTransformer):
        def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | None:
            node.names = [a for a in node.names if (a.asname or a.name) in used]
            return node if node.names else None

        def visit_Import(self, node: ast.Import) -> ast.stmt | None:
            node.names = [a for a in node.names if (a.asname or a.name.split(".")[0]) in used]
            return node if node.names else None

    Drop().visit(unit.tree)
