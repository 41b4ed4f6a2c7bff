"""Short names for what the world outside cannot see.

The world outside is MicroPython itself, the chip's modules, the boot code, and every text of the
program (a name that is also a text may be a key). All other names of attributes, functions and
arguments get another one, the same everywhere; private ones (`_name`) get one that is theirs in
their module alone, so that forty modules share a dozen of them.

MicroPython keeps every name once, for ever, 7 bytes and its letters in the heap, and doubles the
table of them when it is full; but those that its own image has lie in the flash. So the names
that are given out are first of all such names, of modules that nothing of ours uses (`ENOBUFS`,
`heappush`), and short ones when they come to an end.
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
# Somebody may look for these on any object that is handed over: never a name for something else.
_ASKED_FOR = {
    "send", "throw", "close", "ioctl", "read", "readinto", "readline", "write", "flush", "seek",
    "readblocks", "writeblocks", "mount", "umount", "open", "stat", "ilistdir", "chdir", "remove",
    "keys", "data", "coro", "state", "done", "ph_key", "loads", "dumps",
    # These mean something to the compiler.
    "const", "micropython", "native", "viper", "bytecode", "uint", "ptr",
}  # fmt: skip


class Namer:
    """Gives out names that nobody has.

    Attributes:
        kept: Names that stay as they are, for the world outside.
        given: Short name -> what it was, for whoever reads a traceback.
    """

    def __init__(self, program: Program, kept: set[str], known: list[str]) -> None:
        """Begin.

        Args:
            program: Whose names they are.
            kept: Names of the world outside, which stay what they are.
            known: Names that MicroPython has anyway and nobody outside uses, the best first.
        """
        taken = set(kept) | set(dir(builtins)) | set(keyword.kwlist) | _MICROPYTHON_ONLY
        for kind in _BUILTIN_TYPES:
            taken |= set(dir(kind))
        for module, unit in program.units.items():
            taken |= set(module.split("."))
            taken |= _outside_names(unit.tree)
        self.kept = taken
        self.given: dict[str, str] = {}
        self._used = taken | set(_ARGUMENTS) | _all_names(program)
        mentioned = _all_names(program) | _ASKED_FOR | _MICROPYTHON_ONLY | set(dir(builtins))
        mentioned |= set(keyword.kwlist)
        for unit in program.units.values():
            mentioned |= _outside_names(unit.tree)
        known = [name for name in known if name.isidentifier() and name not in mentioned]
        # An argument must not hide a name of a module, nor may a private name be a public one.
        self._arguments = (*known[: len(_ARGUMENTS)], *_ARGUMENTS)[: len(_ARGUMENTS)]
        known = known[len(_ARGUMENTS) :]
        self._private = known[::3]
        self._public = public = [name for at, name in enumerate(known) if at % 3]
        # Modules, their names and names of attributes never meet: all begin with the first.
        self._globals = itertools.chain(public, self._short(""))
        self._attributes = itertools.chain(public, self._short(""))
        self._modules = itertools.chain(public, self._short("m_"))
        self._inner: dict[str, Iterator[str]] = {}

    def fresh(self, module: str, name: str) -> str:
        """Return a name for a top-level name that other bundles import, another one for each."""
        short = next(self._globals)
        self.given[f"global {short}"] = f"{module}.{name}"
        return short

    def fresh_in(self, home: str, module: str, name: str) -> str:
        """Return a name for one that nobody imports, after all `fresh`: bundles share them."""
        if home not in self._inner:
            left = [name for name in self._public if f"global {name}" not in self.given]
            self._inner[home] = itertools.chain(left, self._short("g_"))
        short = next(self._inner[home])
        self.given[f"global {home} {short}"] = f"{module}.{name}"
        return short

    def module(self, home: str) -> str:
        """Return a name for a bundle: names of modules are kept for ever, too."""
        short = next(self._modules)
        self.given[f"module {short}"] = home
        return short

    def shorten(self, trees: dict[str, ast.Module]) -> None:
        """Rename attributes, methods and arguments in the merged bundles."""
        public, private = _renamable(trees, self.kept)
        final = {name: self._give(name) for name in public}
        # An argument that calls name must not hide a name of a module: it gets one of its own.
        keywords = {name: self._give(name, "k_") for name in _keywords(trees) & set(public)}
        groups = _names_of(trees)
        for home, tree in trees.items():
            mapping = dict(final)
            own = sorted(private & groups[home])
            shorts = itertools.chain(self._private, self._short("_"))
            for name, short in zip(own, shorts, strict=False):
                mapping[name] = short
                self.given[f"{home} {short}"] = name
            _Rename(mapping, keywords, _keywords(trees), self._arguments).visit(tree)
            ast.fix_missing_locations(tree)

    def _give(self, name: str, prefix: str = "") -> str:
        short = next(self._short(prefix) if prefix else self._attributes)
        self._used.add(short) if prefix else None
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


def _names_of(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
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
    """Attributes, methods and arguments get their names; locals keep theirs, they cost nothing."""

    def __init__(
        self,
        attributes: dict[str, str],
        keywords: dict[str, str],
        named: set[str],
        shared: tuple[str, ...],
    ) -> None:
        self._attributes, self._keywords, self._named = attributes, keywords, named
        self._shared = shared
        self._arguments: list[dict[str, str]] = []
        self._in_class = False

    def visit_Name(self, node: ast.Name) -> ast.Name:
        for mapping in reversed(self._arguments):
            if node.id in mapping:
                node.id = mapping[node.id]
                break
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._arguments[-1].get(node.arg, node.arg)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self.generic_visit(node)
        node.attr = self._attributes.get(node.attr, node.attr)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        self.generic_visit(node)
        node.arg = self._keywords.get(node.arg or "", node.arg or "") or None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        outer, self._in_class = self._in_class, True
        self.generic_visit(node)
        self._in_class = outer
        for part in node.body:
            if isinstance(part, ast.Assign):
                for target in part.targets:
                    if isinstance(target, ast.Name):
                        target.id = self._attributes.get(target.id, target.id)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        self._function(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._named_function(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        self._named_function(node)
        return node

    def _named_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, self._in_class = self._in_class, False
        if outer:
            node.name = self._attributes.get(node.name, node.name)
        self._function(node)
        self._in_class = outer

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """Arguments that no call names share a few names among all functions."""
        arguments = [a for a in ast.walk(node.args) if isinstance(a, ast.arg)]
        mapping = {a.arg: self._keywords[a.arg] for a in arguments if a.arg in self._keywords}
        if not self._arguments:
            inner = {
                a.arg
                for function in ast.walk(node)
                if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                for a in function.args.args
                if function is not node
            }
            free = [a.arg for a in arguments if a.arg not in self._named | inner | {"self"}]
            mapping.update(zip(free, self._shared, strict=False))
        self._arguments.append(mapping)
        self.generic_visit(node)
        self._arguments.pop()
