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
    *,
    apart: bool = False,
) -> Linked:
    """Link a program.

    Args:
        sources: Source by dotted name; a package by its own name.
        roots: Modules that others load -> the names that they use of them.
        outside: Source of all code that meets the program and is not part of it.
        chip: Every name that the chip's modules and their classes have.
        apart: Every module stays by itself: a chip that compiles source has no memory for more.

    Raises:
        LinkError: The source does something that cannot be kept.
    """
    program = Program(sources)
    put_constants(program)
    texts = number_texts(program, error_classes(program))
    meets = set(_WORD.findall(outside)) | chip
    shake(program, roots, meets)
    kept = meets.union(*roots.values())
    namer = Namer(program, kept)
    trees = Bundles(program, list(roots), namer, apart=apart).merge()
    namer.shorten(trees)
    modules = _flatten(trees, set(roots))
    for home in list(modules):
        # A module in a package needs the package, even an empty one.
        for end in range(1, home.count(".") + 1):
            modules.setdefault(".".join(home.split(".")[:end]), "")
    for home, short in _short_homes(trees, set(roots)).items():
        namer.given[f"module {short}"] = home
    return Linked(modules, namer.given, texts)


def _short_homes(trees: dict[str, ast.Module], roots: set[str]) -> dict[str, str]:
    """Return a short name for each bundle but the roots: names of modules are kept for ever."""
    late = sorted(home for home in trees if home not in roots)
    return {home: f"m{number}" for number, home in enumerate(late)}


def _flatten(trees: dict[str, ast.Module], roots: set[str]) -> dict[str, str]:
    """Return the source of each bundle under its short name, in which no package is needed."""
    short = _short_homes(trees, roots)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in short:
                node.module = short[node.module]
            elif isinstance(node, ast.Constant) and node.value in short:
                node.value = short[str(node.value)]  # What is to be forgotten again.
    return {short.get(home, home): ast.unparse(tree) + "\n" for home, tree in trees.items()}
