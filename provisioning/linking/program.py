"""The modules to be linked, parsed, and what each name in them stands for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from provisioning.errors import ImageError


class LinkError(ImageError):
    """The source does something that linking cannot keep: it must be written another way."""


@dataclass
class Unit:
    """One module.

    Attributes:
        name: Dotted.
        tree: Its statements; every pass replaces some of them.
        modules: Local name -> module of ours that it stands for.
        names: Local name -> (module of ours, name in it).
    """

    name: str
    tree: ast.Module
    modules: dict[str, str] = field(default_factory=dict)
    names: dict[str, tuple[str, str]] = field(default_factory=dict)

    def defined(self) -> dict[str, ast.stmt]:
        """Return the statement that binds each name at the top level, imports left out."""
        found: dict[str, ast.stmt] = {}
        for statement in self.tree.body:
            for name in bound(statement):
                found[name] = statement
        return found


class Program:
    """All modules of ours that a device loads."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.units = {name: Unit(name, ast.parse(text, name)) for name, text in sources.items()}
        self._frozen: dict[str, set[str]] = {}
        for unit in self.units.values():
            unit.tree = ast.fix_missing_locations(_Strip().visit(unit.tree))
            self._resolve(unit)

    def origin(self, module: str, name: str) -> tuple[str, str]:
        """Return where a name of a module is really defined: imports are followed.

        Raises:
            LinkError: The module has no such name.
        """
        unit = self.units[module]
        if name in unit.names:
            return self.origin(*unit.names[name])
        if name not in (self._frozen.get(module) or unit.defined()):
            raise LinkError(f"{module} has no {name}")
        return module, name

    def freeze(self) -> None:
        """Remember what every module defines, before its names are changed."""
        self._frozen = {name: set(unit.defined()) for name, unit in self.units.items()}

    def reached(self, unit: Unit, tree: ast.AST) -> set[tuple[str, str]]:
        """Return the top-level names of ours that a part of a module mentions."""
        found = set()
        defined = unit.defined()
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                if node.id in unit.names:
                    found.add(self.origin(*unit.names[node.id]))
                elif node.id in defined:
                    found.add((unit.name, node.id))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = unit.modules.get(node.value.id)
                if module is not None:
                    found.add(self.origin(module, node.attr))
        return found

    def _resolve(self, unit: Unit) -> None:
        for node in ast.walk(unit.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] in self.units:
                        raise LinkError(f"{unit.name}: write `from` in front of {alias.name}")
            if not isinstance(node, ast.ImportFrom):
                continue
            for alias in node.names:
                local = alias.asname or alias.name
                inner = f"{node.module}.{alias.name}"
                before = unit.modules.get(local) or unit.names.get(local)
                if inner in self.units:
                    unit.modules[local] = inner
                elif node.module in self.units:
                    unit.names[local] = (str(node.module), alias.name)
                if before not in (None, unit.modules.get(local) or unit.names.get(local)):
                    raise LinkError(f"{unit.name}: {local} stands for two things")


def bound(statement: ast.stmt) -> list[str]:
    """Return the names that a top-level statement binds, those of imports left out."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return []
    names = []
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
    return names


class _Strip(ast.NodeTransformer):
    """Takes away what says nothing to the machine: docstrings, annotations, typing."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        node.body = _without_docstring(node.body)
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.body = _without_docstring(node.body) or [ast.Pass()]
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._function(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        self._function(node)
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.body = _without_docstring(node.body) or [ast.Pass()]
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.Assign(targets=[node.target], value=node.value)

    def visit_Try(self, node: ast.Try) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        first = node.body[0]
        if isinstance(first, ast.ImportFrom) and first.module == "typing":
            # No chip has it: what the handler says is what counts.
            return node.handlers[0].body
        return node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:]
    return body
