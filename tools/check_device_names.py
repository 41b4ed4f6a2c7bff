"""Holds device code to the names that an ESP32 really has (firmware/esp32_names.json).

That table was taken with `dir()` on a chip with the official MicroPython 1.26.1 image. Looked at
are imported modules, names imported from them, `module.name` and `module.Class.member`, and
built-in names; what hangs on a value needs types, and is pyright's to check. An import inside
`try ... except ImportError` may miss. `python tools/check_device_names.py` prints one line a
breach.
"""

import ast
import builtins
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from device_code import BOARDS, FIRMWARE, chip_files, shown

# module -> name -> its type, or the members of a class.
Table = dict[str, dict[str, str | list[str]]]
_PYTHON_BUILTINS = set(dir(builtins))
_PYTHON_NAMES = {"__name__", "__file__"}
# Given to `board` packages by the image: one of firmware/boards is mounted under this name.
_OWN_PACKAGES = {"wire_protocol", "device", "board", "chip", "rescue"}


def main() -> int:
    """Check every file of the chip; return the exit status."""
    table: Table = json.loads((FIRMWARE / "esp32_names.json").read_text())
    own = _OWN_PACKAGES | {path.stem for path in FIRMWARE.glob("*.py")}
    lines = []
    for path in chip_files():
        allowed = own | {beside.stem for beside in path.parent.glob("*.py") if _is_board(path)}
        found = Names(table, allowed).breaches(path.read_text())
        lines += [f"{shown(path)}:{line}: {reason}" for line, reason in found]
    print("\n".join(lines))
    return 1 if lines else 0


def _is_board(path: Path) -> bool:
    return path.is_relative_to(BOARDS)


class Names:
    """What one file takes from the chip, held against the table."""

    def __init__(self, table: Table, own: set[str]) -> None:
        self._table = table
        self._own = own
        self._modules: dict[str, str] = {}  # Name in the file -> module of the table.
        self._members: dict[str, list[str]] = {}  # Name in the file -> members of its class.

    def breaches(self, source: str) -> Iterator[tuple[int, str]]:
        """Yield line and reason of every name that the chip does not have."""
        tree = ast.parse(source)
        optional = set(_inside_import_guard(tree))
        for node in ast.walk(tree):
            if node not in optional:
                yield from self._imports(node)
        own = _bound_names(tree)
        for node in ast.walk(tree):
            reason = self._attribute(node) or self._builtin(node, own)
            if reason:
                yield node.lineno, reason  # type: ignore[attr-defined]

    def _imports(self, node: ast.AST) -> Iterator[tuple[int, str]]:
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield from self._module(node.lineno, name.name)
                    self._modules[name.asname or name.name.split(".")[0]] = name.name
            case ast.ImportFrom(module=str(module), names=names):
                yield from self._module(node.lineno, module)
                members = self._table.get(module)
                for name in names if members is not None else ():
                    yield from self._imported(node.lineno, module, name)

    def _module(self, line: int, module: str) -> Iterator[tuple[int, str]]:
        if module not in self._table and module.split(".", 1)[0] not in self._own:
            yield line, f"the chip has no module {module}"

    def _imported(self, line: int, module: str, name: ast.alias) -> Iterator[tuple[int, str]]:
        kind = self._table[module].get(name.name)
        if kind is None and f"{module}.{name.name}" not in self._table:
            yield line, f"{module} has no {name.name} on the chip"
        if isinstance(kind, list):
            self._members[name.asname or name.name] = kind

    def _attribute(self, node: ast.AST) -> str:
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in self._modules:
                module = self._modules[name]
                if module in self._table and attr not in self._table[module]:
                    return f"{module} has no {attr} on the chip"
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in self._members:
                return self._member(name, self._members[name], attr)
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id=name), attr=kind), attr=attr
            ) if name in self._modules:
                members = self._table.get(self._modules[name], {}).get(kind)
                if isinstance(members, list):
                    return self._member(f"{name}.{kind}", members, attr)
        return ""

    def _member(self, name: str, members: list[str], attr: str) -> str:
        # A class whose members `dir()` did not show tells nothing.
        return f"{name} has no {attr} on the chip" if members and attr not in members else ""

    def _builtin(self, node: ast.AST, own: set[str]) -> str:
        if not isinstance(node, ast.Name) or node.id in own:
            return ""
        known = self._table["builtins"].keys() | _PYTHON_NAMES
        missing = node.id in _PYTHON_BUILTINS and node.id not in known
        return f"the chip has no built-in {node.id}" if missing else ""


def _inside_import_guard(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run under `except ImportError`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_catches(one) for one in node.handlers):
            for statement in node.body:
                yield from ast.walk(statement)


def _catches(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.type, ast.Name) and handler.type.id == "ImportError"


def _bound_names(tree: ast.AST) -> set[str]:
    """Return what the file itself gives a meaning to, anywhere."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name.split(".")[0])
    return names


if __name__ == "__main__":
    sys.exit(main())
