"""Modules that are loaded together become one.

A root and all that it imports at the top of its files is one bundle. A module that is imported
inside a function is loaded when that function runs: it is the root of a bundle of its own, with
all that only it needs. What two such bundles need and no root has is a bundle too.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from provisioning.linking.program import LinkError, Program, Unit

if TYPE_CHECKING:
    from provisioning.linking.names import Namer


class Bundles:
    """Which module goes where, and the merged source; `bytes_max`: of one bundle, about."""

    def __init__(
        self, program: Program, roots: list[str], namer: Namer, bytes_max: int | None = None
    ) -> None:
        self._program, self._namer = program, namer
        self._home = self._assign(roots)
        if bytes_max is not None:
            self._home = self._split(bytes_max)
        program.freeze()
        self._final = self._name_all(set(roots))

    def merge(self) -> dict[str, ast.Module]:
        """Return the bundles by the name of the module that each is loaded as."""
        merged: dict[str, ast.Module] = {}
        for name in self._in_order():
            unit = self._program.units[name]
            rewriter = _Rewriter(self, unit)
            tree = rewriter.visit(unit.tree)
            body = merged.setdefault(self._home[name], ast.Module(body=[], type_ignores=[])).body
            body += rewriter.needed()
            body += tree.body
        for tree in merged.values():
            tree.body = _once(tree.body)
            ast.fix_missing_locations(tree)
        return merged

    def final(self, origin: tuple[str, str]) -> str:
        """Return the name that a top-level name of ours has in its bundle."""
        return self._final[origin]

    def home(self, module: str) -> str:
        """Return the bundle of a module."""
        return self._home[module]

    def has_private_names(self, module: str) -> bool:
        """Say whether objects made in a module have attributes of their own."""
        return any(
            isinstance(node, ast.Attribute) and node.attr.startswith("_")
            for node in ast.walk(self._program.units[module].tree)
        )

    def origin(self, module: str, name: str) -> tuple[str, str]:
        """Return where a name is defined."""
        return self._program.origin(module, name)

    def _assign(self, roots: list[str]) -> dict[str, str]:
        program = self._program
        late = {m for unit in program.units.values() for m in _imports(program, unit, late=True)}
        home: dict[str, str] = {}
        for root in roots:
            for module in self._closure(root):
                home.setdefault(module, root)
        wanted: dict[str, list[str]] = {}
        for root in sorted(late - set(home)):
            for module in self._closure(root):
                if module not in home:
                    wanted.setdefault(module, []).append(root)
        for module, by in wanted.items():
            home[module] = by[0] if len(by) == 1 else module
        for module in late - set(home):
            home[module] = module
        missing = set(program.units) - set(home)
        for module in missing:
            del program.units[module]
        return home

    def _split(self, bytes_max: int) -> dict[str, str]:
        """Return a home for each module so that no bundle of several is longer than that."""
        home: dict[str, str] = {}
        together: dict[str, list[str]] = {}
        size: dict[str, int] = {}
        # Each behind what it imports: so bundles never import each other, and the last one of a
        # home has the module that gives it its name.
        for module in self._in_order():
            old = self._home[module]
            length = len(ast.unparse(self._program.units[module].tree))
            if size.get(old, 0) + length > bytes_max:
                together[old] = []
                size[old] = 0
            size[old] = size.get(old, 0) + length
            together.setdefault(old, []).append(module)
            home |= dict.fromkeys(together[old], module)
        return home

    def _closure(self, root: str) -> list[str]:
        found: list[str] = []
        waiting = [root]
        while waiting:
            module = waiting.pop()
            if module not in found:
                found.append(module)
                unit = self._program.units[module]
                waiting += _imports(self._program, unit, late=False)
        return found

    def _in_order(self) -> list[str]:
        """Return the modules, each behind those that it imports at its top."""
        done: list[str] = []

        def visit(module: str, above: tuple[str, ...]) -> None:
            if module in above:
                raise LinkError(f"modules import each other: {' -> '.join((*above, module))}")
            if module not in done:
                unit = self._program.units[module]
                for inner in sorted(_imports(self._program, unit, late=False)):
                    visit(inner, (*above, module))
                done.append(module)

        for module in sorted(self._program.units):
            visit(module, ())
        return done

    def _name_all(self, roots: set[str]) -> dict[tuple[str, str], str]:
        final: dict[tuple[str, str], str] = {}
        inner: list[tuple[str, str]] = []
        handed_on = self._handed_on()
        for unit in self._program.units.values():
            for name in unit.defined():
                origin = (unit.name, name)
                if unit.name in roots and name in self._namer.kept:
                    final[origin] = name
                elif origin in handed_on:
                    final[origin] = self._namer.fresh(*origin)
                else:
                    inner.append(origin)
        for origin in inner:
            final[origin] = self._namer.fresh_in(self._home[origin[0]], *origin)
        return final

    def _handed_on(self) -> set[tuple[str, str]]:
        """Return the names that another bundle than their own uses."""
        return {
            origin
            for unit in self._program.units.values()
            for origin in self._program.reached(unit, unit.tree)
            if self._home[origin[0]] != self._home[unit.name]
        }


class _Rewriter(ast.NodeTransformer):
    """One module's statements, in the names of its bundle."""

    def __init__(self, bundles: Bundles, unit: Unit) -> None:
        self._bundles, self._unit = bundles, unit
        self._mine = unit.defined()
        self._foreign: set[tuple[str, str]] = set()  # (bundle, name in it)
        self._depth = 0

    def needed(self) -> list[ast.stmt]:
        """Return the imports from other bundles that the module needs at its top."""
        return [
            ast.ImportFrom(module=home, names=[ast.alias(name=name)], level=0)
            for home, name in sorted(self._foreign)
        ]

    def visit_Name(self, node: ast.Name) -> ast.expr:
        unit = self._unit
        if node.id in unit.modules:
            raise LinkError(f"{unit.name} uses the module {node.id} as a value")
        if node.id in unit.names:
            node.id = self._use(self._bundles.origin(*unit.names[node.id]), node.id)
        elif node.id in self._mine:
            node.id = self._bundles.final((unit.name, node.id))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        local = getattr(node.value, "id", "")
        module = self._unit.modules.get(local)
        if module is None:
            self.generic_visit(node)
            return node
        name = self._use(self._bundles.origin(module, node.attr), local)
        return ast.copy_location(ast.Name(id=name, ctx=node.ctx), node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        if node.arg in self._mine:
            # It hides the module's own name in this function: so it does under the new one.
            node.arg = self._bundles.final((self._unit.name, node.arg))
        elif node.arg in self._unit.names or node.arg in self._unit.modules:
            raise LinkError(f"{self._unit.name}: argument {node.arg} hides what was imported")
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._define(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        self._define(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        for base in node.bases:
            self._check_base(base)
        self._define(node)
        return node

    def _check_base(self, base: ast.expr) -> None:
        """Refuse a base class in another bundle that has private names: they could meet ours."""
        pair = self._unit.names.get(getattr(base, "id", ""))
        if pair is None:
            return
        module, name = self._bundles.origin(*pair)
        if self._bundles.home(module) == self._bundles.home(self._unit.name):
            return
        if self._bundles.has_private_names(module):
            raise LinkError(f"{self._unit.name}: base class {name} is in another bundle")

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if self._depth == 0 and node.name in self._mine:
            node.name = self._bundles.final((self._unit.name, node.name))
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_Global(self, node: ast.Global) -> ast.Global:
        node.names = [self._bundles.final((self._unit.name, name)) for name in node.names]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt] | None:
        ours = [alias for alias in node.names if self._is_ours(alias)]
        if not ours:
            return node
        if self._depth == 0:
            return None  # `needed` says what is left of it.
        found: list[ast.stmt] = []
        for alias in ours:
            pair = self._unit.names.get(alias.asname or alias.name)
            if pair is None:
                raise LinkError(f"{self._unit.name}: import names, not modules, inside functions")
            origin = self._bundles.origin(*pair)
            name = self._bundles.final(origin)
            home = self._bundles.home(origin[0])
            self._foreign.discard((home, name))
            found.append(ast.ImportFrom(module=home, names=[ast.alias(name=name)], level=0))
        return found

    def _is_ours(self, alias: ast.alias) -> bool:
        local = alias.asname or alias.name
        return local in self._unit.names or local in self._unit.modules

    def _use(self, origin: tuple[str, str], local: str) -> str:
        name, home = self._bundles.final(origin), self._bundles.home(origin[0])
        if home != self._bundles.home(self._unit.name) and not _is_late(self._unit, local):
            self._foreign.add((home, name))
        return name


def _is_late(unit: Unit, local: str) -> bool:
    """Say whether a module imports a name of its own inside the functions that need it."""
    return not any(
        local == (alias.asname or alias.name)
        for statement in unit.tree.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    )


def _imports(program: Program, unit: Unit, *, late: bool) -> set[str]:
    """Return the modules of ours that a module imports at its top, or inside its functions."""
    top = [node for node in unit.tree.body if isinstance(node, ast.ImportFrom)]
    found = set()
    for node in ast.walk(unit.tree):
        if isinstance(node, ast.ImportFrom) and (node in top) != late:
            for alias in node.names:
                local = alias.asname or alias.name
                if local in unit.modules:
                    found |= {unit.modules[local], *_behind(program, unit, local)}
                elif local in unit.names:
                    found.add(program.origin(*unit.names[local])[0])
    return found - {unit.name}


def _behind(program: Program, unit: Unit, local: str) -> set[str]:
    """Return the modules that define what is used of a module: it may only hand it on."""
    return {
        program.origin(unit.modules[local], node.attr)[0]
        for node in ast.walk(unit.tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == local
    }


def _once(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return statements with every import said once, at the top."""
    seen: set[str] = set()
    imports: list[ast.stmt] = []
    rest: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            text = ast.unparse(statement)
            if text not in seen:
                seen.add(text)
                imports.append(statement)
        else:
            rest.append(statement)
    return imports + rest
