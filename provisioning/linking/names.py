"""Short names for what the world outside cannot see.

The world outside is MicroPython itself, the chip's modules, the boot code, and every text of the
program (a name that is also a text may be a key). All other names of attributes, functions and
arguments get a short name, the same everywhere; private ones (`_name`) get one that is theirs in
their module alone, so that forty modules share a dozen of them.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import keyword
import string
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioning.linking.program import Program

_BUILTIN_TYPES = (
    object, type, int, str, bytes, bytearray, memoryview, list, tuple, dict, set, range, slice,
    BaseException, OSError, StopIteration,
)  # fmt: skip
_MICROPYTHON_ONLY = {"errno", "const", "print_exception", "value", "args"}
_ARGUMENTS = ("p", "q", "r", "s", "t", "u", "v", "w")


class Namer:
    """Gives out names that nobody has.

    Attributes:
        kept: Names that stay as they are, for the world outside.
        given: Short name -> what it was, for whoever reads a traceback.
    """

    def __init__(self, program: Program, kept: set[str]) -> None:
        taken = set(kept) | set(dir(builtins)) | set(keyword.kwlist) | _MICROPYTHON_ONLY
        for kind in _BUILTIN_TYPES:
            taken |= set(dir(kind))
        for module, unit in program.units.items():
            taken |= set(module.split("."))
            taken |= _outside_names(unit.tree)
        self.kept = taken
        self.given: dict[str, str] = {}
        self._used = taken | set(_ARGUMENTS) | _all_names(program)
        self._public = self._short("")
        self._by_name: dict[str, str] = {}

    def fresh(self, module: str, name: str) -> str:
        """Return a name for a module's top-level name, another one for each."""
        short = next(self._public)
        self.given[short] = f"{module}.{name}"
        return short

    def shorten(self, trees: dict[str, ast.Module]) -> None:
        """Rename attributes, methods and arguments in the merged bundles."""
        keywords = _keywords(trees)
        public, private = _renamable(trees, self.kept)
        final = {name: self._give(name) for name in public}
        groups = _private_groups(trees)
        for home, tree in trees.items():
            own = groups[home]
            mapping = dict(final)
            for name, short in zip(sorted(private & own), self._short("_"), strict=False):
                mapping[name] = short
                self.given[f"{home}:{short}"] = name
            _Rename(mapping, keywords).visit(tree)
            ast.fix_missing_locations(tree)

    def _give(self, name: str) -> str:
        short = next(self._public)
        self.given[short] = name
        return short

    def _short(self, prefix: str) -> Iterator[str]:
        for length in (1, 2, 3):
            for letters in itertools.product(string.ascii_lowercase, repeat=length):
                name = prefix + "".join(letters)
                if name not in self._used:
                    yield name


def _outside_names(tree: ast.AST) -> set[str]:
    """Return the names of a module that belong to others: imports, texts, foreign keywords."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found |= {*alias.name.split("."), alias.asname or ""}
        elif isinstance(node, ast.ImportFrom):
            found |= {*str(node.module).split(".")}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in dir(builtins):
            found |= {keyword_.arg or "" for keyword_ in node.keywords}
    return found


def _all_names(program: Program) -> set[str]:
    found: set[str] = set()
    for unit in program.units.values():
        for node in ast.walk(unit.tree):
            for field in ("id", "attr", "arg", "name", "asname"):
                value = getattr(node, field, None)
                if isinstance(value, str):
                    found.add(value)
    return found


def _keywords(trees: dict[str, ast.Module]) -> set[str]:
    return {
        node.arg or ""
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
    }


def _renamable(trees: dict[str, ast.Module], kept: set[str]) -> tuple[list[str], set[str]]:
    """Return (public names, the most used first; private ones) that are ours alone."""
    ours: set[str] = set()
    count: Counter[str] = Counter()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                        ours.add(part.name)
                    elif isinstance(part, ast.Assign):
                        ours |= {t.id for t in part.targets if isinstance(t, ast.Name)}
            elif isinstance(node, ast.Attribute):
                count[node.attr] += 1
                if isinstance(node.ctx, ast.Store):
                    ours.add(node.attr)
            elif isinstance(node, ast.arg):
                ours.add(node.arg)
    ours = {name for name in ours - kept if not name.startswith("__") and name != "self"}
    ours = {name for name in ours if len(name) > 2}
    public = [name for name in ours if not name.startswith("_")]
    return sorted(public, key=lambda name: (-count[name], name)), {
        name for name in ours if name.startswith("_")
    }


def _private_groups(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Return all names of each bundle: a private name means one thing in all of it."""
    return {
        home: {
            value
            for node in ast.walk(tree)
            for value in (getattr(node, "attr", None), getattr(node, "name", None),
                          getattr(node, "arg", None), getattr(node, "id", None))
            if isinstance(value, str)
        }
        for home, tree in trees.items()
    }  # fmt: skip


class _Rename(ast.NodeTransformer):
    def __init__(self, mapping: dict[str, str], keywords: set[str]) -> None:
        self._mapping, self._keywords = mapping, keywords
        self._inner: list[dict[str, str]] = []

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._local(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._local(node.arg)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self.generic_visit(node)
        node.attr = self._mapping.get(node.attr, node.attr)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        self.generic_visit(node)
        if node.arg:
            node.arg = self._mapping.get(node.arg, node.arg)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        for part in node.body:
            if isinstance(part, ast.Assign):
                for target in part.targets:
                    if isinstance(target, ast.Name):
                        target.id = self._mapping.get(target.id, target.id)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self._function(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self._local(node.name)
        self._function(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        node.name = self._local(node.name)
        self._function(node)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.Nonlocal:
        node.names = [self._local(name) for name in node.names]
        return node

    def _local(self, name: str) -> str:
        for mapping in reversed(self._inner):
            if name in mapping:
                return mapping[name]
        return self._mapping.get(name, name)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """Arguments that no call names share a few letters among all functions."""
        mapping = {}
        if not self._inner:
            free = [a for a in node.args.args if a.arg != "self" and a.arg not in self._keywords]
            nested = {n.arg for f in ast.walk(node) if f is not node
                      for n in getattr(getattr(f, "args", None), "args", [])
                      if isinstance(n, ast.arg)}  # fmt: skip
            free = [a for a in free if a.arg not in nested]
            mapping = {a.arg: letter for a, letter in zip(free, _ARGUMENTS, strict=False)}
        self._inner.append(mapping)
        self.generic_visit(node)
        self._inner.pop()
