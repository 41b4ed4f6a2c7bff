"""Holds wire and device code to whole numbers: the chip's floats are single precision.

120.123456 degrees become 120.12346 there, metres off, and the unix port hides it. So no float
literal, no `float(...)`, no true division and no module of floats below wire_protocol/ and
firmware/. `python tools/check_integers.py` prints one line a breach.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from device_code import micropython_files, shown

_FLOAT_NAMES = {"float", "complex"}
_FLOAT_MODULES = {"math", "cmath", "decimal", "fractions", "statistics"}


def main() -> int:
    """Check every file; return the exit status."""
    lines = [line for path in micropython_files() for line in breaches(path.read_text(), path)]
    print("\n".join(lines))
    return 1 if lines else 0


def breaches(source: str, path: Path) -> Iterator[str]:
    """Yield `file:line: what is wrong` for one file."""
    for node in ast.walk(ast.parse(source)):
        reason = _reason(node)
        if reason:
            yield f"{shown(path)}:{node.lineno}: {reason}"  # type: ignore[attr-defined]


def _reason(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=float() | complex()):
            return f"float literal {node.value!r}"
        case ast.Name(id=name) if name in _FLOAT_NAMES:
            return f"{name} is not for wire and device code"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "true division gives a float: use // and a unit that fits"
        case ast.Import(names=names) if any(name.name in _FLOAT_MODULES for name in names):
            return "a module of floats"
        case ast.ImportFrom(module=module) if module in _FLOAT_MODULES:
            return "a module of floats"
        case _:
            return ""


if __name__ == "__main__":
    sys.exit(main())
