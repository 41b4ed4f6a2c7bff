"""Holds the deciding parts to what cannot touch the world.

Each part below may import the modules that are listed for it, and no others, and may not call
what reads, prints or runs text. import-linter sees neither built-ins nor what nobody forbade.
`python tools/check_purity.py` prints one line a breach.
"""

import ast
import sys
from collections.abc import Iterator

from device_code import REPOSITORY, shown

_FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "compile", "__import__"}
_SHARED = {"collections", "json", "struct", "typing", "wire_protocol"}
# Folder -> modules (with all that is below them) that its files may import.
PARTS = {
    "wire_protocol": _SHARED,
    "firmware/device/domain": {
        "collections", "struct", "wire_protocol", "device.domain", "device.errors",
    },
    "gateway/domain": _SHARED | {
        "bisect", "dataclasses", "enum", "functools", "gateway.domain", "gateway.errors",
        # Rows and the rule of what is newest: values, with no store behind them.
        "storage.telemetry.interface", "storage.telemetry.newest",
    },
}  # fmt: skip


def main() -> int:
    """Check every part; return the exit status."""
    lines = [
        f"{shown(path)}:{line}: {reason}"
        for folder, allowed in PARTS.items()
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for line, reason in breaches(path.read_text(), allowed)
    ]
    print("\n".join(lines))
    return 1 if lines else 0


def breaches(source: str, allowed: set[str]) -> Iterator[tuple[int, str]]:
    """Yield line and reason of every import and call that is not pure."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                modules = [name.name for name in names]
            case ast.ImportFrom(module=str(module), names=names):
                # `from device import settings` names a module, `from json import dumps` does not.
                modules = (
                    [module]
                    if _within(module, allowed)
                    else [f"{module}.{name.name}" for name in names]
                )
            case ast.Call(func=ast.Name(id=name)) if name in _FORBIDDEN_CALLS:
                yield node.lineno, f"calls {name}"
                continue
            case _:
                continue
        for module in modules:
            if not _within(module, allowed):
                yield node.lineno, f"imports {module}"


def _within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


if __name__ == "__main__":
    sys.exit(main())
