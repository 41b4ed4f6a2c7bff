from __future__ import annotations

import pytest

from tests.wire_protocol.interpreters import micropythons


@pytest.fixture(params=sorted(micropythons()))
def micropython(request: pytest.FixtureRequest) -> str:
    """Return the program of each real MicroPython in turn."""
    return micropythons()[request.param]
