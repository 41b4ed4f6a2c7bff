"""The order of the passes."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from provisioning.linking.bundles import Bundles
from provisioning.linking.constants import error_classes, number_texts, put_constants
from provisioning.linking.names import Namer
from provisioning.linking.program import Program
from provisioning.linking.shaking import shake

_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


@dataclass(frozen=True)
class Linked:
    """A program ready to be compiled.

    Attributes:
        modules: Source by the dotted name that it is loaded as.
        names: What the short names were; private ones behind `module:`.
        texts: What the numbers in our own errors say.
    """

    modules: dict[str, str]
    names: dict[str, str]
    texts: list[str]


def link(
    sources: dict[str, str],
    roots: dict[str, set[str]],
    outside: str,
    chip: set[str],
    everywhere: set[str] | None = None,
    bytes_max: int | None = None,
) -> Linked:
    """Link a program.

    Args:
        sources: Source by dotted name; a package by its own name.
        roots: Modules that others load -> the names that they use of them.
        outside: Source of all code that meets the program and is not part of it.
        chip: Every name that the chip's modules and their classes have.
        everywhere: Those of them that every MicroPython has: names that cost nothing.
        bytes_max: About how long a bundle may be, for a chip that has to compile it.

    Raises:
        LinkError: The source does something that cannot be kept.
    """
    program = Program(sources)
    put_constants(program)
    texts = number_texts(program, error_classes(program))
    words = _names_in(outside)
    meets = words | chip
    shake(program, roots, meets)
    kept = meets.union(*roots.values())
    # Constants and classes first: in a traceback nobody takes them for a function of that name.
    known = sorted((everywhere or set()) - words, key=lambda name: (name.lower() == name, name))
    namer = Namer(program, kept, known)
    trees = Bundles(program, list(roots), namer, bytes_max).merge()
    namer.shorten(trees)
    short = {home: namer.module(home) for home in sorted(trees) if home not in roots}
    modules = _flatten(trees, short, {name for name in sources if "." in name} - set(trees))
    for home in list(modules):
        # A module in a package needs the package, even an empty one.
        for end in range(1, home.count(".") + 1):
            modules.setdefault(".".join(home.split(".")[:end]), "")
    return Linked(modules, namer.given, texts)


def _names_in(source: str) -> set[str]:
    """Return every name that source mentions, in its texts too; what explains does not count."""
    names: set[str] = set()
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                names.update(value.split("."))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            names.update(_WORD.findall(node.value))
    return names


def _flatten(
    trees: dict[str, ast.Module], short: dict[str, str], inner: set[str]
) -> dict[str, str]:
    """Return the source of each bundle under its short name, in which no package is needed.

    Args:
        trees: Bundles by the module that each was named after.
        short: Their short names.
        inner: Modules that are loaded and forgotten with the bundle that they are part of.
    """
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in short:
                node.module = short[node.module]
            elif isinstance(node, ast.Call):
                node.args = [arg for arg in node.args if getattr(arg, "value", None) not in inner]
            elif isinstance(node, ast.Constant) and node.value in short:
                node.value = short[str(node.value)]  # What is to be forgotten again.
    return {short.get(home, home): ast.unparse(tree) + "\n" for home, tree in trees.items()}
