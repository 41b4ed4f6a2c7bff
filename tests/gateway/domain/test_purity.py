"""The domain decides and touches nothing: it may import what is named here, and call no I/O."""

import ast
from pathlib import Path

import pytest

DOMAIN = Path(__file__).parents[3] / "gateway" / "domain"
MAY_IMPORT = {
    "collections", "collections.abc", "dataclasses", "functools", "json", "struct", "typing",
    "gateway.domain", "gateway.domain.inbound",
    "storage.telemetry.interface", "storage.telemetry.newest",
    "wire_protocol", "wire_protocol.errors",
}  # fmt: skip
MAY_NOT_CALL = {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", sorted(DOMAIN.glob("*.py")), ids=lambda path: path.name)
def test_domain_touches_nothing(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= MAY_IMPORT
        elif isinstance(node, ast.ImportFrom):
            assert node.module in MAY_IMPORT
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in MAY_NOT_CALL
