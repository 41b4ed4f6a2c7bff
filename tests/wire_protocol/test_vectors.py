"""The golden vectors hold on CPython and in real MicroPython."""

from __future__ import annotations

import json
from pathlib import Path

from tests.wire_protocol import run_vectors
from tests.wire_protocol.interpreters import VECTORS, run_script


def test_every_vector_holds_on_cpython():
    outcome = run_vectors.run(str(VECTORS))

    assert outcome.failures == []
    assert outcome.checks > 7000


def test_every_vector_holds_in_micropython(micropython):
    printed = run_script(micropython, Path(run_vectors.__file__), str(VECTORS))

    assert printed.splitlines()[-1] == f"{run_vectors.run(str(VECTORS)).checks} checks, 0 failures"


def test_a_changed_vector_is_noticed(tmp_path):
    for file in VECTORS.glob("*.json"):
        text = file.read_text()
        if file.name == "track.json":
            vectors = json.loads(text)
            vectors["good"][0]["hex"] = vectors["good"][1]["hex"]
            text = json.dumps(vectors)
        (tmp_path / file.name).write_text(text)

    # Encoded, encoded alone, decoded, checked.
    assert len(run_vectors.run(str(tmp_path)).failures) == 4
