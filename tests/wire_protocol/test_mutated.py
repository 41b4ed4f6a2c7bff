"""Mutated frames never raise anything but WireError; `make soak` runs a million of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire_protocol import mutated
from tests.wire_protocol.interpreters import VECTORS, run_script


def test_twenty_thousand_mutated_frames_are_taken_or_refused():
    refused = mutated.run(str(VECTORS), 20_000, seed=20_260)

    assert 10_000 < refused < 19_900


def test_mutated_frames_are_taken_or_refused_in_micropython(micropython):
    printed = run_script(micropython, Path(mutated.__file__), str(VECTORS), "2000", "7")

    assert "of 2000 mutated frames refused" in printed


def test_another_error_than_the_declared_one_is_noticed(monkeypatch, capsys):
    def careless(frame):
        return frame[40]

    monkeypatch.setattr(mutated, "TEXT_PARSERS", (careless,))

    with pytest.raises(IndexError):
        mutated.run(str(VECTORS), 1000, seed=1)
    assert "hex" in capsys.readouterr().out
