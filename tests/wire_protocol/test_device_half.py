"""A device loads the half of the protocol that it needs, and no more."""

from __future__ import annotations

import json

import pytest

from tests.wire_protocol.interpreters import REPOSITORY, run_script

NEEDED = [
    "clock",
    "columns",
    "envelope",
    "errors",
    "fix",
    "frames",
    "lean",
    "lean_mute",
    "lean_parse",
    "lean_told",
    "readings_encode",
    "sensors",
    "topics",
    "track_encode",
    "track_lone",
]


@pytest.fixture
def loaded(micropython, tmp_path):
    script = tmp_path / "loaded.py"
    script.write_text(
        "from wire_protocol import clock, frames, lean, lean_mute, readings_encode, sensors,"
        " topics, track_encode, track_lone\n"
        "import json, sys\n"
        "print(json.dumps([name for name in sys.modules if 'wire_protocol' in name]))\n"
    )
    return json.loads(run_script(micropython, script))


def test_the_device_half_loads_nothing_of_the_server_half(loaded):
    assert sorted(loaded) == ["wire_protocol"] + [f"wire_protocol.{name}" for name in NEEDED]


def test_every_module_loads_in_micropython(micropython, tmp_path):
    names = [path.stem for path in (REPOSITORY / "wire_protocol").glob("*.py")]
    script = tmp_path / "all.py"
    script.write_text(
        "".join(f"import wire_protocol.{name}\n" for name in names if name[0] != "_")
    )

    assert run_script(micropython, script) == ""
